"""Limits of connections: what is too many or too slow is closed, and others are served."""

from __future__ import annotations

import asyncio
import http.client
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from sonoseg.review import connection_limits
from sonoseg.review.connection_limits import ConnectionLimits, Connections, LimitedServer, Phase

FAST = {"header_timeout": 0.4, "body_timeout": 0.4, "body_bytes": 1000, "write_timeout": 0.4}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer a GET with 8 MiB at /big, else with the size of the request's body."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    body = bytes(8 << 20) if scope["path"] == "/big" else str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def served(**limits: Any) -> Iterator[int]:
    """The port of a server with these limits."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = int(listening.getsockname()[1])
    application: Any = app
    server = LimitedServer(application, ConnectionLimits(**limits), log_level="warning", lifespan="off")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(20)


def ask(port: int, method: str = "GET", path: str = "/", body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse().read()
    connection.close()
    return answer


def connect(port: int, start: bytes = b"") -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), timeout=10)
    one.sendall(start)
    return one


def is_closed(one: socket.socket, seconds: float = 10) -> bool:
    """Whether the server closes a connection in this time."""
    one.settimeout(seconds)
    try:
        return one.recv(1 << 16) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def drip(one: socket.socket, octets: bytes, step: float = 0.1) -> bool:
    """Send a byte at a time; whether the server closed the connection meanwhile."""
    try:
        for octet in octets:
            one.sendall(bytes([octet]))
            time.sleep(step)
    except OSError:
        return True
    return is_closed(one, 0.1)


def test_defaults() -> None:
    assert ConnectionLimits() == ConnectionLimits(256, 64, 10.0, 20.0, 16384, 60.0)
    assert (connection_limits.BURST, connection_limits.RESERVED_FILES) == (64, 256)
    assert connection_limits.LOG_SECONDS == 60


@pytest.mark.process
def test_a_connection_without_a_request_is_closed() -> None:
    with served(**FAST) as port:
        assert is_closed(connect(port))
        assert ask(port) == b"0"


@pytest.mark.process
@pytest.mark.parametrize("start", [b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-Filler: "])
def test_a_header_that_drips_is_closed(start: bytes) -> None:
    with served(**FAST) as port:
        assert drip(connect(port, start), b"a" * 30)


@pytest.mark.process
def test_a_header_that_drips_after_a_response_is_closed() -> None:
    with served(**FAST) as port:
        one = connect(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert one.recv(4096).startswith(b"HTTP/1.1 200")
        assert drip(one, b"GET / HTTP/1.1\r\nHost: aaaaaaaaa")


@pytest.mark.process
def test_a_body_that_drips_is_closed_and_a_slow_one_is_not() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12000\r\n\r\n"
    with served(**FAST) as port:
        assert drip(connect(port, head), b"a" * 30)
        slow = connect(port, head)
        for _ in range(10):  # 1,200 bytes in each 0.15 s: three times the limit
            slow.sendall(bytes(1200))
            time.sleep(0.15)
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.process
def test_a_response_that_is_not_taken_is_closed() -> None:
    with served(**FAST) as port:
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", port))
        one.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(1.5)
        one.settimeout(10)
        got = 0
        with suppress(ConnectionResetError):
            while data := one.recv(1 << 16):
                got += len(data)
        assert got < 8 << 20


@pytest.mark.process
def test_work_on_a_request_has_no_deadline() -> None:
    with served(**FAST) as port:
        assert ask(port, path="/slow") == b"0"


@pytest.mark.process
def test_work_on_a_pipelined_request_has_no_deadline() -> None:
    with served(**FAST) as port:
        both = b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"/", b"/slow"))
        one, got = connect(port, both), b""
        while got.count(b"HTTP/1.1 200") < 2 and (data := one.recv(4096)):
            got += data
        assert got.count(b"HTTP/1.1 200") == 2


@pytest.mark.process
def test_more_of_one_address_than_allowed_close_the_oldest_without_a_request() -> None:
    with served(per_address=4) as port:
        working = connect(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        idle = [connect(port) for _ in range(6)]
        assert all(is_closed(one) for one in idle[:3])
        assert not any(is_closed(one, 0.05) for one in idle[3:])
        assert working.recv(4096).startswith(b"HTTP/1.1 200")
        assert ask(port) == b"0"


@pytest.mark.process
def test_a_flood_of_connections_leaves_the_server_working(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), served(connections=100, per_address=1000) as port:
        held = [connect(port) for _ in range(400)]
        assert ask(port, "POST", body=bytes(100)) == b"100"
        assert sum(is_closed(one, 0.02) for one in held) >= 250
    assert len([one for one in caplog.records if "connection closed" in one.message]) == 1


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_one_client_of_ipv6_is_its_network(first: str, second: str, same: bool) -> None:
    assert (connection_limits._host(first) == connection_limits._host(second)) is same


FLOODED = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from tests.review.test_connection_limits import app
from sonoseg.review.connection_limits import LimitedServer
listening = socket.create_server(("127.0.0.1", 0), backlog=256)
print(listening.getsockname()[1], flush=True)
LimitedServer(app, log_level="warning", lifespan="off").run(sockets=[listening])
"""


@pytest.mark.process
def test_more_connections_than_open_files_leave_the_server_working(tmp_path: Path) -> None:
    """Above the limit of open files accept() fails: the log must not grow, nor others wait."""
    root = Path(__file__).parents[2]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", FLOODED], cwd=root, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        held = []
        for _ in range(400):
            with suppress(OSError):
                held.append(connect(port, b"GET / HTTP/1.1\r\nHost: "))
        assert ask(port, "POST", body=bytes(100)) == b"100"
        assert (tmp_path / "log").stat().st_size < 2000
    finally:
        server.kill()
        server.communicate()


def test_all_connections_busy_close_the_newest() -> None:
    ends = [socket.socketpair() for _ in range(3)]
    open_connections = Connections(ConnectionLimits(per_address=2))
    for number, (ours, _) in enumerate(ends):
        open_connections.accepted(ours, ("192.0.2.1", number))
        found = open_connections.find(("192.0.2.1", number))
        if found:
            found.begin(Phase.RESPONSE, 0)
    assert [open_connections.find(("192.0.2.1", number)) is not None for number in range(3)] == [
        True,
        True,
        False,
    ]
    for pair in ends:
        for one in pair:
            one.close()
    assert len(open_connections) == 0


def test_errors_of_accepting_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    application: Any = app
    server = LimitedServer(application)
    loop = asyncio.new_event_loop()
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            context = {
                "message": "socket.accept() out of system resource",
                "exception": OSError(24, "too many"),
            }
            server._report(loop, context)
    loop.close()
    assert len(caplog.records) == 1
    assert "cannot be accepted" in caplog.text
