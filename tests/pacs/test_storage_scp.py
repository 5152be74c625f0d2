"""The Storage SCP with pynetdicom as SCU: what it accepts, its responses, and whom it refuses."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from sonoseg.errors import OutputError, UsageError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.archive import StoreOutcome
from sonoseg.pacs.audit import Audit
from sonoseg.pacs.dimse_store import store
from sonoseg.pacs.node_settings import load_settings
from sonoseg.pacs.queue import InstanceQueue
from sonoseg.pacs.storage_scp import CONFLICT_COMMENT, StorageScp

Listening = Callable[..., "Ears"]
Send = Callable[..., list[int | None]]


class Ears:
    """A receiver with its queue."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.settings = load_settings(
            None, archive="A@localhost:1", port=0, state=folder / "state", **options
        )
        self.queue = InstanceQueue(self.settings.state, model="m")
        self.audit = Audit(folder / "audit.jsonl")
        self.woken = 0
        self.receiver = StorageScp(self.settings, self.queue, self.audit, self._wake)
        self.port = self.receiver.port
        self.receiver.start()

    def _wake(self) -> None:
        self.woken += 1

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.path.read_text("utf-8").splitlines()]

    def close(self) -> None:
        self.receiver.stop(patience=0.2)
        self.queue.close()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    made: list[Ears] = []

    def make(**options: Any) -> Ears:
        made.append(Ears(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_an_instance_arrives_as_it_was_sent(
    tmp_path: Path, listening: Listening, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    ears = listening()
    files = [
        make_phantom(tmp_path / "still.dcm", 1),
        make_phantom(tmp_path / "clip.dcm", 1, frames=3, jpeg=True),
    ]
    assert sender(ears.port, files) == [0x0000, 0x0000]
    for path in files:
        sent = pydicom.dcmread(path)
        row = ears.queue.row(str(sent.SOPInstanceUID))
        assert row is not None
        kept = pydicom.dcmread(ears.queue.source_path(row.uid))
        assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID == row.syntax
        assert kept.PixelData == sent.PixelData
        assert (row.sop_class, row.sender, row.address) == (sent.SOPClassUID, "SCANNER", "127.0.0.1")
    assert ears.woken == 2
    assert [one["event"] for one in ears.events()] == ["association", "received", "received"]
    assert "Erika" not in ears.audit.path.read_text("utf-8")


def test_the_same_instance_twice_is_taken_once(
    tmp_path: Path, listening: Listening, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    ears = listening()
    path = make_phantom(tmp_path / "one.dcm", 1)
    assert sender(ears.port, [path, path]) + sender(ears.port, [path]) == [0x0000] * 3
    assert len(ears.queue.rows()) == 1
    assert [one["acceptance"] for one in ears.events() if one["event"] == "received"] == [
        "new",
        "duplicate",
        "duplicate",
    ]


def test_other_pixels_under_the_same_uid_are_refused_and_the_status_says_so(
    tmp_path: Path, listening: Listening, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    """A C-STORE failure (PS3.4 table B.2-1), so that no sender takes it for success."""
    ears = listening()
    path = make_phantom(tmp_path / "one.dcm", 1)
    assert sender(ears.port, [path]) == [0x0000]
    changed = pydicom.dcmread(path)
    changed.PixelData = bytes(reversed(changed.PixelData))
    changed.save_as(tmp_path / "changed.dcm")
    (outcome,) = store(
        DimseAddress(ae="SONOSEG", host="127.0.0.1", port=ears.port), [tmp_path / "changed.dcm"]
    )
    assert (outcome.outcome, outcome.status) == (StoreOutcome.REFUSED, 0xC111)
    assert outcome.reason.endswith(CONFLICT_COMMENT)
    assert len(CONFLICT_COMMENT) <= 64, "LO"
    assert ears.woken == 1
    (row,) = ears.queue.rows()
    assert pydicom.dcmread(ears.queue.source_path(row.uid)).PixelData == pydicom.dcmread(path).PixelData
    refused = ears.events()[-1]
    assert (refused["event"], refused["status"], refused["instance"]) == ("refused", "0xC111", row.uid)
    ears.queue.add_results(row.uid, [])
    ears.queue.mark_stored(row.uid, [])
    assert sender(ears.port, [tmp_path / "changed.dcm"]) == [0x0000]
    assert ears.events()[-1]["acceptance"] == "new version"
    assert pydicom.dcmread(ears.queue.source_path(row.uid)).PixelData == changed.PixelData


def test_who_is_not_on_the_list_is_refused(
    tmp_path: Path, listening: Listening, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    ears = listening(allow=["SCANNER", "ROOM 2"])
    path = make_phantom(tmp_path / "one.dcm", 1)
    assert sender(ears.port, [path], ae="STRANGER") == [None]
    assert sender(ears.port, [path], called="ANOTHER") == [None]
    assert ears.queue.rows() == []
    assert sender(ears.port, [path], ae="ROOM 2") == [0x0000]
    refused = [one for one in ears.events() if one["event"] == "association-refused"]
    assert [(one["sender"], one["called"]) for one in refused] == [
        ("STRANGER", "SONOSEG"),
        ("SCANNER", "ANOTHER"),
    ]


def test_another_title_may_be_called_where_that_is_wanted(
    tmp_path: Path, listening: Listening, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    ears = listening(require_called_ae=False)
    assert sender(ears.port, [make_phantom(tmp_path / "one.dcm", 1)], called="ANOTHER") == [0x0000]


def test_only_ultrasound_is_taken(listening: Listening) -> None:
    from pynetdicom import AE, build_context

    ears = listening()
    mammogram = "1.2.840.10008.5.1.4.1.1.1.2"
    wanted = [
        build_context(mammogram),
        build_context("1.2.840.10008.5.1.4.1.1.6.1"),
        build_context("1.2.840.10008.1.1"),
    ]
    association = AE("SCANNER").associate("127.0.0.1", ears.port, contexts=wanted, ae_title="SONOSEG")
    assert [str(one.abstract_syntax) for one in association.rejected_contexts] == [mammogram]
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_a_full_disk_is_answered_with_out_of_resources(
    tmp_path: Path,
    listening: Listening,
    sender: Send,
    make_phantom: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ears = listening()
    path = make_phantom(tmp_path / "one.dcm", 1)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert sender(ears.port, [path]) == [0xA700]
    assert ears.queue.rows() == []
    assert list((ears.settings.state / "incoming").iterdir()) == []
    assert ears.events()[-1]["status"] == "0xA700"
    assert sender(ears.port, [path]) == [0x0000], "and later it has room"


def test_success_is_said_only_after_the_row_is_there(
    tmp_path: Path,
    listening: Listening,
    sender: Send,
    make_phantom: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ears = listening()

    def fails(*_: object) -> bool:
        raise OutputError("the disk is full")

    monkeypatch.setattr(ears.queue, "_insert", fails)
    assert sender(ears.port, [make_phantom(tmp_path / "one.dcm", 1)]) == [0xA700]
    assert ears.woken == 0


def test_a_little_room_is_kept_for_results(
    tmp_path: Path, listening: Listening, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    ears = listening(limits={"keep_free": 1 << 60})
    ears.queue._keep_free = ears.settings.limits.keep_free
    assert sender(ears.port, [make_phantom(tmp_path / "one.dcm", 1)]) == [0xA700]


def test_an_instance_beyond_the_limit_ends_its_association(
    tmp_path: Path, listening: Listening, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    ears = listening(limits={"max_bytes": 200_000})
    large = make_phantom(tmp_path / "large.dcm", 1, frames=60)
    assert sender(ears.port, [large]) == [None]
    assert ears.queue.rows() == []
    assert sender(ears.port, [make_phantom(tmp_path / "small.dcm", 1)]) == [0x0000]


def test_a_file_that_is_no_image_is_kept_as_it_is(
    tmp_path: Path, listening: Listening, make_phantom: Callable[..., Path]
) -> None:
    """Nothing is decoded before it is on disk: whoever says success has kept it, corrupt or not."""
    from io import BytesIO

    from pynetdicom import AE, build_context
    from pynetdicom.dimse_primitives import C_STORE

    ears = listening()
    context = build_context("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.1.2.1")
    association = AE("SCANNER").associate("127.0.0.1", ears.port, contexts=[context], ae_title="SONOSEG")

    def store(uid: str, sop_class: str = "1.2.840.10008.5.1.4.1.1.6.1") -> int:
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, uid
        request.DataSet = BytesIO(b"\x08\x00\x18\x00UI\xff\xff" + bytes(100))
        # As pynetdicom's own requests do: else its thread may take the answer first.
        association._reactor_checkpoint.clear()
        while not association._is_paused:
            time.sleep(0.01)
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        return int(answer.Status)

    assert store("1.2.3") == 0x0000
    assert ears.queue.source_path("1.2.3").read_bytes().endswith(bytes(100))
    assert store("1.2.4", "1.2.840.10008.5.1.4.1.1.3.1") == 0xA900
    association.release()
    assert [row.uid for row in ears.queue.rows()] == ["1.2.3"]


def test_a_place_that_is_taken(tmp_path: Path, listening: Listening) -> None:
    ears = listening()
    settings = load_settings(None, archive="A@localhost:1", port=ears.port, state=tmp_path / "other")
    with pytest.raises(UsageError, match="cannot listen"):
        StorageScp(settings, ears.queue, ears.audit)


# TLS


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority (ca.pem), and what it signed: node.pem and scanner.pem, each with its key in it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("papers")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *curve, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("node", "scanner"):
        openssl("req", *curve[:5], "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                "-set_serial", str(len(name)), "-out", f"{name}.crt")  # fmt: skip
        both = (folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text()
        (folder / f"{name}.pem").write_text(both)
    return folder


def client(papers: Path, *, shown: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(papers / "ca.pem"))
    context.check_hostname = False
    if shown:
        context.load_cert_chain(papers / "scanner.pem")
    return context


def test_over_tls(
    tmp_path: Path, listening: Listening, sender: Send, make_phantom: Callable[..., Path], papers: Path
) -> None:
    ears = listening(tls={"certificate": papers / "node.pem"})
    path = make_phantom(tmp_path / "one.dcm", 1)
    with socket.create_connection(("127.0.0.1", ears.port)):  # says nothing, and keeps nobody out
        assert sender(ears.port, [path], tls_args=(client(papers, shown=False), "node")) == [0x0000]
    assert sender(ears.port, [path]) == [None], "not without TLS"
    assert len(ears.queue.rows()) == 1


def test_over_tls_with_the_callers_certificate(
    tmp_path: Path, listening: Listening, sender: Send, make_phantom: Callable[..., Path], papers: Path
) -> None:
    ears = listening(tls={"certificate": papers / "node.pem", "ca": papers / "ca.pem"})
    path = make_phantom(tmp_path / "one.dcm", 1)
    assert sender(ears.port, [path], tls_args=(client(papers, shown=False), "node")) == [None]
    assert sender(ears.port, [path], tls_args=(client(papers, shown=True), "node")) == [0x0000]


def test_papers_that_are_none(tmp_path: Path, listening: Listening, papers: Path) -> None:
    for tls in (
        {"certificate": tmp_path / "none.pem"},
        {"certificate": papers / "node.crt"},
        {"certificate": papers / "node.crt", "key": papers / "scanner.key"},
        {"certificate": papers / "node.pem", "ca": papers / "node.key"},
    ):
        with pytest.raises(UsageError, match="cannot be used"):
            listening(tls=tls)
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
