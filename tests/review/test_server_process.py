"""`sonoseg serve`: what it refuses to start with, and a real process from start to signal."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.main import app
from sonoseg.errors import SonosegError, UsageError
from sonoseg.inputs.reading import read_frame
from sonoseg.review.server_process import (
    ReviewServer,
    address_of,
    check_certificate,
    is_loopback,
    listen,
    login_of,
)
from sonoseg.review.settings import Settings


def refusal(*words: str) -> SonosegError:
    ran = CliRunner().invoke(app, ["serve", *words], env={"SONOSEG_TOKEN": ""})
    assert isinstance(ran.exception, SonosegError), (ran.output, ran.exception)
    return ran.exception


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--host", "0.0.0.0"], "there is no token"),
        (["--host", "::"], "there is no token"),
        (["--host", "0.0.0.0", "--token", "short"], "the token has 5 characters"),
        (["--token", "with a space in the middle"], "spaces"),
        (["--host", "no.such.host.invalid"], "is not an address"),
        (["--keyfile", "key.pem"], "without a certificate"),
        (["--certfile", "missing.pem"], "cannot be used"),
        (["image.png", "--read-only"], "--read-only"),
        (["--spacing", "0.1"], "takes no effect without PATHS"),
        (["image.png", "--spacing", "90"], "between 0.001 and 10 mm per pixel"),
        (["--spacing", "wide"], "wide"),
    ],
)
def test_what_it_does_not_start_with(tmp_path: Path, words: list[str], found: str) -> None:
    told = refusal(*words, "--state", str(tmp_path / "state"), "--port", "0")
    assert found in str(told)
    assert told.remedy
    assert not (tmp_path / "state").exists()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = refusal("--port", str(taken.getsockname()[1]), "--state", str(tmp_path / "state"))
    assert "cannot listen" in str(told)


def test_a_model_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    told = refusal("--model", str(tmp_path), "--state", str(tmp_path / "state"), "--port", "0")
    assert "card.json" in str(told)


def test_only_what_nobody_else_reaches_is_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "127.8.9.10"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.5", "8.8.8.8"))


def test_addresses() -> None:
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert address_of(listening, "127.0.0.1", secure=False) == f"http://127.0.0.1:{port}/"
        assert address_of(listening, "::1", secure=True) == f"https://[::1]:{port}/"
    assert login_of("http://a/", None) == "http://a/"
    assert login_of("http://a/", "t&/?") == "http://a/login?token=t%26%2F%3F"


def test_a_server_from_python_listens_until_it_is_left(tmp_path: Path) -> None:
    settings = Settings(folder=tmp_path / "state", token="a" * 16)
    with ReviewServer(settings, port=0) as server:
        assert server.login == f"{server.address}login?token={'a' * 16}"
        assert server.store.folder == tmp_path / "state"
        port = int(server.address.rstrip("/").rpartition(":")[2])
        with pytest.raises(UsageError, match="cannot listen"):
            ReviewServer(Settings(folder=tmp_path / "other"), port=port)
    listen("127.0.0.1", port).close()
    with pytest.raises(UsageError, match="there is no token"):
        ReviewServer(Settings(folder=tmp_path / "state"), host="0.0.0.0", port=0)


def test_a_certificate_of_another_key(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(UsageError, match="cannot be used"):
        check_certificate(tmp_path / "cert.pem", None)


@contextmanager
def running(*words: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """A server in a process of its own: the process, its port, what it printed so far."""
    with subprocess.Popen(
        [sys.executable, "-m", "sonoseg", "serve", "--port", "0", "--threads", "1", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "NO_COLOR": "1", **environment},
    ) as process:
        try:
            assert process.stdout is not None
            told = ""
            for line in process.stdout:
                told += line
                if RESEARCH_ONLY in line:
                    break
            found = re.search(r"https?://[^ :]+:(\d+)/", told)
            assert found is not None, told
            yield process, int(found[1]), told
        finally:
            process.kill()


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        data = answer.read()
        if answer.headers.get("content-type", "").startswith("application/json"):
            return answer.status, json.loads(data)
        return answer.status, data
    finally:
        connection.close()


@pytest.mark.process
def test_a_server_from_start_to_signal(tmp_path: Path, draw: Any, dark_model: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(draw.scan(1))
    (tmp_path / "in" / "b.txt").write_text("no image")
    state, token = tmp_path / "state", "a-token-of-the-tests"
    words = ["--state", str(state), "--model", str(dark_model), "--runtime", "onnx"]
    with running(str(tmp_path / "in"), "--spacing", "0.1", *words, SONOSEG_TOKEN=token) as (
        process,
        port,
        told,
    ):
        assert f"login?token={token}" in told
        bearer = {"Authorization": f"Bearer {token}"}
        assert ask(port, "GET", "/health") == (200, {"status": "ok"})
        assert ask(port, "GET", "/api/v1/items")[0] == 401
        assert (
            ask(port, "GET", "/api/v1/items", Host="evil.example", **bearer)[0] == 200
        )  # the token is enough
        status, listed = ask(port, "GET", "/api/v1/items", **bearer)
        assert status == 200
        (item,) = listed["items"]
        assert (item["name"], item["spacing"]) == ("a.png", [0.1, 0.1])
        end = time.monotonic() + 60
        while item["prediction"] != "done" and time.monotonic() < end:
            time.sleep(0.05)
            _, item = ask(port, "GET", f"/api/v1/items/{item['id']}", **bearer)
        assert item["lesions"] == 1
        status, _ = ask(
            *(port, "PUT", f"/api/v1/items/{item['id']}/mask", draw.mask((1, 1, 9, 9))),
            **{"If-Match": '"0"', **bearer},
        )
        assert status == 200
        second = CliRunner().invoke(app, ["serve", "--port", "0", *words], env={"SONOSEG_TOKEN": token})
        assert "another process is using this review state" in str(second.exception)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stdout is not None
        rest = process.stdout.read()
        assert "Traceback" not in told + rest
        assert token not in rest  # no log keeps it
    with running(*words) as (process, port, _):
        status, again = ask(port, "GET", f"/api/v1/items/{item['id']}")
        assert (status, again["revision"]) == (200, 1)
        assert ask(port, "GET", "/health", Host="evil.example")[0] == 421  # no token: its own names alone
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert read_frame(state / "originals" / f"{item['id']}.png").shape == (60, 80)


@pytest.mark.process
def test_five_hundred_megabytes_over_a_socket(tmp_path: Path, dark_model: Path) -> None:
    words = ["--state", str(tmp_path / "state"), "--model", str(dark_model), "--max-bytes", str(4 << 20)]
    with (
        running(*words, "--runtime", "onnx") as (_, port, _),
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
    ):
        connection.sendall(
            b"POST /api/v1/items HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        sent = 0
        piece = bytes(1 << 20)
        try:
            for data in (head, *[piece] * 500):
                connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                sent += len(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert sent < 100 << 20  # it hung up long before the end
        assert ask(port, "GET", "/health")[0] == 200
        assert not list((tmp_path / "state" / "incoming").glob("*"))


@pytest.mark.process
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
def test_https(tmp_path: Path, dark_model: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            str(key),
            "-out",
            str(cert),
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    words = ["--state", str(tmp_path / "state"), "--model", str(dark_model), "--runtime", "onnx"]
    with running(*words, "--certfile", str(cert), "--keyfile", str(key)) as (_, port, told):
        assert f"https://127.0.0.1:{port}/" in told
        trusted = ssl.create_default_context(cafile=str(cert))
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=trusted)
        connection.request("GET", "/health")
        assert json.loads(connection.getresponse().read()) == {"status": "ok"}
        connection.close()
