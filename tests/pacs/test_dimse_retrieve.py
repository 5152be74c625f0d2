"""C-GET and C-MOVE from archives that break off, send what was not asked for, or do not know us."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, evt

from sonoseg.errors import PacsError, UsageError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.archive import FetchOutcome
from sonoseg.pacs.client import open_archive
from sonoseg.pacs.query import Query, QueryLevel

Phantom = Callable[..., Path]
FIND, GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
EXPLICIT = "1.2.840.10008.1.2.1"
FETCHED, FAILED, THERE = FetchOutcome.FETCHED, FetchOutcome.FAILED, FetchOutcome.EXISTS


@pytest.fixture
def images(tmp_path: Path, make_phantom: Phantom) -> list[Dataset]:
    return [dcmread(make_phantom(tmp_path / "in" / f"{k}.dcm", k)) for k in range(3)]


@contextmanager
def server(images: list[Dataset], sends: Callable[[Any], Iterator[Any]]) -> Iterator[int]:
    """An archive that lists `images` at the level of instances, and answers C-GET as `sends` says."""

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for image in images:
            answer = Dataset()
            for word in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
                setattr(answer, word, image[word].value)
            answer.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
            yield 0xFF00, answer

    entity = AE(ae_title="PACS")
    entity.add_supported_context(FIND)
    entity.add_supported_context(GET)
    entity.add_supported_context(ULTRASOUND, EXPLICIT, scu_role=True, scp_role=True)
    handlers: list[Any] = [(evt.EVT_C_FIND, find), (evt.EVT_C_GET, sends)]
    running = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert running is not None
    try:
        yield running.server_address[1]
    finally:
        running.shutdown()


def fetch(port: int, images: list[Dataset], folder: Path) -> dict[str, Any]:
    query = Query(
        level=QueryLevel.INSTANCE, study=images[0].StudyInstanceUID, series=images[0].SeriesInstanceUID
    )
    address = DimseAddress(ae="PACS", host="127.0.0.1", port=port, timeout=10)
    return {item.instance: item for item in open_archive(address).fetch(query, folder)}


def test_unrequested_instances_are_refused(
    images: list[Dataset], tmp_path: Path, make_phantom: Phantom
) -> None:
    stranger = dcmread(make_phantom(tmp_path / "in" / "stranger.dcm", 9, study="z"))

    def sends(event: Any) -> Iterator[Any]:
        yield 3
        for image in (stranger, images[0], images[0]):
            yield 0xFF00, image

    with server(images[:1], sends) as port:
        told = fetch(port, images, tmp_path / "out")
    assert {uid: item.outcome for uid, item in told.items()} == {images[0].SOPInstanceUID: FETCHED}
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{images[0].SOPInstanceUID}.dcm"]


def test_interrupted_fetch_resumes(images: list[Dataset], tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def breaks(event: Any) -> Iterator[Any]:
        yield 3
        yield 0xFF00, images[0]
        event.assoc.abort()

    def sends(event: Any) -> Iterator[Any]:
        uids = event.identifier.SOPInstanceUID
        asked.append([str(uid) for uid in ([uids] if isinstance(uids, str) else uids)])
        wanted = [image for image in images if image.SOPInstanceUID in asked[-1]]
        yield len(wanted)
        for image in wanted:
            yield 0xFF00, image

    with server(images, breaks) as port:
        told = fetch(port, images, tmp_path / "out")
    outcomes = [told[image.SOPInstanceUID].outcome for image in images]
    assert outcomes == [FETCHED, FAILED, FAILED]
    assert told[images[1].SOPInstanceUID].reason == "the archive stopped responding"
    with server(images, sends) as port:
        told = fetch(port, images, tmp_path / "out")
    assert [told[image.SOPInstanceUID].outcome for image in images] == [THERE, FETCHED, FETCHED]
    assert asked == [[str(image.SOPInstanceUID) for image in images[1:]]]
    for image in images:
        assert dcmread(tmp_path / "out" / f"{image.SOPInstanceUID}.dcm") == image
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_archive_that_refuses(images: list[Dataset], tmp_path: Path) -> None:
    def refuses(event: Any) -> Iterator[Any]:
        yield 3
        yield 0xA702, None

    with server(images, refuses) as port:
        told = fetch(port, images, tmp_path / "out")
    assert {item.outcome for item in told.values()} == {FAILED}
    assert {item.reason for item in told.values()} == {"out of resources: cannot perform sub-operations"}


def test_failed_query_has_its_status(images: list[Dataset], tmp_path: Path) -> None:
    def fails(event: Any) -> Iterator[Any]:
        yield 0xA700, None

    entity = AE(ae_title="PACS")
    entity.add_supported_context(FIND)
    running = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, fails)])
    assert running is not None
    try:
        with pytest.raises(PacsError, match="C-FIND failed with A700: out of resources"):
            fetch(running.server_address[1], images, tmp_path / "out")
    finally:
        running.shutdown()


def test_move_to_an_unreachable_ae_title(orthanc: Any, tmp_path: Path, make_phantom: Phantom) -> None:
    orthanc.put(make_phantom(tmp_path / "0.dcm"))
    orthanc.rest("/modalities/other", "PUT", {"AET": "OTHER", "Host": "127.0.0.1", "Port": 1})
    address = DimseAddress(
        ae="ORTHANC",
        host="127.0.0.1",
        port=orthanc.port,
        our_ae="OTHER",  # known, but at a port where nobody listens
        retrieve="move",
        listen_port=orthanc.move_port,
        timeout=20,
    )
    (told,) = open_archive(address).fetch(Query(patient="P-a"), tmp_path / "out")
    assert told.outcome is FAILED
    assert told.reason
    assert not (tmp_path / "out").exists()
    orthanc.rest("/modalities/other", "DELETE")


def test_port_in_use(orthanc: Any, tmp_path: Path, make_phantom: Phantom) -> None:
    orthanc.put(make_phantom(tmp_path / "0.dcm"))
    address = DimseAddress(
        ae="ORTHANC", host="127.0.0.1", port=orthanc.port, retrieve="move", listen_port=orthanc.http_port
    )
    with pytest.raises(UsageError, match="cannot listen: Address already in use"):
        list(open_archive(address).fetch(Query(patient="P-a"), tmp_path / "out"))


def test_dcmtk_finds_stored_instances(
    orthanc: Any, tmp_path: Path, make_phantom: Phantom, dcmtk: Callable[..., Any]
) -> None:
    """An independent client sees the same archive: findscu and getscu against what our C-STORE left there."""
    path = make_phantom(tmp_path / "0.dcm")
    source = dcmread(path)
    with open_archive(DimseAddress(ae="ORTHANC", host="127.0.0.1", port=orthanc.port)) as archive:
        assert archive.store([path])[0].stored
        (found,) = archive.find(Query())
    calls = ("-aet", "SONOSEG", "-aec", "ORTHANC", "127.0.0.1", orthanc.port)
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", "-k", "PatientID=P-a")
    told = dcmtk("findscu", "-S", *calls, *keys)
    assert found.study == source.StudyInstanceUID
    assert str(source.StudyInstanceUID) in told.stdout + told.stderr
    (tmp_path / "got").mkdir()
    dcmtk(
        *("getscu", "-S", "-od", tmp_path / "got", *calls, "-k", "QueryRetrieveLevel=STUDY"),
        *("-k", f"StudyInstanceUID={source.StudyInstanceUID}"),
    )
    (got,) = (tmp_path / "got").iterdir()
    assert dcmread(got).PixelData == source.PixelData
