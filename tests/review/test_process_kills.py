"""Faults that only a real process meets: SIGKILL in a stream of saves, and a disk that is really full.

The same faults inside one process, at each point of a save: test_store.py and test_app.py.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if os.name != "posix":
    pytest.skip("SIGKILL and mounts are Unix'", allow_module_level=True)


def send(server: Any, image: bytes, name: str = "scan.png") -> str:
    """Upload one image; gives its id."""
    edge = b"xx-edge-xx"
    head = b'Content-Disposition: form-data; name="files"; filename="' + name.encode() + b'"\r\n\r\n'
    body = b"--" + edge + b"\r\n" + head + image + b"\r\n--" + edge + b"--\r\n"
    kind = {"Content-Type": f"multipart/form-data; boundary={edge.decode()}"}
    status, told = server.ask("POST", "/api/v1/items", body, kind)
    assert status == 201, told
    return str(told["items"][0]["id"])


def noise(draw: Any, number: int) -> bytes:
    """A mask that no other number has, and that hardly shrinks."""
    rng = np.random.default_rng(number)
    return bytes(draw.png((rng.random((60, 80)) < 0.5).astype(np.uint8) * 255))


def digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def save(server: Any, identity: str, revision: int, mask: bytes, reader: str) -> tuple[int, Any]:
    headers = {"If-Match": f'"{revision}"', "X-Reader": reader, "X-Tool": "brush", "X-Seconds": "0.5"}
    answer: tuple[int, Any] = server.ask("PUT", f"/api/v1/items/{identity}/mask", mask, headers)
    return answer


@pytest.mark.process
def test_a_killed_server_has_every_save_that_it_acknowledged(
    tmp_path: Path, serving: Callable[..., Any], draw: Any
) -> None:
    state = tmp_path / "state"
    server = serving(state)
    ids = [send(server, draw.scan(seed), f"scan-{seed}.png") for seed in range(3)]
    acknowledged: dict[str, dict[int, str]] = {one: {} for one in ids}
    enough = threading.Event()

    def stream(number: int) -> None:
        """Save masks of one image, one after the other, until nobody answers any more."""
        identity, revision = ids[number], 0
        while True:
            mask = noise(draw, 1000 * number + revision)
            try:
                status, told = save(server, identity, revision, mask, f"R{number}")
            except (OSError, http.client.HTTPException):
                return
            if status == 200:
                revision = told["revision"]
                acknowledged[identity][revision] = digest(draw.pixels(mask))
            if revision >= 4:
                enough.set()

    readers = [threading.Thread(target=stream, args=(number,)) for number in range(3)]
    for reader in readers:
        reader.start()
    assert enough.wait(120), "too few saves"
    server.kill()
    for reader in readers:
        reader.join(60)
    assert sum(len(saves) for saves in acknowledged.values()) >= 4

    again = serving(state)
    for number, identity in enumerate(ids):
        saves = acknowledged[identity]
        _, item = again.ask("GET", f"/api/v1/items/{identity}")
        # One save may have been kept in the moment before its answer was sent: it is whole, too.
        assert item["revision"] in (len(saves), len(saves) + 1)
        for revision, mark in saves.items():
            status, data = again.ask("GET", f"/api/v1/items/{identity}/mask.png?revision={revision}")
            assert (status, digest(draw.pixels(data))) == (200, mark)
        _, history = again.ask("GET", f"/api/v1/items/{identity}/history")
        masks = [entry for entry in history["entries"] if entry["action"] == "mask"]
        assert [entry["revision"] for entry in masks] == list(range(1, item["revision"] + 1))
        assert {entry["reader"] for entry in masks} <= {f"R{number}"}
        status, _ = save(again, identity, item["revision"], noise(draw, 9999), "AB")
        assert status == 200, "it continues from there"
    assert [path.name for path in state.rglob(".*")] == [".lock"], "nothing half written is left"
    assert list((state / "incoming").glob("*")) == []


MOUNTED = 'mount -t tmpfs -o size=6m tmpfs "$1" && shift && exec "$@"'


@pytest.mark.process
def test_a_disk_that_is_really_full_loses_nothing_and_is_told(
    tmp_path: Path, serving: Callable[..., Any], draw: Any
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    around = ["unshare", "-rm", "sh", "-c", MOUNTED, "sh", str(disk)]
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("needs Linux and unshare, to make a small disk")
    if subprocess.run([*around, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    server = serving(disk / "state", around=around)
    inside = Path(f"/proc/{server.process.pid}/root{disk}")  # the disk is seen by that process alone
    identity = send(server, draw.scan())
    end = time.monotonic() + 60
    while server.ask("GET", f"/api/v1/items/{identity}")[1]["prediction"] != "done":
        assert time.monotonic() < end
        time.sleep(0.05)
    status, first = save(server, identity, 0, noise(draw, 0), "AB")
    assert status == 200

    ballast = inside / "ballast"
    with ballast.open("wb", buffering=0) as file:
        step = 1 << 16
        while step:
            try:
                file.write(bytes(step))
            except OSError:
                step //= 2
    kept, revision = {1: noise(draw, 0)}, first["revision"]
    for number in range(1, 200):
        status, told = save(server, identity, revision, noise(draw, number), "AB")
        if status != 200:
            break
        revision = told["revision"]
        kept[revision] = noise(draw, number)
    assert status == 507, told
    assert "nothing was changed" in told["error"]["found"]
    status, _ = save(server, identity, revision, noise(draw, 500), "AB")
    assert status == 507, "and again"
    assert server.ask("GET", f"/api/v1/items/{identity}")[1]["revision"] == revision
    for number, mask in kept.items():
        _, data = server.ask("GET", f"/api/v1/items/{identity}/mask.png?revision={number}")
        assert digest(draw.pixels(data)) == digest(draw.pixels(mask))
    assert server.ask("GET", "/health")[0] == 200

    ballast.unlink()
    status, told = save(server, identity, revision, noise(draw, 501), "AB")
    assert (status, told["revision"]) == (200, revision + 1), "free space again: it continues"
