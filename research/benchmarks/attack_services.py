"""Start the node and the review server for attacks.py and soak.py, and read their memory and descriptors."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import turns

NODE_TITLE = "SONOSEG"
SENDER_TITLE = "SCANNER1"


@dataclass
class Outcome:
    """What an attack came to.

    tried: single attempts. held: those that did no harm. figure: what else was measured, as text.
    """

    tried: int
    held: int
    figure: str = ""


def command(*words: object) -> list[str]:
    """The command line of sonoseg, in this interpreter."""
    return [sys.executable, "-m", "sonoseg", *map(str, words)]


def environment(source: Path) -> dict[str, str]:
    """The environment in which `python -m sonoseg` is the package of a source tree."""
    return os.environ | {"PYTHONPATH": str(source / "src"), "OMP_NUM_THREADS": "1"}


@dataclass
class Service:
    """A long-running command of sonoseg, whose first line names its port.

    words: what follows `sonoseg`. open_files: its limit of file descriptors; None leaves the inherited one.
    """

    source: Path
    words: Sequence[object]
    port_pattern: str
    open_files: int | None = None
    port: int = 0
    log: Any = field(default_factory=lambda: tempfile.TemporaryFile("w+b"))  # noqa: SIM115

    def start(self) -> None:
        """Start it and wait until it listens."""
        limit = self.open_files

        def lower() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        self.process = subprocess.Popen(
            command(*self.words),
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=environment(self.source),
            preexec_fn=lower,
            umask=0o022,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(self.port_pattern, line)
        if found is None:
            self.process.wait(60)
            sys.exit(
                f"sonoseg {' '.join(map(str, self.words))} did not start: {line}{self.log_text()[-3000:]}"
            )
        self.port = int(found[1])

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        """Stop it (SIGTERM); return its exit code."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self.kill()
        return self.process.returncode

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def log_bytes(self) -> int:
        """The size of what it has written to stderr."""
        return os.fstat(self.log.fileno()).st_size

    def log_text(self) -> str:
        """What it has written to stderr."""
        return os.pread(self.log.fileno(), self.log_bytes(), 0).decode("utf-8", "replace")

    def resident(self) -> int:
        """Its resident memory now, bytes."""
        return turns.memory(self.process.pid).get("resident", 0)

    def peak(self) -> int:
        """Its greatest resident memory, bytes."""
        return turns.memory(self.process.pid).get("peak", 0)

    def descriptors(self) -> int:
        """The number of its open file descriptors."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


def node(
    source: Path,
    folder: Path,
    archive: str,
    *,
    limits: str = "",
    retry: str = "",
    allow: Sequence[str] = (SENDER_TITLE,),
) -> Service:
    """A DICOM node with its default settings, or with lines of [limits] and [retry]; started."""
    folder.mkdir(parents=True, exist_ok=True)
    title, _, address = archive.partition("@")
    host, _, port = address.partition(":")
    allowed = ", ".join(f'"{one}"' for one in allow)
    settings = folder / "node.toml"
    settings.write_text(
        f'state = "{folder / "state"}"\nallow = [{allowed}]\nport = 0\nsend_back = ["seg", "sr", "capture"]\n'
        f'[archive]\nae = "{title}"\nhost = "{host}"\nport = {port}\n[limits]\n{limits}\n[retry]\n{retry}\n',
        "utf-8",
    )
    one = Service(source, ["pacs", "serve", "--config", settings, "--quiet"], r"port (\d+)")
    one.start()
    return one


def server(source: Path, state: Path, *words: object, open_files: int | None = None) -> Service:
    """A review server with its default settings; started, its model loaded."""
    one = Service(
        source,
        ["serve", "--state", state, "--port", "0", "-q", *words],
        r"http://127\.0\.0\.1:(\d+)/",
        open_files,
    )
    one.start()
    until(lambda: ask(one.port, "GET", "/ready")[0] == 200, 300)
    return one


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout: float = 60,
) -> tuple[int, bytes]:
    """Send one HTTP request; return status and body, status 0 where there was no response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def ask_json(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Any:
    """As `ask`, with the body as JSON; None where it is not a success."""
    status, data = ask(port, method, path, body, headers)
    return json.loads(data) if 200 <= status < 300 else None


def until(condition: Callable[[], bool], seconds: float, step: float = 0.2) -> float | None:
    """Wait until a condition holds; return the seconds that it took, None where it never did."""
    began = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - began
        if time.monotonic() - began > seconds:
            return None
        time.sleep(step)


def connect(port: int) -> socket.socket:
    """Open a TCP connection on loopback."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def mebibytes(octets: float) -> str:
    """A change in bytes, in MiB: "+1,234 MiB"."""
    return f"{round(octets / 2**20):+,} MiB"
