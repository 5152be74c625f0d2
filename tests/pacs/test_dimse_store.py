"""C-STORE to receivers that are not ours: dcmtk's, and one that answers whatever a test wants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE, evt

from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.archive import Stored, StoreOutcome
from sonoseg.pacs.client import open_archive

Phantom = Callable[..., Path]
REFUSED, STORED, UNREACHABLE = StoreOutcome.REFUSED, StoreOutcome.STORED, StoreOutcome.UNREACHABLE
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
EXPLICIT, IMPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50"


def send(port: int, files: list[Path], **more: Any) -> list[Stored]:
    address = DimseAddress(ae="KEEPER", host="127.0.0.1", port=port, **{"timeout": 20, **more})
    with open_archive(address) as archive:
        return archive.store(files)


@contextmanager
def receiver(answer: Callable[[Any], Any], syntaxes: tuple[str, ...] = (EXPLICIT, JPEG)) -> Iterator[int]:
    entity = AE(ae_title="KEEPER")
    entity.add_supported_context(ULTRASOUND, list(syntaxes))
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@pytest.fixture
def files(tmp_path: Path, make_phantom: Phantom) -> list[Path]:
    return [make_phantom(tmp_path / f"{k}.dcm", k) for k in range(4)]


def test_dcmtk_keeps_what_it_gets(storescp: Any, tmp_path: Path, make_phantom: Phantom) -> None:
    sent = [make_phantom(tmp_path / "0.dcm"), make_phantom(tmp_path / "1.dcm", 1, jpeg=True)]
    port, folder = storescp("+B", "+xy")
    # dcmtk takes one JPEG syntax and no other by +xy: the image in Explicit VR is refused by its context.
    told = send(port, sent[1:])
    assert [item.outcome for item in told] == [STORED]
    (got,) = folder.iterdir()
    assert dcmread(got).PixelData == dcmread(sent[1]).PixelData
    port, folder = storescp("+B")
    told = send(port, sent)
    assert told[0].outcome is STORED
    assert dcmread(next(folder.iterdir())) == dcmread(sent[0])
    assert told[1].outcome is REFUSED
    assert (
        told[1].reason == "the archive does not accept Ultrasound Image Storage in JPEG Baseline (Process 1)"
    )


def test_an_association_that_is_refused(storescp: Any, files: list[Path]) -> None:
    port, _ = storescp("--refuse")
    told = send(port, files)
    assert {item.outcome for item in told} == {UNREACHABLE}
    # It closes the connection right behind its refusal, which is now and then all that arrives.
    assert "association" in told[0].reason


@pytest.mark.parametrize("fault", ["--abort-after", "--abort-during"])
def test_an_association_that_is_aborted(storescp: Any, files: list[Path], fault: str) -> None:
    port, _ = storescp(fault)
    told = send(port, files)
    assert [item.path for item in told] == files
    assert {item.outcome for item in told} == {UNREACHABLE}


def test_an_archive_that_does_not_answer(storescp: Any, files: list[Path]) -> None:
    port, _ = storescp("--sleep-during", 60)
    told = send(port, files[:3], timeout=0.5)
    assert {item.outcome for item in told} == {UNREACHABLE}
    assert "no response in time" in told[0].reason


def test_one_file_that_the_archive_chokes_on(files: list[Path]) -> None:
    poison = str(dcmread(files[1]).SOPInstanceUID)

    def answer(event: Any) -> int:
        if event.request.AffectedSOPInstanceUID == poison:
            event.assoc.abort()
        return 0

    with receiver(answer) as port:
        told = send(port, files)
    assert [item.outcome for item in told] == [STORED, UNREACHABLE, STORED, STORED]


@pytest.mark.parametrize(
    ("status", "outcome", "words"),
    [
        (0x0000, STORED, ""),
        (0x0111, STORED, "the archive already had an instance of this UID"),
        (0xB000, STORED, "the archive changed some data elements"),
        (0xB006, STORED, "the archive discarded some data elements"),
        (0xB007, STORED, "the data set does not match its SOP class"),
        (0xA700, REFUSED, "out of resources"),
        (0xA7FF, REFUSED, "out of resources"),
        (0xA900, REFUSED, "the data set does not match its SOP class"),
        (0xC000, REFUSED, "the archive cannot understand the data set"),
        (0xC123, REFUSED, "the archive cannot understand the data set"),
        (0x0110, REFUSED, "processing failure"),
        (0x0122, REFUSED, "SOP class not supported"),
        (0x0124, REFUSED, "not authorised"),
        (0x1234, REFUSED, "status 1234"),
    ],
)
def test_every_status_has_its_outcome(files: list[Path], status: int, outcome: Any, words: str) -> None:
    with receiver(lambda event: status) as port:
        (told,) = send(port, files[:1])
    assert (told.outcome, told.status, told.reason) == (outcome, status, words)


def test_the_archives_own_comment_is_told(files: list[Path]) -> None:
    from pydicom import Dataset

    def answer(event: Any) -> Any:
        status = Dataset()
        status.Status, status.ErrorComment = 0xA700, "disk 3 is full"
        return status

    with receiver(answer) as port:
        (told,) = send(port, files[:1])
    assert told.reason == "out of resources: disk 3 is full"


def test_an_archive_that_takes_implicit_only(files: list[Path]) -> None:
    got = []

    def answer(event: Any) -> int:
        got.append((event.context.transfer_syntax, event.dataset))
        return 0

    with receiver(answer, (IMPLICIT,)) as port:
        (told,) = send(port, files[:1])
    assert told.outcome is STORED
    assert got[0][0] == IMPLICIT
    assert got[0][1].PixelData == dcmread(files[0]).PixelData


def test_a_slow_archive_is_waited_for(files: list[Path]) -> None:
    def answer(event: Any) -> int:
        time.sleep(0.3)
        return 0

    with receiver(answer) as port:
        assert {item.outcome for item in send(port, files[:2], timeout=30)} == {STORED}


@pytest.mark.process
def test_more_kinds_than_one_association_has_contexts(tmp_path: Path, make_phantom: Phantom) -> None:
    """128 contexts are the most (PS3.8 9.3.2.2); 70 classes in two syntaxes are 140."""
    kinds = [f"1.2.826.0.1.3680043.9.{k}" for k in range(1, 71)]
    sent = [make_phantom(tmp_path / f"{k}.dcm", k, SOPClassUID=kind) for k, kind in enumerate(kinds)]
    got: list[str] = []

    def answer(event: Any) -> int:
        got.append(event.request.AffectedSOPClassUID)
        return 0

    entity = AE(ae_title="KEEPER")
    for kind in kinds:
        entity.add_supported_context(kind, [EXPLICIT, IMPLICIT])
    from pynetdicom import _config

    server = None
    try:
        _config.UNRESTRICTED_STORAGE_SERVICE = True
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
        assert server is not None
        told = send(server.server_address[1], sent)
    finally:
        _config.UNRESTRICTED_STORAGE_SERVICE = False
        if server is not None:
            server.shutdown()
    assert {item.outcome for item in told} == {STORED}, told
    assert got == kinds
