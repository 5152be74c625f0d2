"""The attacks of attacks.py on the review server: connections, paths, origins, uploads, writers and kills."""

from __future__ import annotations

import contextlib
import http.client
import io
import stat
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import attack_services as services
from attack_node import closed_by_peer, open_connections
from attack_services import Outcome, Service, ask, ask_json, mebibytes, until

OPEN_FILES = 1024
HALF_OPEN = 1060
KILLS = 10
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "MOVE",
    "BREW",
)
TRAVERSALS = tuple(
    f"{start}{climb}{goal}"
    for start in ("/", "/static/", "/api/v1/items/")
    for climb in ("../../../../", "..%2f..%2f..%2f..%2f", "%2e%2e/%2e%2e/%2e%2e/", "....//....//")
    for goal in ("etc/passwd", "state.sqlite")
)
HOSTILE_NAMES = (
    "<script>alert(1)</script>.png",
    '"><img src=x onerror=alert(1)>.png',
    "../../../outside.png",
    "/etc/outside.png",
    "..\\..\\outside.png",
    "=cmd|'/C calc'!A0.png",
    "a\r\nSet-Cookie: x=1.png",
    "\u202egnp.exe.png",
    "a" * 5000 + ".png",
)


class ServerAttacks:
    """Attacks on one tree's review server. parts: helpers of the tests, which write phantoms."""

    def __init__(self, source: Path, folder: Path, parts: Any) -> None:
        self.source, self.folder, self.parts = source, folder, parts

    @contextlib.contextmanager
    def server(self, name: str, *words: object, open_files: int | None = None) -> Iterator[Service]:
        """A server with a state folder of its own."""
        one = services.server(self.source, self.folder / name, *words, open_files=open_files)
        try:
            yield one
        finally:
            if one.alive():
                one.kill()

    def half_open_connections(self) -> Outcome:
        """Keep 1,060 connections without a request at a limit of 1,024 descriptors; ask /health for 20 s."""
        with self.server("half-open", open_files=OPEN_FILES) as server:
            before = server.log_bytes()
            with open_connections(server, HALF_OPEN, b"GET / HTTP/1.1\r\nHost: "):
                answers = [
                    ask(server.port, "GET", "/health", timeout=2)[0] == 200
                    for _ in range(10)
                    if not time.sleep(2)
                ]
            grown = server.log_bytes() - before
        held = sum(answers) if grown < 1 << 20 else 0
        return Outcome(10, held, f"/health answered {sum(answers)} of 10, log +{grown / 2**20:.1f} MiB")

    def slow_headers(self) -> Outcome:
        """Send a request's header a byte a second on 16 connections for 40 s; the server must close them."""
        return self._slow(b"GET /health HTTP/1.1\r\nX-Filler: " + b"a" * 100)

    def slow_body(self) -> Outcome:
        """Send an upload's body a byte a second on 16 connections for 40 s; the server must close them."""
        return self._slow(
            b"x" * 100,
            b"POST /api/v1/items?name=a.png HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999\r\n\r\n",
        )

    def _slow(self, drip: bytes, start: bytes = b"") -> Outcome:
        with self.server(f"slow-{len(start)}") as server, open_connections(server, 16, start) as connections:
            closed, began = set[int](), time.monotonic()
            while (second := int(time.monotonic() - began)) < 40 and len(closed) < 16:
                for number, one in enumerate(connections):
                    if number not in closed and closed_by_peer(one, drip[second : second + 1]):
                        closed.add(number)
                time.sleep(1)
            healthy = ask(server.port, "GET", "/health", timeout=5)[0] == 200
            return Outcome(
                16,
                len(closed) if healthy else 0,
                f"all closed after {time.monotonic() - began:.0f} s"
                if len(closed) == 16
                else f"{len(closed)} closed within 40 s",
            )

    def traversal(self) -> Outcome:
        """Ask for files outside of the page by 24 paths."""
        with self.server("traversal") as server:
            answers = [ask(server.port, "GET", path) for path in TRAVERSALS]
            held = sum(
                status >= 400 and b"root:" not in body and b"SQLite" not in body for status, body in answers
            )
            return Outcome(len(TRAVERSALS), held)

    def without_token(self) -> Outcome:
        """Try every route of the API with 12 methods and no token."""
        with self.server("token", "--token", "secret-of-the-test") as server:
            described = ask_json(
                server.port,
                "GET",
                "/api/v1/openapi.json",
                headers={"Authorization": "Bearer secret-of-the-test"},
            )
            paths = [
                path.replace("{id}", "1").replace("{k}", "1")
                for path in described["paths"]
                if path.startswith("/api/")
            ]
            statuses = [ask(server.port, method, path)[0] for path in paths for method in METHODS]
            return Outcome(
                len(statuses),
                sum(one in (0, 400, 401, 403, 404, 405, 501) for one in statuses),
                f"{len(paths)} routes",
            )

    def other_sites(self) -> Outcome:
        """Change the state from a page of another site, and ask under a foreign host name."""
        image = png(np.full((64, 64), 90, np.uint8))
        with self.server("sites") as server:
            forged = [
                {"Origin": "https://evil.example"},
                {"Origin": "null"},
                {"Sec-Fetch-Site": "cross-site"},
                {"Host": "evil.example"},
                {"Host": "127.0.0.1.evil.example"},
                {"Host": ""},
            ]
            statuses = [ask(server.port, "POST", "/api/v1/items?name=a.png", image, one)[0] for one in forged]
            there = ask_json(server.port, "GET", "/api/v1/items")["total"]
            return Outcome(len(forged), sum(400 <= one < 500 for one in statuses) if there == 0 else 0)

    def hostile_names(self) -> Outcome:
        """Upload images under names with markup, paths, formulas and line breaks; export them."""
        from urllib.parse import quote

        with self.server("names") as server:
            for number, name in enumerate(HOSTILE_NAMES):
                image = png(np.full((64, 64 + number), 90, np.uint8))
                ask(server.port, "POST", f"/api/v1/items?name={quote(name)}", image)
            page = ask(server.port, "GET", "/")[1]
            outside = list(self.folder.parent.rglob("outside.png"))
            held = (
                len(HOSTILE_NAMES) if b"<script>alert" not in page and not outside and server.alive() else 0
            )
            return Outcome(len(HOSTILE_NAMES), held)

    def bombs(self) -> Outcome:
        """Upload an image of 30,000 x 30,000 px, a deflated DICOM file of 1 GiB, a form of 100,000 fields."""
        big = io.BytesIO()
        Image.new("1", (30000, 30000)).save(big, "PNG")
        deflated = self._deflated()
        form = (
            b"".join(
                b'--b\r\nContent-Disposition: form-data; name="x%d"\r\n\r\n1\r\n' % n for n in range(100000)
            )
            + b"--b--\r\n"
        )
        with self.server("bombs") as server:
            before = server.peak()
            statuses = [
                ask(server.port, "POST", "/api/v1/items?name=a.png", big.getvalue())[0],
                ask(server.port, "POST", "/api/v1/items?name=a.dcm", deflated)[0],
                ask(
                    server.port,
                    "POST",
                    "/api/v1/items",
                    form,
                    {"Content-Type": "multipart/form-data; boundary=b"},
                )[0],
            ]
            grown = server.peak() - before
            added = ask_json(server.port, "GET", "/api/v1/items")["total"]
            held = (
                sum(one >= 400 or added == 0 for one in statuses)
                if grown < 256 << 20 and server.alive()
                else 0
            )
            return Outcome(3, held, f"peak memory {mebibytes(grown)}")

    def _deflated(self) -> bytes:
        """A DICOM file in Deflated Explicit VR Little Endian whose pixel data are 1 GiB of zeros."""
        from pydicom import dcmread
        from pydicom.uid import DeflatedExplicitVRLittleEndian

        path = self.parts.write_phantom(self.folder / "deflated.dcm", 905)
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        head_end = 132 + 12 + int.from_bytes(buffer.getvalue()[140:144], "little")
        packer = zlib.compressobj(9, wbits=-15)
        zeros = bytes(1 << 24)
        body = packer.compress(b"\xe0\x7f\x10\x00OB\x00\x00" + (1 << 30).to_bytes(4, "little"))
        body += b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush()
        return buffer.getvalue()[:head_end] + body

    def writers(self) -> Outcome:
        """Save 16 masks of one image at once, each for the same revision, 10 times; one may succeed."""
        with self.server("writers") as server:
            ask(server.port, "POST", "/api/v1/items?name=a.png", png(np.full((64, 64), 90, np.uint8)))
            item = ask_json(server.port, "GET", "/api/v1/items")["items"][0]["id"]
            path = f"/api/v1/items/{item}/mask"
            until(lambda: ask(server.port, "GET", f"{path}.png")[0] == 200, 60)
            held = 0
            for round_number in range(10):
                tag = _etag(server, f"{path}.png")
                statuses = list[int]()

                def save(
                    number: int, tag: str = tag, statuses: list[int] = statuses, shift: int = round_number
                ) -> None:
                    mask = np.zeros((64, 64), np.uint8)
                    mask[number : number + 8, shift : shift + 8] = 255
                    statuses.append(ask(server.port, "PUT", path, png(mask), {"If-Match": tag})[0])

                threads = [threading.Thread(target=save, args=(number,)) for number in range(16)]
                for one in threads:
                    one.start()
                for one in threads:
                    one.join()
                held += 16 if sum(200 <= one < 300 for one in statuses) == 1 else 0
            return Outcome(160, held)

    def permissions(self) -> Outcome:
        """List what another local user can read of the state folder, at umask 022."""
        with self.server("permissions") as server:
            ask(server.port, "POST", "/api/v1/items?name=a.png", png(np.full((64, 64), 90, np.uint8)))
            until(lambda: any((self.folder / "permissions" / "originals").iterdir()), 30)
        paths = [self.folder / "permissions", *(self.folder / "permissions").rglob("*")]
        readable = [one for one in paths if one.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
        reached = not (self.folder / "permissions").stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        return Outcome(len(paths), len(paths) if reached and not readable else len(paths) - len(readable))

    def kills(self) -> Outcome:
        """Kill the server 10 times while masks are saved; each confirmed mask must be there."""
        state, lost, saved = self.folder / "kills", 0, 0
        server = services.server(self.source, state)
        ask(server.port, "POST", "/api/v1/items?name=a.png", png(np.full((64, 64), 90, np.uint8)))
        for number in range(KILLS):
            item = ask_json(server.port, "GET", "/api/v1/items")["items"][0]["id"]
            path = f"/api/v1/items/{item}/mask"
            until(lambda: ask(server.port, "GET", f"{path}.png")[0] == 200, 60)  # noqa: B023
            confirmed, stop = list[bytes](), threading.Event()

            def save(
                port: int = server.port,
                path: str = path,
                confirmed: list[bytes] = confirmed,
                stop: threading.Event = stop,
                seed: int = number,
            ) -> None:
                random = np.random.default_rng(seed)
                while not stop.is_set():
                    tag = etag_of(port, f"{path}.png")
                    mask = (random.random((64, 64)) > 0.5).astype(np.uint8) * 255
                    if tag and 200 <= ask(port, "PUT", path, png(mask), {"If-Match": tag})[0] < 300:
                        confirmed.append(mask.tobytes())

            thread = threading.Thread(target=save)
            thread.start()
            until(lambda: len(confirmed) >= 5 + number, 30, step=0.01)  # noqa: B023
            server.kill()
            stop.set()
            thread.join()
            saved += len(confirmed)
            server = services.server(self.source, state)
            there = np.asarray(Image.open(io.BytesIO(ask(server.port, "GET", f"{path}.png")[1])).convert("L"))
            previous = self._revisions(server, item)
            lost += bool(confirmed) and confirmed[-1] not in (there.tobytes(), *previous)
        server.kill()
        return Outcome(KILLS, KILLS - lost, f"{saved} confirmed masks")

    def _revisions(self, server: Service, item: str) -> list[bytes]:
        """The earlier revision of a mask: a save may be on disk whose confirmation the kill cut off."""
        tag = int((_etag(server, f"/api/v1/items/{item}/mask.png") or '"0"').strip('"'))
        data = ask(server.port, "GET", f"/api/v1/items/{item}/mask.png?revision={max(0, tag - 1)}")[1]
        return [np.asarray(Image.open(io.BytesIO(data)).convert("L")).tobytes()] if data else []

    def memory(self) -> Outcome:
        """Predict 1,000 images; resident memory at the end beside that after 100."""
        image = png(np.random.default_rng(0).integers(0, 255, (200, 200), dtype=np.uint8))
        with self.server("memory") as server:
            answered = 0
            for number in range(1000):
                answered += (
                    ask(
                        server.port,
                        "POST",
                        "/api/v1/predict",
                        image,
                        {"Content-Type": "application/octet-stream"},
                    )[0]
                    == 200
                )
                if number == 99:
                    early = server.resident()
            grown = server.resident() - early
            return Outcome(1000, answered if grown < 50 << 20 else 0, f"memory {mebibytes(grown)}")


def png(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _etag(server: Service, path: str) -> str:
    return etag_of(server.port, path)


def etag_of(port: int, path: str) -> str:
    """The ETag of a resource; empty where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.headers.get("ETag", "")
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
