"""The Storage SCP with pynetdicom as SCU: what it accepts, its responses, and whom it refuses."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from sonoseg.errors import OutputError, UsageError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.archive import StoreOutcome
from sonoseg.pacs.dimse_store import store
from sonoseg.pacs.node_settings import load_settings
from sonoseg.pacs.storage_scp import CONFLICT_COMMENT, StorageScp

StartScp = Callable[..., Any]
Send = Callable[..., list[int | None]]


def test_stored_file_equals_the_sent_instance(
    tmp_path: Path, start_scp: StartScp, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    scp = start_scp()
    files = [
        make_phantom(tmp_path / "still.dcm", 1),
        make_phantom(tmp_path / "clip.dcm", 1, frames=3, jpeg=True),
    ]
    assert sender(scp.port, files) == [0x0000, 0x0000]
    for path in files:
        sent = pydicom.dcmread(path)
        row = scp.queue.row(str(sent.SOPInstanceUID))
        assert row is not None
        kept = pydicom.dcmread(scp.queue.source_path(row.uid))
        assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID == row.syntax
        assert kept.PixelData == sent.PixelData
        assert (row.sop_class, row.sender, row.address) == (sent.SOPClassUID, "SCANNER", "127.0.0.1")
    assert scp.woken == 2
    assert [one["event"] for one in scp.events()] == ["association", "received", "received"]
    assert "Erika" not in scp.audit.path.read_text("utf-8")


def test_instance_sent_twice_is_queued_once(
    tmp_path: Path, start_scp: StartScp, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    scp = start_scp()
    path = make_phantom(tmp_path / "one.dcm", 1)
    assert sender(scp.port, [path, path]) + sender(scp.port, [path]) == [0x0000] * 3
    assert len(scp.queue.rows()) == 1
    assert [one["acceptance"] for one in scp.events() if one["event"] == "received"] == [
        "new",
        "duplicate",
        "duplicate",
    ]


def test_other_pixels_under_the_same_uid_are_refused_and_the_status_says_so(
    tmp_path: Path, start_scp: StartScp, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    """A C-STORE failure (PS3.4 table B.2-1), so that no sender takes it for success."""
    scp = start_scp()
    path = make_phantom(tmp_path / "one.dcm", 1)
    assert sender(scp.port, [path]) == [0x0000]
    changed = pydicom.dcmread(path)
    changed.PixelData = bytes(reversed(changed.PixelData))
    changed.save_as(tmp_path / "changed.dcm")
    (outcome,) = store(
        DimseAddress(ae="SONOSEG", host="127.0.0.1", port=scp.port), [tmp_path / "changed.dcm"]
    )
    assert (outcome.outcome, outcome.status) == (StoreOutcome.REFUSED, 0xC111)
    assert outcome.reason.endswith(CONFLICT_COMMENT)
    assert len(CONFLICT_COMMENT) <= 64, "LO"
    assert scp.woken == 1
    (row,) = scp.queue.rows()
    assert pydicom.dcmread(scp.queue.source_path(row.uid)).PixelData == pydicom.dcmread(path).PixelData
    refused = scp.events()[-1]
    assert (refused["event"], refused["status"], refused["instance"]) == ("refused", "0xC111", row.uid)
    scp.queue.add_results(row.uid, [])
    scp.queue.mark_stored(row.uid, [])
    assert sender(scp.port, [tmp_path / "changed.dcm"]) == [0x0000]
    assert scp.events()[-1]["acceptance"] == "new version"
    assert pydicom.dcmread(scp.queue.source_path(row.uid)).PixelData == changed.PixelData


def test_unknown_ae_titles_are_rejected(
    tmp_path: Path, start_scp: StartScp, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    scp = start_scp(allow=["SCANNER", "ROOM 2"])
    path = make_phantom(tmp_path / "one.dcm", 1)
    assert sender(scp.port, [path], ae="STRANGER") == [None]
    assert sender(scp.port, [path], called="ANOTHER") == [None]
    assert scp.queue.rows() == []
    assert sender(scp.port, [path], ae="ROOM 2") == [0x0000]
    refused = [one for one in scp.events() if one["event"] == "association-refused"]
    assert [(one["sender"], one["called"]) for one in refused] == [
        ("STRANGER", "SONOSEG"),
        ("SCANNER", "ANOTHER"),
    ]


def test_any_called_ae_title_without_require_called_ae(
    tmp_path: Path, start_scp: StartScp, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    scp = start_scp(require_called_ae=False)
    assert sender(scp.port, [make_phantom(tmp_path / "one.dcm", 1)], called="ANOTHER") == [0x0000]


def test_only_ultrasound_contexts_are_accepted(start_scp: StartScp) -> None:
    from pynetdicom import AE, build_context

    scp = start_scp()
    mammogram = "1.2.840.10008.5.1.4.1.1.1.2"
    wanted = [
        build_context(mammogram),
        build_context("1.2.840.10008.5.1.4.1.1.6.1"),
        build_context("1.2.840.10008.1.1"),
    ]
    association = AE("SCANNER").associate("127.0.0.1", scp.port, contexts=wanted, ae_title="SONOSEG")
    assert [str(one.abstract_syntax) for one in association.rejected_contexts] == [mammogram]
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_full_disk_responds_out_of_resources(
    tmp_path: Path,
    start_scp: StartScp,
    sender: Send,
    make_phantom: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scp = start_scp()
    path = make_phantom(tmp_path / "one.dcm", 1)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert sender(scp.port, [path]) == [0xA700]
    assert scp.queue.rows() == []
    assert list((scp.settings.state / "incoming").iterdir()) == []
    assert scp.events()[-1]["status"] == "0xA700"
    assert sender(scp.port, [path]) == [0x0000], "a later attempt succeeds"


def test_no_success_before_the_row_is_written(
    tmp_path: Path,
    start_scp: StartScp,
    sender: Send,
    make_phantom: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scp = start_scp()

    def fails(*_: object) -> bool:
        raise OutputError("the disk is full")

    monkeypatch.setattr(scp.queue, "_insert", fails)
    assert sender(scp.port, [make_phantom(tmp_path / "one.dcm", 1)]) == [0xA700]
    assert scp.woken == 0


def test_keep_free_responds_out_of_resources(
    tmp_path: Path, start_scp: StartScp, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    scp = start_scp(limits={"keep_free": 1 << 60})
    scp.queue._keep_free = scp.settings.limits.keep_free
    assert sender(scp.port, [make_phantom(tmp_path / "one.dcm", 1)]) == [0xA700]


def test_instance_above_max_bytes_aborts_the_association(
    tmp_path: Path, start_scp: StartScp, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    scp = start_scp(limits={"max_bytes": 200_000})
    large = make_phantom(tmp_path / "large.dcm", 1, frames=60)
    assert sender(scp.port, [large]) == [None]
    assert scp.queue.rows() == []
    assert sender(scp.port, [make_phantom(tmp_path / "small.dcm", 1)]) == [0x0000]


def test_undecodable_data_set_is_stored_unchanged(
    tmp_path: Path, start_scp: StartScp, make_phantom: Callable[..., Path]
) -> None:
    """No data set is decoded before it is on disk, corrupt or not."""
    from io import BytesIO

    from pynetdicom import AE, build_context
    from pynetdicom.dimse_primitives import C_STORE

    scp = start_scp()
    context = build_context("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.1.2.1")
    association = AE("SCANNER").associate("127.0.0.1", scp.port, contexts=[context], ae_title="SONOSEG")

    def store(uid: str, sop_class: str = "1.2.840.10008.5.1.4.1.1.6.1") -> int:
        request = C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, uid
        request.DataSet = BytesIO(b"\x08\x00\x18\x00UI\xff\xff" + bytes(100))
        # As pynetdicom's own requests do: otherwise its thread may take the response first.
        association._reactor_checkpoint.clear()
        while not association._is_paused:
            time.sleep(0.01)
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        return int(answer.Status)

    assert store("1.2.3") == 0x0000
    assert scp.queue.source_path("1.2.3").read_bytes().endswith(bytes(100))
    assert store("1.2.4", "1.2.840.10008.5.1.4.1.1.3.1") == 0xA900
    association.release()
    assert [row.uid for row in scp.queue.rows()] == ["1.2.3"]


def test_port_in_use(tmp_path: Path, start_scp: StartScp) -> None:
    scp = start_scp()
    settings = load_settings(None, archive="A@localhost:1", port=scp.port, state=tmp_path / "other")
    with pytest.raises(UsageError, match="cannot listen"):
        StorageScp(settings, scp.queue, scp.audit)


# TLS


@pytest.fixture(scope="module")
def pem_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority (ca.pem), and what it signed: node.pem and scanner.pem, each with its key in it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")

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


def client(pem_folder: Path, *, certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pem_folder / "ca.pem"))
    context.check_hostname = False
    if certificate:
        context.load_cert_chain(pem_folder / "scanner.pem")
    return context


def test_tls(
    tmp_path: Path, start_scp: StartScp, sender: Send, make_phantom: Callable[..., Path], pem_folder: Path
) -> None:
    scp = start_scp(tls={"certificate": pem_folder / "node.pem"})
    path = make_phantom(tmp_path / "one.dcm", 1)
    with socket.create_connection(("127.0.0.1", scp.port)):  # sends nothing, and does not block others
        assert sender(scp.port, [path], tls_args=(client(pem_folder, certificate=False), "node")) == [0x0000]
    assert sender(scp.port, [path]) == [None], "not without TLS"
    assert len(scp.queue.rows()) == 1


def test_tls_with_client_certificate(
    tmp_path: Path, start_scp: StartScp, sender: Send, make_phantom: Callable[..., Path], pem_folder: Path
) -> None:
    scp = start_scp(tls={"certificate": pem_folder / "node.pem", "ca": pem_folder / "ca.pem"})
    path = make_phantom(tmp_path / "one.dcm", 1)
    assert sender(scp.port, [path], tls_args=(client(pem_folder, certificate=False), "node")) == [None]
    assert sender(scp.port, [path], tls_args=(client(pem_folder, certificate=True), "node")) == [0x0000]


def test_unusable_certificate_files(tmp_path: Path, start_scp: StartScp, pem_folder: Path) -> None:
    for tls in (
        {"certificate": tmp_path / "none.pem"},
        {"certificate": pem_folder / "node.crt"},
        {"certificate": pem_folder / "node.crt", "key": pem_folder / "scanner.key"},
        {"certificate": pem_folder / "node.pem", "ca": pem_folder / "node.key"},
    ):
        with pytest.raises(UsageError, match="cannot be used"):
            start_scp(tls=tls)
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
