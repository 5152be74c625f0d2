"""The clients of the load benchmark count the answers of the server."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest


@pytest.fixture
def server_load(benchmark_script: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_script("server_load")


@pytest.fixture
def stub() -> Iterator[http.server.ThreadingHTTPServer]:
    """Answers by the image's first letter: r gets 503 the first time, f fails, e has no mask."""

    put_off: set[bytes] = set()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            image = self.rfile.read(int(self.headers["Content-Length"]))
            status, told, more = 200, {"mask": {"runs": ""}}, {}
            if image[:1] == b"r" and image not in put_off:
                put_off.add(image)
                status, told, more = 503, {"error": {}}, {"Retry-After": "0.01"}
            elif image[:1] == b"f":
                status, told = 500, {"error": {}}
            elif image[:1] == b"e":
                told = {"mask": None}
            data = json.dumps(told).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    started = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=started.serve_forever)
    thread.start()
    yield started
    started.shutdown()
    thread.join()
    started.server_close()


def test_every_image_is_asked_for_and_every_fault_counted(
    server_load: ModuleType, stub: http.server.ThreadingHTTPServer
) -> None:
    images = [b"a1", b"r1", b"f1", b"a2", b"e1", b"r2", b"a3"]
    seconds, told = server_load.load(stub.server_address[1], 3, images)
    assert len(told.seconds) == 5
    assert told.refused == 2
    assert sorted(error.partition(":")[0] for error in told.errors) == ["ValueError", "ValueError"]
    assert any("500" in error for error in told.errors)
    assert any("without a mask" in error for error in told.errors)
    assert max(told.seconds) <= seconds
    assert sorted(told.seconds)[-2] >= 0.01, "the wait counts"


def test_a_server_that_is_gone_is_an_error_of_each(server_load: ModuleType) -> None:
    import socket

    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        _, told = server_load.load(place.getsockname()[1], 2, [b"a", b"b", b"c"])
    assert (len(told.seconds), len(told.errors)) == (0, 3)


def test_percentiles_are_values_that_were_measured(server_load: ModuleType) -> None:
    values = [float(k) for k in range(100, 0, -1)]
    assert server_load.percentile(values, 50) == 50
    assert server_load.percentile(values, 99) == 99
    assert server_load.percentile([3.0], 99) == 3


def test_memory_and_processor_time_of_a_process_are_read(server_load: ModuleType) -> None:
    if sys.platform != "linux":
        pytest.skip("/proc is Linux'")
    import os

    import turns

    told = turns.memory(os.getpid())
    assert 0 < told["resident"] <= told["peak"]
