"""Downloads from a local server that interrupts, changes its files, or refuses."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from sonoseg.data.catalogue import Download
from sonoseg.data.download import CHUNK, fetch, verify
from sonoseg.errors import DownloadError

pytest.importorskip("pooch")

CONTENT = np.random.default_rng(0).bytes(300_000)


class Server(ThreadingHTTPServer):
    """Serves `content`; interrupts after each of `breaks` bytes, one per request, then completes."""

    content = CONTENT
    tag = '"v1"'
    ranges = True
    status = 200
    slow = 0.0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.breaks: list[int] = []
        self.asked: list[str] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.zip"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers.get("Range", "")
        server.asked.append(wanted)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        body = server.content[start:]
        if start and not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.tag)
        self.end_headers()
        if server.breaks:
            body = body[: server.breaks.pop(0)]
            self.close_connection = True
        for at in range(0, len(body), 8192):
            self.wfile.write(body[at : at + 8192])
            server.sent += len(body[at : at + 8192])
            time.sleep(server.slow)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


def item(server: Server, *, known: bool = True, content: bytes = CONTENT) -> Download:
    return Download(server.url, "file.zip", hashlib.sha256(content).hexdigest() if known else None)


@pytest.mark.parametrize("known", [True, False])
def test_a_connection_that_breaks_off(server: Server, tmp_path: Path, known: bool) -> None:
    server.breaks = [100_000, 50_000, 0, 1]
    told: list[tuple[int, int | None]] = []
    path = fetch(item(server, known=known), tmp_path, wait=0, report=lambda a, b: told.append((a, b)))
    assert path.read_bytes() == CONTENT
    places = [int(asked[6:-1]) if asked else 0 for asked in server.asked]
    assert len(places) == 5
    for place, broke in zip(places, [0, 100_000, 150_000, 150_000], strict=False):
        assert broke - 2 * CHUNK < place <= broke
    assert server.sent < len(CONTENT) + 5 * CHUNK, "hardly a byte was sent twice"
    assert told[-1] == (300_000, 300_000)
    assert [file.name for file in tmp_path.iterdir()] == ["file.zip"]


def test_many_breaks_are_borne_while_each_brings_more(server: Server, tmp_path: Path) -> None:
    server.breaks = [30_000] * 8
    assert fetch(item(server), tmp_path, tries=2, wait=0).read_bytes() == CONTENT


def test_there_already(server: Server, tmp_path: Path) -> None:
    fetch(item(server), tmp_path)
    fetch(item(server), tmp_path)
    assert len(server.asked) == 1


def test_a_new_file_on_the_server_is_not_glued_to_the_old(server: Server, tmp_path: Path) -> None:
    server.breaks = [100_000]
    with pytest.raises(DownloadError, match=r"the download failed .*it resumes"):
        fetch(item(server), tmp_path, tries=1)
    server.content, server.tag = CONTENT[::-1], '"v2"'
    path = fetch(item(server, content=CONTENT[::-1]), tmp_path, tries=1)
    assert path.read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.breaks = [100_000]
    assert fetch(item(server), tmp_path, wait=0).read_bytes() == CONTENT


def test_a_server_that_names_no_version(server: Server, tmp_path: Path) -> None:
    server.tag = 'W/"weak"'
    server.breaks = [100_000]
    assert fetch(item(server), tmp_path, wait=0).read_bytes() == CONTENT
    assert server.asked == ["", ""]


def test_a_part_as_long_as_the_file(server: Server, tmp_path: Path) -> None:
    server.breaks = [100_000]
    with pytest.raises(DownloadError):
        fetch(item(server), tmp_path, tries=1)
    (tmp_path / "file.zip.part").write_bytes(bytes(len(CONTENT)))
    assert fetch(item(server), tmp_path, wait=0).read_bytes() == CONTENT


def test_the_wrong_content(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadError, match="is not the published one"):
        fetch(item(server), tmp_path, wait=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 3), (429, 3)])
def test_a_server_that_refuses(server: Server, tmp_path: Path, status: int, requests: int) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=f"the server answered {status}"):
        fetch(item(server), tmp_path, tries=3, wait=0)
    assert len(server.asked) == requests


def test_no_server(server: Server, tmp_path: Path) -> None:
    lost = Download("http://127.0.0.1:9/file.zip", "file.zip")
    with pytest.raises(DownloadError, match="Connection refused"):
        fetch(lost, tmp_path, tries=2, wait=0)


@pytest.mark.process
def test_killed_in_the_middle(server: Server, tmp_path: Path) -> None:
    server.slow = 0.01
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from sonoseg.data.catalogue import Download\n"
        "from sonoseg.data.download import fetch\n"
        "fetch(Download(sys.argv[1], 'file.zip'), Path(sys.argv[2]))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, server.url, str(tmp_path)])
    part = tmp_path / "file.zip.part"
    end = time.monotonic() + 30
    while time.monotonic() < end and (not part.exists() or part.stat().st_size == 0):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    have = part.stat().st_size
    assert 0 < have < len(CONTENT)
    server.slow = 0.0
    assert fetch(item(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == ["", f"bytes={have}-"]


def test_a_file_brought_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "by-hand.zip"
    file.write_bytes(CONTENT)
    known = Download("https://x", "file.zip", hashlib.sha256(CONTENT).hexdigest())
    verify(known, file)
    verify(Download("https://x", "file.zip"), file)
    file.write_bytes(b"other")
    with pytest.raises(DownloadError, match=r"by-hand\.zip: not the published file.*--any-checksum"):
        verify(known, file)
    with pytest.raises(DownloadError, match="no such file"):
        verify(known, tmp_path / "gone.zip")


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="cannot be stored"):
        fetch(item(server), tmp_path / "file" / "below")
