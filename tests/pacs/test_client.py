"""Both ways of speaking to an archive, against a real Orthanc: the same questions, the same answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from sonoseg.errors import PacsError
from sonoseg.pacs.address import DimseAddress, WebAddress, parse_address
from sonoseg.pacs.archive import Archive, FetchOutcome, StoreOutcome
from sonoseg.pacs.client import open_archive
from sonoseg.pacs.query import Query, QueryLevel

WAYS = ("dimse", "move", "web")
Phantom = Callable[..., Path]


def address(orthanc: Any, way: str) -> DimseAddress | WebAddress:
    if way == "web":
        return parse_address(orthanc.web, timeout=30)
    options = {"retrieve": "move", "listen_port": orthanc.move_port} if way == "move" else {}
    return parse_address(orthanc.dimse, timeout=30, **options)


@pytest.fixture(params=WAYS)
def archive(request: pytest.FixtureRequest, orthanc: Any) -> Archive:
    return open_archive(address(orthanc, request.param))


@pytest.fixture
def files(tmp_path: Path, make_phantom: Phantom) -> list[Path]:
    """Study a: two images, one of them JPEG, and a JPEG clip; study b: one image."""
    return [
        make_phantom(tmp_path / "in" / "a0.dcm", 0),
        make_phantom(tmp_path / "in" / "a1.dcm", 1, jpeg=True),
        make_phantom(tmp_path / "in" / "a2.dcm", 2, jpeg=True, frames=3),
        make_phantom(tmp_path / "in" / "b0.dcm", 3, study="b", StudyDate="20250101"),
    ]


def uid(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def test_it_is_there(archive: Archive) -> None:
    archive.echo()


def test_what_is_stored_is_there_as_it_was(
    archive: Archive, orthanc: Any, files: list[Path], tmp_path: Path
) -> None:
    stored = archive.store(files)
    assert [item.path for item in stored] == files
    assert [item.outcome for item in stored] == [StoreOutcome.STORED] * 4
    assert [item.instance for item in stored] == [uid(path) for path in files]
    assert set(orthanc.instances()) == {uid(path) for path in files}
    for path in files:
        sent, kept = dcmread(path), dcmread(orthanc.read(uid(path), tmp_path / "kept.dcm"))
        assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert kept == sent


def test_stored_twice_is_there_once(archive: Archive, orthanc: Any, files: list[Path]) -> None:
    assert all(item.stored for item in archive.store(files[:2]))
    assert all(item.stored for item in archive.store(files[:2]))
    assert len(orthanc.instances()) == 2


def test_found_by_level(archive: Archive, orthanc: Any, files: list[Path]) -> None:
    for path in files:
        orthanc.put(path)
    a, b = dcmread(files[0]), dcmread(files[3])

    studies = list(archive.find(Query()))
    assert {found.study for found in studies} == {a.StudyInstanceUID, b.StudyInstanceUID}
    (one,) = archive.find(Query(patient="P-a"))
    assert (one.level, one.study, one.series) == (QueryLevel.STUDY, a.StudyInstanceUID, None)
    assert one.values["PatientID"] == "P-a"
    assert one.values["StudyDate"] == "20240229"
    assert one.values["ModalitiesInStudy"] == "US"
    assert int(one.values["NumberOfStudyRelatedInstances"]) == 3

    series = list(archive.find(Query(level=QueryLevel.SERIES, study=a.StudyInstanceUID)))
    assert {found.series for found in series} == {dcmread(files[k]).SeriesInstanceUID for k in (0, 2)}
    assert {found.study for found in series} == {a.StudyInstanceUID}

    instances = list(archive.find(Query(level=QueryLevel.INSTANCE)))
    assert sorted(found.instance or "" for found in instances) == sorted(uid(path) for path in files)
    clip = next(found for found in instances if found.instance == uid(files[2]))
    assert clip.values["SOPClassUID"] == dcmread(files[2]).SOPClassUID


@pytest.mark.parametrize(
    ("words", "studies"),
    [
        ({"accession": "ACC-b"}, "b"),
        ({"date": "20240101-20240301"}, "a"),
        ({"date": "20240301-"}, "b"),
        ({"patient": "P-*"}, "ab"),
        ({"patient": "nobody"}, ""),
        ({"modality": "US"}, "ab"),
        ({"modality": "MR"}, ""),
    ],
)
def test_found_by_value(
    archive: Archive, orthanc: Any, files: list[Path], words: dict[str, str], studies: str
) -> None:
    for path in files:
        orthanc.put(path)
    for level, many in ((QueryLevel.STUDY, {"a": 1, "b": 1}), (QueryLevel.INSTANCE, {"a": 3, "b": 1})):
        found = list(archive.find(Query.model_validate({"level": level, **words})))
        assert len(found) == sum(many[study] for study in studies)


def test_no_more_than_asked_for(archive: Archive, orthanc: Any, files: list[Path]) -> None:
    for path in files:
        orthanc.put(path)
    assert len(list(archive.find(Query(level=QueryLevel.INSTANCE, limit=2)))) == 2
    assert len(list(archive.find(Query(limit=1)))) == 1
    archive.echo()


def test_the_name_of_a_patient_is_not_asked_for(archive: Archive, orthanc: Any, files: list[Path]) -> None:
    orthanc.put(files[0])
    for level in QueryLevel:
        assert "Musterfrau" not in repr(list(archive.find(Query(level=level))))


def test_fetched_as_it_was(archive: Archive, orthanc: Any, files: list[Path], tmp_path: Path) -> None:
    for path in files:
        orthanc.put(path)
    study = str(dcmread(files[0]).StudyInstanceUID)
    out = tmp_path / "out"
    fetched = list(archive.fetch(Query(study=study), out))
    assert {item.instance for item in fetched} == {uid(path) for path in files[:3]}
    assert {item.outcome for item in fetched} == {FetchOutcome.FETCHED}, fetched
    assert {item.path for item in fetched} == set(out.iterdir())
    for path in files[:3]:
        sent, got = dcmread(path), dcmread(out / f"{uid(path)}.dcm")
        assert got.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert got == sent


def test_fetching_goes_on_where_it_was_and_replaces_nothing(
    archive: Archive, orthanc: Any, files: list[Path], tmp_path: Path
) -> None:
    for path in files:
        orthanc.put(path)
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{uid(files[0])}.dcm").write_text("mine")
    fetched = {item.instance: item for item in archive.fetch(Query(patient="P-a"), out)}
    assert fetched[uid(files[0])].outcome is FetchOutcome.EXISTS
    assert [fetched[uid(path)].outcome for path in files[1:3]] == [FetchOutcome.FETCHED] * 2
    assert (out / f"{uid(files[0])}.dcm").read_text() == "mine"
    again = list(archive.fetch(Query(patient="P-a"), out))
    assert {item.outcome for item in again} == {FetchOutcome.EXISTS}


def test_one_instance_is_fetched(archive: Archive, orthanc: Any, files: list[Path], tmp_path: Path) -> None:
    for path in files:
        orthanc.put(path)
    values = dcmread(files[1])
    query = Query(
        level=QueryLevel.INSTANCE,
        study=values.StudyInstanceUID,
        series=values.SeriesInstanceUID,
        instance=values.SOPInstanceUID,
    )
    assert [item.instance for item in archive.fetch(query, tmp_path / "out")] == [values.SOPInstanceUID]


def test_what_is_not_there_is_not_fetched(archive: Archive, tmp_path: Path) -> None:
    assert list(archive.fetch(Query(study="1.2.3"), tmp_path / "out")) == []


def test_a_folder_that_takes_nothing_ends_the_fetch(
    archive: Archive, orthanc: Any, files: list[Path], tmp_path: Path
) -> None:
    from sonoseg.errors import OutputError

    orthanc.put(files[0])
    (tmp_path / "out").write_text("a file, where a folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        list(archive.fetch(Query(patient="P-a"), tmp_path / "out"))


def test_files_that_cannot_be_sent_do_not_keep_back_the_others(
    archive: Archive, orthanc: Any, files: list[Path], tmp_path: Path
) -> None:
    text = tmp_path / "text.dcm"
    text.write_text("no DICOM at all")
    short = tmp_path / "short.dcm"
    short.write_bytes(files[0].read_bytes()[:200])
    sent = [text, files[0], tmp_path / "absent.dcm", files[1], short]
    stored = archive.store(sent)
    assert [item.path for item in stored] == sent
    assert [item.stored for item in stored] == [False, True, False, True, False]
    assert stored[0].outcome is StoreOutcome.REFUSED
    assert "not a DICOM file" in stored[0].reason
    assert "No such file" in stored[2].reason
    assert len(orthanc.instances()) == 2


def test_an_archive_that_is_down(make_orthanc: Callable[..., Any], files: list[Path], tmp_path: Path) -> None:
    mine = make_orthanc()
    ways = [open_archive(address(mine, way)) for way in WAYS]
    mine.stop()
    for archive in ways:
        with pytest.raises(PacsError, match=r"cannot be reached: Connection refused\. Check"):
            archive.echo()
        with pytest.raises(PacsError, match="cannot be reached"):
            list(archive.find(Query()))
        with pytest.raises(PacsError, match="cannot be reached"):
            list(archive.fetch(Query(patient="P-a"), tmp_path / "out"))
        stored = archive.store(files)
        assert [item.outcome for item in stored] == [StoreOutcome.UNREACHABLE] * 4
        assert "Connection refused" in stored[3].reason
    mine.start()
    for archive in ways:
        assert all(item.stored for item in archive.store(files))


def test_real_files_there_and_back(archive: Archive, orthanc: Any, real_data: Path, tmp_path: Path) -> None:
    real = sorted((real_data / "dicom").glob("*.dcm"))
    if not real:
        pytest.skip("there are no real DICOM files beside the repository")
    stored = archive.store(real)
    assert all(item.stored for item in stored), stored
    for path in real:
        values = dcmread(path)
        query = Query(
            level=QueryLevel.INSTANCE, study=values.StudyInstanceUID, instance=values.SOPInstanceUID
        )
        (got,) = archive.fetch(query, tmp_path / "out")
        assert got.path is not None
        back = dcmread(got.path)
        assert back.file_meta.TransferSyntaxUID == values.file_meta.TransferSyntaxUID
        assert back.PixelData == values.PixelData
