"""DICOMweb against servers that fail, lie or are something else; and with TLS, passwords and tokens."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from sonoseg.errors import PacsError
from sonoseg.pacs.address import WebAddress
from sonoseg.pacs.archive import FetchOutcome, StoreOutcome
from sonoseg.pacs.client import open_archive
from sonoseg.pacs.query import Query, QueryLevel

Phantom = Callable[..., Path]
Answer = tuple[int, dict[str, str], bytes]
REFUSED, STORED, UNREACHABLE = StoreOutcome.REFUSED, StoreOutcome.STORED, StoreOutcome.UNREACHABLE
DICOM_JSON = {"Content-Type": "application/dicom+json"}


@contextmanager
def server(answer: Callable[[Any, bytes], Answer], context: ssl.SSLContext | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, told = answer(self, body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(told)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        running.socket = context.wrap_socket(running.socket, server_side=True)
    thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{running.server_address[1]}/dicom-web"
    finally:
        running.shutdown()
        running.server_close()


def open_web(url: str, **more: Any) -> Any:
    return open_archive(WebAddress(kind="web", url=url, **{"timeout": 10, **more}))


def json_answer(value: Any, status: int = 200) -> Answer:
    return status, DICOM_JSON, json.dumps(value).encode()


def item(uid: str, **reasons: int) -> dict[str, Any]:
    tags = {"failure": "00081197", "warning": "00081196"}
    found: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    return found | {tags[name]: {"vr": "US", "Value": [reason]} for name, reason in reasons.items()}


@pytest.fixture
def files(tmp_path: Path, make_phantom: Phantom) -> list[Path]:
    return [make_phantom(tmp_path / f"{k}.dcm", k) for k in range(3)]


def uid(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def test_stows_answer_is_read_per_instance(files: list[Path]) -> None:
    good, bad, silent = (uid(path) for path in files)
    answer = {
        "00081199": {"vr": "SQ", "Value": [item(good, warning=0xB000)]},
        "00081198": {"vr": "SQ", "Value": [item(bad, failure=0xA700)]},
    }
    for status in (200, 202, 409):
        with server(lambda request, body, status=status: json_answer(answer, status)) as url:
            told = open_web(url).store(files)
        assert [one.outcome for one in told] == [STORED, REFUSED, REFUSED], status
        assert [one.status for one in told] == [0xB000, 0xA700, None]
        assert told[0].reason == "the archive changed some data elements"
        assert told[1].reason == "out of resources"
        assert told[2].instance == silent
        assert "does not list it" in told[2].reason


def test_an_instance_that_is_there_already_is_stored(files: list[Path]) -> None:
    answer = {"00081198": {"vr": "SQ", "Value": [item(uid(files[0]), failure=0x0111)]}}
    with server(lambda request, body: json_answer(answer, 409)) as url:
        (told,) = open_web(url).store(files[:1])
    assert (told.outcome, told.reason) == (STORED, "the archive already had an instance of this UID")


def test_one_file_that_is_refused_does_not_keep_back_the_others(files: list[Path]) -> None:
    """An archive that answers 400 to all that a request holds: each file is tried by itself."""
    poison = uid(files[1]).encode()

    def answer(request: Any, body: bytes) -> Answer:
        return (400, {}, b"bad") if poison in body else (200, {}, b"")

    with server(answer) as url:
        told = open_web(url).store(files)
    assert [one.outcome for one in told] == [STORED, REFUSED, STORED]
    assert (told[1].status, told[1].reason) == (400, "400 Bad Request")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((status, REFUSED) for status in (400, 401, 409, 413, 415, 500, 599)),
        *((status, UNREACHABLE) for status in (302, 307, 408, 429, 502, 503, 504)),
    ],
)
def test_every_http_status_has_its_outcome(files: list[Path], status: int, outcome: StoreOutcome) -> None:
    with server(lambda request, body: (status, {"Location": "http://127.0.0.1:1/"}, b"no")) as url:
        told = open_web(url).store(files[:1])
    assert [one.outcome for one in told] == [outcome]
    assert told[0].reason


def test_nothing_is_sent_to_where_a_redirect_points(files: list[Path]) -> None:
    elsewhere: list[bytes] = []

    def other(request: Any, body: bytes) -> Answer:
        elsewhere.append(body)
        return 200, {}, b""

    with server(other) as second, server(lambda r, b: (307, {"Location": f"{second}/studies"}, b"")) as first:
        (told,) = open_web(first).store(files[:1])
        with pytest.raises(PacsError, match="redirected to another address"):
            open_web(first).echo()
    assert told.outcome is UNREACHABLE
    assert elsewhere == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {"Content-Type": "text/html"}, b"<html>Welcome</html>"), "invalid response to QIDO-RS"),
        ((200, DICOM_JSON, b"[1, 2"), "invalid response to QIDO-RS"),
        ((200, DICOM_JSON, b"[1, 2]"), "invalid response to QIDO-RS"),
        ((401, {}, b""), "401 Unauthorized. Give a user and password"),
        ((403, {}, b""), "403 Forbidden"),
        ((404, {}, b""), "404 Not Found. Check the address"),
        ((500, {}, b""), "500 Internal Server Error. Look into"),
    ],
)
def test_a_search_that_fails_says_how(answer: Answer, words: str) -> None:
    with server(lambda request, body: answer) as url, pytest.raises(PacsError) as caught:
        list(open_web(url).find(Query()))
    assert words in str(caught.value)


def test_a_server_that_says_nothing() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/dicom-web"
        with pytest.raises(PacsError, match="cannot be reached: no response in time"):
            open_web(url, timeout=0.3).echo()


def test_answers_in_pages_of_the_servers_own_length() -> None:
    """Shorter pages than asked for; a server without offset, which begins again each time, ends it too."""

    def study(number: int) -> dict[str, Any]:
        return {"0020000D": {"vr": "UI", "Value": [f"1.2.{number}"]}}

    def paged(request: Any, body: bytes) -> Answer:
        offset = int(request.path.partition("offset=")[2].partition("&")[0] or 0)
        return json_answer([study(k) for k in range(offset, min(offset + 3, 8))])

    for answer, count in ((paged, 8), (lambda request, body: json_answer([study(1), study(2)]), 2)):
        with server(answer) as url:
            assert [found.study for found in open_web(url).find(Query())] == [
                f"1.2.{k}" for k in (range(8) if count == 8 else (1, 2))
            ]


def test_another_instance_than_asked_for_is_not_kept(files: list[Path], tmp_path: Path) -> None:
    asked = dcmread(files[0])

    def answer(request: Any, body: bytes) -> Answer:
        if request.path.endswith(asked.SOPInstanceUID):
            return 200, {"Content-Type": "application/dicom"}, files[1].read_bytes()
        if "/instances" in request.path:
            found = {"00080018": asked.SOPInstanceUID, "0020000D": asked.StudyInstanceUID}
            found |= {"0020000E": asked.SeriesInstanceUID}
            return json_answer([{tag: {"vr": "UI", "Value": [value]} for tag, value in found.items()}])
        return json_answer([])

    query = Query(
        level=QueryLevel.INSTANCE,
        study=asked.StudyInstanceUID,
        series=asked.SeriesInstanceUID,
        instance=asked.SOPInstanceUID,
    )
    with server(answer) as url:
        (told,) = open_web(url).fetch(query, tmp_path / "out")
    assert (told.outcome, told.reason) == (FetchOutcome.FAILED, "the archive sent another instance")
    assert not (tmp_path / "out").exists()


def test_who_we_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def answer(request: Any, body: bytes) -> Answer:
        seen.append((request.headers.get("Authorization", ""), request.headers["Host"]))
        return json_answer([])

    (tmp_path / "netrc").write_text("machine 127.0.0.1 login another password one\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WORD_9", "hush")
    with server(answer) as url:
        open_web(url, user="me", password_variable="WORD_9").echo()
        open_web(url, token_variable="WORD_9").echo()
    basic = base64.b64encode(b"me:hush").decode()
    assert [one for one, _ in seen] == [f"Basic {basic}", "Bearer hush"]
    assert {host for _, host in seen} == {url.split("/")[2]}, "the host with its port"


def test_tls_both_ways(certificates: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.stranger))  # goes behind what the address says
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.load_verify_locations(certificates.ca)
    with server(lambda request, body: json_answer([]), context) as url:
        open_web(url, ca=certificates.ca).echo()
        for stranger in ({"ca": certificates.stranger}, {}):
            with pytest.raises(PacsError, match="cannot be reached: certificate is not trusted"):
                open_web(url, **stranger).echo()
    context.verify_mode = ssl.CERT_REQUIRED
    with server(lambda request, body: json_answer([]), context) as url:
        ours = {"certificate": certificates.client, "key": certificates.client_key}
        open_web(url, ca=certificates.ca, **ours).echo()
        with pytest.raises(PacsError, match="cannot be reached"):
            open_web(url, ca=certificates.ca).echo()


def test_many_files_go_in_several_requests(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from sonoseg.pacs import dicomweb as web

    sizes: list[int] = []

    def answer(request: Any, body: bytes) -> Answer:
        sizes.append(body.count(b"DICM"))
        return 200, {}, b""

    with server(answer) as url:
        assert all(one.stored for one in open_web(url).store(files))
        monkeypatch.setattr(web, "_BATCH_FILES", 2)
        assert all(one.stored for one in open_web(url).store(files))
        monkeypatch.setattr(web, "_BATCH_BYTES", 1)
        assert all(one.stored for one in open_web(url).store(files))
    assert sizes == [3, 2, 1, 1, 1, 1]
