"""Patient, examination, side, view and date of DICOM files, whatever they hold instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from sonoseg.dicom.reading.acquisition import Acquisition, read_acquisition

GREY = np.zeros((20, 24), dtype=np.uint8)


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def frames(*sides: str) -> list[Dataset]:
    return [item(FrameAnatomySequence=[item(FrameLaterality=side)]) for side in sides]


@pytest.fixture
def written(tmp_path: Path, make_dicom: Callable[..., Path]) -> Callable[..., Acquisition]:
    """Write a file with these attributes, and read it."""
    return lambda **values: read_acquisition(make_dicom(tmp_path / "a.dcm", GREY, **values))


def test_all_of_it(written: Callable[..., Acquisition], patient_name: str) -> None:
    found = written(
        SpecificCharacterSet="ISO_IR 100",
        PatientID="Jürgen 7",
        StudyInstanceUID="1.2.3",
        AccessionNumber="A1",
        ImageLaterality="L",
        ViewPosition="ML",
        AcquisitionDate="20240131",
    )
    assert found == Acquisition("Jürgen 7", "1.2.3", "A1", "left", "ML", "2024-01-31")
    assert patient_name not in repr(found)


def test_none_of_it(written: Callable[..., Acquisition], tmp_path: Path) -> None:
    assert written(PatientID=None) == Acquisition()
    (tmp_path / "text.dcm").write_text("no DICOM")
    assert read_acquisition(tmp_path / "text.dcm") == Acquisition()
    assert read_acquisition(tmp_path / "absent.dcm") == Acquisition()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"])
def test_every_encoding(syntax: str, written: Callable[..., Acquisition]) -> None:
    found = written(syntax=syntax, Laterality="R", StudyDate="20240131")
    assert found == Acquisition("4711", laterality="right", acquisition_date="2024-01-31")


@pytest.mark.parametrize(
    ("values", "side"),
    [
        ({"Laterality": "L"}, "left"),
        ({"Laterality": "B"}, "both"),
        ({"ImageLaterality": "U"}, "unpaired"),
        ({"ImageLaterality": "R", "Laterality": "L"}, "right"),  # the image before its series
        ({"Laterality": "Left"}, "left"),  # not valid, but clear
        ({"Laterality": "X"}, None),
        ({"Laterality": ""}, None),
        ({"SharedFunctionalGroupsSequence": frames("R"), "Laterality": "L"}, "right"),
        ({"PerFrameFunctionalGroupsSequence": frames("L", "L")}, "left"),
        ({"PerFrameFunctionalGroupsSequence": frames("L", "R")}, None),
        ({"PerFrameFunctionalGroupsSequence": frames("L", "R"), "Laterality": "B"}, "both"),
    ],
)
def test_laterality(values: dict[str, Any], side: str | None, written: Callable[..., Acquisition]) -> None:
    assert written(**values).laterality == side


@pytest.mark.parametrize(
    ("code", "side"), [("7771000", "left"), ("24028007", "right"), ("G-A102", "both"), ("66459002", None)]
)
def test_laterality_by_the_anatomic_region(
    code: str, side: str | None, written: Callable[..., Acquisition]
) -> None:
    modifier = item(CodeValue=code, CodingSchemeDesignator="SCT", CodeMeaning="side")
    found = written(AnatomicRegionSequence=[item(AnatomicRegionModifierSequence=[modifier])])
    assert found.laterality == side


def test_view(written: Callable[..., Acquisition]) -> None:
    code = item(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning="radial")
    assert written(ViewCodeSequence=[code], ViewPosition="ML").view == "radial"
    assert written(ViewCodeSequence=[], ViewPosition="ML").view == "ML"


@pytest.mark.parametrize(
    ("values", "day"),
    [
        ({"AcquisitionDateTime": "20240131235959.1+0100", "StudyDate": "20240130"}, "2024-01-31"),
        ({"ContentDate": "20240131", "StudyDate": "20240130"}, "2024-01-31"),
        ({"AcquisitionDate": "", "StudyDate": "20240130"}, "2024-01-30"),
        ({"AcquisitionDateTime": "2024", "SeriesDate": "20240130"}, "2024-01-30"),  # a year is no day
    ],
)
def test_date(values: dict[str, Any], day: str, written: Callable[..., Acquisition]) -> None:
    assert written(**values).acquisition_date == day


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("day", ["20241331", "00000000", "99999999", "unknown"])
def test_an_invalid_date_is_left_out(day: str, written: Callable[..., Acquisition]) -> None:
    assert written(AcquisitionDate=day).acquisition_date == ""


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_text_is_one_line(written: Callable[..., Acquisition]) -> None:
    assert written(PatientID="a\nb\x00").patient_id == "a b"
    assert written(PatientID="a\\b").patient_id == "a\\b"
    assert written(PatientID="7" * 300).patient_id == "7" * 64


def test_damaged_files_raise_nothing(tmp_path: Path, make_dicom: Callable[..., Path]) -> None:
    rng = np.random.default_rng(5)
    values: dict[str, Any] = {"PatientID": "7", "Laterality": "L", "StudyDate": "20240131"}
    values["PerFrameFunctionalGroupsSequence"] = frames("L", "L")
    path = make_dicom(tmp_path / "a.dcm", GREY, **values)
    original = path.read_bytes()[: -GREY.size]
    for _ in range(150):
        data = bytearray(original)
        for place in rng.integers(0, len(data), rng.integers(1, 8)):
            data[place] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else data)
        found = read_acquisition(path)
        assert found.laterality in (None, "left", "right", "both", "unpaired")
        assert "\n" not in repr(found)
