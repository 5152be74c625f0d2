"""Patient, examination, side, view and date of an image, for the tables of results.

They are read apart from the header that the pixels need, and only where a table is to hold them: no Frame
has an attribute of the patient.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from sonoseg.dicom.reading.element_values import items, uid
from sonoseg.dicom.reading.header import read_elements
from sonoseg.errors import MissingExtra

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Laterality = Literal["left", "right", "both", "unpaired"]

# PS3.3 C.7.3.1.1.1, C.8.11.3 and C.7.6.16.2.8: CS values of the three attributes.
_SIDES: dict[str, Laterality] = {"L": "left", "R": "right", "B": "both", "U": "unpaired"}

# PS3.16 CID 244, in SNOMED CT and in the SRT codes of older files.
_SIDE_CODES: dict[str, Laterality] = {
    "7771000": "left",
    "24028007": "right",
    "51440002": "both",
    "G-A101": "left",
    "G-A100": "right",
    "G-A102": "both",
}

_DATES = ("AcquisitionDateTime", "AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")
"""The date of the image itself comes before those of what it belongs to."""

_FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")

_READ = (
    *("SpecificCharacterSet", "PatientID", "StudyInstanceUID", "AccessionNumber"),
    *("ImageLaterality", "Laterality", "AnatomicRegionSequence"),
    *("ViewCodeSequence", "ViewPosition"),
    *_DATES,
    *_FUNCTIONAL_GROUPS,
)

LONGEST = 64
"""Most characters of a text value, as of DICOM's LO."""


@dataclass(frozen=True)
class Acquisition:
    """What a DICOM image says of its patient and examination; "" or None where it says nothing valid.

    patient_id: (0010,0020). study_instance_uid: (0020,000D). accession_number: (0008,0050).
    laterality: of the body part: ImageLaterality (0020,0062), FrameLaterality (0020,9072) where all frames
    agree, Laterality (0020,0060), or the modifier of the anatomic region (0008,2220).
    view: the meaning of ViewCodeSequence (0054,0220), or ViewPosition (0018,5101).
    acquisition_date: ISO 8601, of the first attribute that has one: AcquisitionDateTime, AcquisitionDate,
    ContentDate, SeriesDate, StudyDate.
    """

    patient_id: str = ""
    study_instance_uid: str = ""
    accession_number: str = ""
    laterality: Laterality | None = None
    view: str = ""
    acquisition_date: str = ""


def read_acquisition(path: str | Path) -> Acquisition:
    """Read the acquisition of a DICOM file; an attribute that cannot be read or is invalid is left out.

    A de-identified file gives what its maker wrote. Raises MissingExtra without pydicom.
    """
    try:
        with read_elements(Path(path), _READ) as header:
            return Acquisition(
                patient_id=_text(header, "PatientID"),
                study_instance_uid=uid(_value(header, "StudyInstanceUID")),
                accession_number=_text(header, "AccessionNumber"),
                laterality=next(_sides(header), None),
                view=next(_views(header), ""),
                acquisition_date=next(_dates(header), ""),
            )
    except MissingExtra:
        raise
    except Exception:  # pydicom raises any exception for damaged files; their images are refused elsewhere
        return Acquisition()


def _sides(header: Dataset) -> Iterator[Laterality]:
    """Yield the side by each attribute that names one, the most specific first."""
    frames = {
        _side(anatomy, "FrameLaterality")
        for keyword in _FUNCTIONAL_GROUPS
        for group in _items(header, keyword)
        for anatomy in _items(group, "FrameAnatomySequence")
    }
    found = [
        _side(header, "ImageLaterality"),
        *(frames if len(frames) == 1 else ()),
        _side(header, "Laterality"),
        *(
            _SIDE_CODES.get(_text(modifier, "CodeValue"))
            for region in _items(header, "AnatomicRegionSequence")
            for modifier in _items(region, "AnatomicRegionModifierSequence")
        ),
    ]
    yield from (side for side in found if side is not None)


def _side(dataset: Dataset, keyword: str) -> Laterality | None:
    text = _text(dataset, keyword)
    # Some devices write the word in place of the code.
    words = {word: word for word in get_args(Laterality)}
    return _SIDES.get(text.upper()) or words.get(text.lower())


def _views(header: Dataset) -> Iterator[str]:
    for code in _items(header, "ViewCodeSequence"):
        yield from filter(None, [_text(code, "CodeMeaning")])
    yield from filter(None, [_text(header, "ViewPosition")])


def _dates(header: Dataset) -> Iterator[str]:
    for keyword in _DATES:
        text = str(_value(header, keyword) or "").strip()
        match = re.match(r"(\d{4})(?:(\d\d)(\d\d)|\.(\d\d)\.(\d\d))", text)  # 2024.01.31 is of ACR-NEMA
        if match:
            year, *rest = (int(part) for part in match.groups() if part is not None)
            with suppress(ValueError):
                yield date(year, *rest).isoformat()


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; [] if it cannot be parsed."""
    return list(items(dataset, keyword)) if _value(dataset, keyword) is not None else []


def _value(dataset: Dataset, keyword: str) -> Any:
    """Return an attribute's value; None if it is absent or pydicom cannot parse it."""
    try:
        return dataset.get(keyword)
    except Exception:  # pydicom raises any exception for damaged values
        return None


def _text(dataset: Dataset, keyword: str) -> str:
    """Return text on one line without control characters, at most LONGEST characters."""
    value = _value(dataset, keyword)
    parts = [value] if isinstance(value, str | bytes) or value is None else value
    try:
        text = "\\".join(str(part) for part in parts if part is not None)
    except TypeError:
        text = str(parts)
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).strip()[:LONGEST]
