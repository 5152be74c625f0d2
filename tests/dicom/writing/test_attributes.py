"""Attributes copied from the source, attributes left out, and names kept out of logs."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from sonoseg.dicom.writing.attributes import TYPE_2, encode, read_source, require_dicom
from sonoseg.dicom.writing.capture import make_capture
from sonoseg.dicom.writing.seg import make_seg
from sonoseg.dicom.writing.sr import make_sr
from sonoseg.errors import InputError, MissingExtra

Case = tuple[Path, list[Any], list[Any]]

SECRETS = (
    "Musterfrau",
    "Erika",
    "MF-1234",
    "19610412",
    "20240229",
    "101500",
    "S-77",
    "ACC-9",
    "berweis",
    "Mammasonographie",
    "Klinik",
    "KRANKENHAUS",
)


def objects(case: Case, **options: Any) -> Iterator[Dataset]:
    """One of each kind, as a reader gets it."""
    source, segmentations, findings = case
    seg = make_seg(*case, **options)
    made = [
        seg,
        make_seg(*case, fractional=True, **options),
        make_sr(*case, seg=seg, **options),
        make_capture(source, segmentations[0], findings[0], **options),
    ]
    for one in made:
        yield pydicom.dcmread(pydicom.filebase.DicomBytesIO(encode(one)))


@pytest.mark.process
def test_patient_and_study_are_copied(still: Case, clip: Case) -> None:
    for case in (still, clip):
        image = pydicom.dcmread(case[0])
        for one in objects(case):
            for keyword in TYPE_2:
                assert one[keyword].value == image[keyword].value, keyword
            assert one.StudyDescription == image.StudyDescription
            assert one.SpecificCharacterSet == "ISO_IR 192"
            assert "InstitutionName" not in one


def test_anonymise_removes_the_patient(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    case = make_case(
        tmp_path,
        OtherPatientNames="Musterfrau^E",
        PatientAddress="KRANKENHAUS 1",
        IssuerOfPatientID="KRANKENHAUS",
        PatientComments="Erika",
        OperatorsName="Musterfrau",
        StationName="KRANKENHAUS",
        FrameOfReferenceUID="1.2.3",
    )
    for one in objects(case, anonymise=True):
        content = encode(one)
        for secret in SECRETS:
            assert secret.encode() not in content, (one.Modality, secret)
        values = "\n".join(str(element.value) for element in one.iterall() if element.keyword != "PixelData")
        for secret in SECRETS:
            assert secret not in values, (one.Modality, secret)
        for keyword in TYPE_2:
            assert keyword in one
            assert not one[keyword].value, keyword
        assert one.ContentDate == "19000101"
        for keyword in ("InstanceCreationDate", "InstanceCreationTime", "DateOfSecondaryCapture"):
            assert keyword not in one
        if one.Modality != "OT":  # the capture shows pixels in which text may be: test_capture
            assert one.PatientIdentityRemoved == "YES"
            assert one.DeidentificationMethod


def test_only_needed_attributes_are_copied(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    case = make_case(tmp_path, PatientAddress="KRANKENHAUS 1", PatientComments="Erika", PatientAge="063Y")
    for one in objects(case):
        for keyword in ("PatientAddress", "PatientComments", "PatientAge", "InstitutionName"):
            assert keyword not in one


def test_anonymised_source(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    case = make_case(
        tmp_path, patient=False, PatientName="Anonymized2", PatientIdentityRemoved="YES", PatientSex=""
    )
    for one in objects(case):
        assert one.PatientName == "Anonymized2"
        assert one.PatientIdentityRemoved == "YES"
        assert one.DeidentificationMethod  # of Type 1C, though the source has forgotten it
        for keyword in TYPE_2:
            assert keyword in one


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientBirthDate", "1961.04"), ("StudyDate", "20241301"), ("StudyTime", "25:61"), ("PatientSex", "X")],
)
def test_invalid_values_are_blanked(
    keyword: str, value: str, tmp_path: Path, make_case: Callable[..., Case]
) -> None:
    with pydicom.config.disable_value_validation():
        case = make_case(tmp_path, **{keyword: value})
        for one in objects(case):
            assert not one[keyword].value


@pytest.mark.filterwarnings("error")
def test_a_name_reaches_no_log_and_no_warning(
    tmp_path: Path,
    make_case: Callable[..., Case],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    case = make_case(tmp_path, PatientName="Musterfrau", ReferringPhysicianName="Musterfrau")
    assert [one.PatientName for one in objects(case)] == ["Musterfrau"] * 4
    out, err = capfd.readouterr()
    assert "Musterfrau" not in out + err + caplog.text


def test_invalid_values_are_never_quoted(
    tmp_path: Path, make_case: Callable[..., Case], recwarn: pytest.WarningsRecorder
) -> None:
    with pydicom.config.disable_value_validation():
        odd = make_case(tmp_path, PatientID="Musterfrau" * 9, SpecificCharacterSet="ISO-IR 100")
    recwarn.clear()
    for _ in objects(odd):
        pass
    assert not [one for one in recwarn if "Musterfrau" in str(one.message) or "charset" in one.filename]


def test_invalid_numbers(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    with pydicom.config.disable_value_validation():
        case = make_case(tmp_path)
        content = case[0].read_bytes()
    tag = b"\x20\x00\x11\x00IS\x02\x00"  # SeriesNumber, explicit VR
    assert content.count(tag) == 1
    place = content.index(tag) + len(tag)
    case[0].write_bytes(content[:place] + b"x!" + content[place + 2 :])
    assert [one.SeriesNumber for one in objects(case)] == [1901, 1901, 1902, 1903]


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID"])
def test_invalid_uid_is_refused(keyword: str, tmp_path: Path, make_case: Callable[..., Case]) -> None:
    with pydicom.config.disable_value_validation():
        case = make_case(tmp_path, **{keyword: "1.2.x"})
    with pytest.raises(InputError, match=f"{keyword} is missing or invalid"):
        read_source(case[0])


def test_non_latin_names(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    name = "Müller^Zoë=山田^花子"
    for one in objects(make_case(tmp_path, PatientName=name)):
        assert str(one.PatientName) == name


@pytest.mark.process
def test_series_and_instance_numbers_are_in_range(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    case = make_case(tmp_path, SeriesNumber=2_000_000_000, InstanceNumber=None)
    assert [one.SeriesNumber for one in objects(case)] == [901, 901, 902, 903]
    assert [one.InstanceNumber for one in objects(case)] == [1, 1, 1, 1]


def test_invalid_number_of_frames(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    case = make_case(tmp_path, frames=1)
    assert read_source(case[0]).frames == 1
    for one in objects(case):
        assert one.InstanceNumber == 70001


def test_missing_libraries_are_named(still: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonoseg._util.packages.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"sonoseg\[dicom\]"):
        require_dicom()
    with pytest.raises(MissingExtra):
        make_seg(*still)


@pytest.mark.process
def test_the_writers_load_without_their_libraries() -> None:
    code = (
        "import sys, sonoseg.dicom.writing.seg, sonoseg.dicom.writing.sr, sonoseg.dicom.writing.capture;"
        "sys.exit(any(name.split('.')[0] in ('pydicom', 'highdicom') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0
