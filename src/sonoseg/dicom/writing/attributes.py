"""What our objects take over from their source file, and what `anonymise` leaves out.

An object belongs to the patient and the study of its source, so it needs the attributes that are of Type 2
in the Patient and General Study modules (PS3.3, C.7.1.1 and C.7.2.1), and nothing else of either: a value
where the source has a valid one, blank where it has not. Anonymised files lack several of them.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.dicom.writing.identity import MANUFACTURER, PRODUCT, Kind, ModelName, uid
from sonoseg.errors import InputError, missing_extra
from sonoseg.inference.segmentation import Segmentation

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

NEEDED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Type 2: in every object, blank where unknown. PS3.15 Table E.1-1 says Z (blank) or a dummy for each of
them, so `anonymise` blanks them all."""

WELCOME = ("IssuerOfPatientID", "StudyDescription", "PatientIdentityRemoved", "DeidentificationMethod")
"""Type 3: taken over where the source has them, because an archive sorts by them or must know; `anonymise`
leaves them out (PS3.15 Table E.1-1: X, removed) or says anew that the identity was removed."""

ANONYMISED = "Patient and study attributes blanked by sonoseg, UIDs kept"
"""DeidentificationMethod. Not a claim of PS3.15's whole profile: UIDs must stay, or nothing would refer to
the source any more (the profile's Retain UIDs option)."""

UNSAID = "By the source's maker, who does not say how"
"""DeidentificationMethod where the source says that the identity was removed, and no more."""

DUMMY = datetime(1900, 1, 1)
"""ContentDate where `anonymise` is given: of Type 1, and D (a dummy) in PS3.15 Table E.1-1."""

UTF8 = "ISO_IR 192"

_REFERRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")

_READ = (
    *NEEDED,
    *WELCOME,
    *_REFERRED,
    *_LOSSY,
    "SpecificCharacterSet",
    "SeriesNumber",
    "InstanceNumber",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "Laterality",
    "ImageLaterality",
    "BodyPartExamined",
)


@dataclass(frozen=True, eq=False)
class SourceDataset:
    """What a writer needs of the file that was segmented.

    frames: how many the file has; None for a single-frame object.
    side: "R" or "L" where the file says so.
    of_breast: False where the file names another part of the body.
    values: what goes into the object of NEEDED and WELCOME, by keyword; blanks included.
    """

    path: Path
    sop_class: str
    sop_instance: str
    study: str
    series: str
    series_number: int
    instance_number: int
    shape: tuple[int, int]
    frames: int | None
    side: Literal["R", "L"] | None
    of_breast: bool
    anonymised: bool
    values: dict[str, str]
    lossy: dict[str, Any]

    def still(self) -> Dataset:
        """The source as highdicom takes it: a single-frame ultrasound image without patient and geometry.

        highdicom refuses a multi-frame image without a frame of reference (its issue 284), which ultrasound
        has not; and it logs and warns of names that it finds odd, which must reach no log. The true class
        and the frame numbers are put back by `refer`, the patient by `finish`.
        """
        from pydicom.dataset import Dataset
        from pydicom.uid import UltrasoundImageStorage

        still = Dataset()
        still.SOPClassUID = UltrasoundImageStorage
        still.SOPInstanceUID = self.sop_instance
        still.StudyInstanceUID = self.study
        still.SeriesInstanceUID = self.series
        still.Modality = "US"
        still.Rows, still.Columns = self.shape
        for keyword in NEEDED:
            setattr(still, keyword, "")
        for keyword, value in self.lossy.items():
            setattr(still, keyword, value)
        return still


def read_source(path: Path, *, anonymise: bool = False) -> SourceDataset:
    """Read the header of a DICOM file that was segmented; its pixels are not touched.

    anonymise: see `finish`.

    Raises InputError where the file is no DICOM file or lacks what an object could refer to, MissingExtra
    where pydicom or highdicom is not installed.
    """
    need_dicom()
    with _quiet():
        header = _read_header(path)
        missing = [keyword for keyword in _REFERRED if not _text(header, keyword)]
        rows, columns = (_count(_value(header, keyword), least=0) for keyword in ("Rows", "Columns"))
        if missing or not rows or not columns:
            raise InputError(
                f"this DICOM file has no usable {(missing or ['size'])[0]}: nothing could refer to it",
                where=path,
                remedy="Write DICOM objects only for images from an archive",
            )
        frames = _value(header, "NumberOfFrames")
        side = _text(header, "ImageLaterality") or _text(header, "Laterality")
        return SourceDataset(
            path=path,
            sop_class=_text(header, "SOPClassUID"),
            sop_instance=_text(header, "SOPInstanceUID"),
            study=_text(header, "StudyInstanceUID"),
            series=_text(header, "SeriesInstanceUID"),
            series_number=_count(_value(header, "SeriesNumber")),
            instance_number=_count(_value(header, "InstanceNumber")),
            shape=(rows, columns),
            frames=None if frames is None else _count(frames),
            side="R" if side == "R" else "L" if side == "L" else None,
            of_breast=_text(header, "BodyPartExamined").upper() in ("", "BREAST"),
            anonymised=anonymise,
            values=_blank() if anonymise else _taken(header),
            lossy={keyword: _value(header, keyword) for keyword in _LOSSY if _value(header, keyword)},
        )


def _read_header(path: Path) -> Dataset:
    import pydicom

    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_READ), force=True)
    except Exception as error:  # pydicom meets damage with any exception, which may quote the file: not said
        raise InputError("cannot be read as DICOM", where=path, remedy="Export or copy it again") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep pydicom's warnings from the user: they quote what the file holds, names too."""
    from sonoseg.dicom.reading.header import quiet_pydicom

    with quiet_pydicom():
        warnings.simplefilter("ignore")
        yield


def _value(header: Dataset, keyword: str) -> Any:
    """An attribute's value; None where it is absent, or garbled so that pydicom cannot take it."""
    try:
        return header.get(keyword)
    except Exception:
        return None


def _text(header: Dataset, keyword: str) -> str:
    """An attribute as text, "" where it has none or no valid one."""
    value = _value(header, keyword)
    try:
        text = "" if value is None else str(value).strip()
    except Exception:
        return ""
    return text if _valid(keyword, text) else ""


def frame_number(source: SourceDataset, segmentation: Segmentation) -> int | None:
    """The frame's number in its file as DICOM counts, from 1; None for a single-frame object."""
    return None if source.frames is None else (segmentation.frame.index or 0) + 1


def series(source: SourceDataset, kind: Kind, model: ModelName) -> dict[str, Any]:
    """The attributes that place an object in its series, as highdicom's arguments.

    One series of each kind for each source series and model: its UID is derived from theirs, its number is
    the source's followed by 901 (segmentation), 902 (report) or 903 (capture).
    """
    ending = {"seg": 901, "sr": 902, "capture": 903}[kind]
    number = source.series_number * 1000 + ending
    return {
        "series_instance_uid": uid("series", kind, source.series, model.name, model.digits),
        # IS holds 32 bits with a sign; series numbered by date and time would not leave room.
        "series_number": number if number < 2**31 else ending,
    }


def instance_number(source: SourceDataset, segmentation: Segmentation) -> int:
    """The object's number in its series: the source's own, followed by four digits of the frame in a clip."""
    frame = frame_number(source, segmentation)
    if frame is None:
        return source.instance_number
    number = source.instance_number * 10_000 + frame
    return number if number < 2**31 else frame


def equipment(model: ModelName) -> dict[str, Any]:
    """What made the object, as highdicom's arguments; the serial number is the weights' hash."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": PRODUCT,
        "software_versions": __version__,
        "device_serial_number": model.digits or "none",
    }


def finish(dataset: Dataset, source: SourceDataset, description: str, when: datetime | None) -> None:
    """Put patient, study, dates and what they share into an object that is otherwise ready.

    description: of the series. when: it was made, now by default.

    Patient and study attributes are the source's (NEEDED and WELCOME); what `anonymise` leaves out is blank,
    PatientIdentityRemoved is YES, and no date tells when it was made: ContentDate is a dummy and the dates of
    creation are absent, as PS3.15 Table E.1-1 asks.
    """
    dataset.SpecificCharacterSet = UTF8
    with _quiet():
        for keyword, value in source.values.items():
            setattr(dataset, keyword, value)
    dataset.SeriesDescription = description
    dataset.ContentQualification = "RESEARCH"  # SOP Common module, PS3.3 C.12.1
    made = DUMMY if source.anonymised else when or datetime.now()
    day, time = made.strftime("%Y%m%d"), made.strftime("%H%M%S")
    for keyword in ("ContentDate", "InstanceCreationDate", "DateOfSecondaryCapture"):
        if keyword in dataset or keyword == "ContentDate":
            setattr(dataset, keyword, day)
            setattr(dataset, keyword.replace("Date", "Time"), time)
    for item in dataset.get("ContributingEquipmentSequence", []):  # highdicom names itself in it
        item.ContributionDateTime = day + time
    if source.anonymised:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = ANONYMISED
        for keyword in ("InstanceCreationDate", "DateOfSecondaryCapture"):
            for name in (keyword, keyword.replace("Date", "Time")):
                if name in dataset:
                    delattr(dataset, name)
        if "ContributingEquipmentSequence" in dataset:
            del dataset.ContributingEquipmentSequence


def encode(dataset: Dataset) -> bytes:
    """The file that holds an object (PS3.10), as bytes."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def need_dicom() -> None:
    """Raise MissingExtra unless pydicom and highdicom are installed."""
    for package in ("pydicom", "highdicom"):
        if find_spec(package) is None:
            raise missing_extra(package, "dicom")


NOTICE = RESEARCH_ONLY
"""Said in a text of every object."""


def _blank() -> dict[str, str]:
    return dict.fromkeys(NEEDED, "")


def _taken(header: Dataset) -> dict[str, str]:
    values = _blank()
    values |= {keyword: text for keyword in (*NEEDED, *WELCOME) if (text := _text(header, keyword))}
    if values.get("PatientIdentityRemoved") == "YES":  # then the method is of Type 1C, and often forgotten
        values.setdefault("DeidentificationMethod", UNSAID)
    return values


def _valid(keyword: str, text: str) -> bool:
    """Whether a value may be written: old and broken files hold dates and codes that no archive takes."""
    if keyword.endswith("UID"):
        return len(text) <= 64 and re.fullmatch(r"\d+(\.\d+)+", text) is not None
    if keyword.endswith("Date"):
        try:
            datetime.strptime(text, "%Y%m%d")
        except ValueError:
            return False
    if keyword.endswith("Time"):
        return re.fullmatch(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?", text) is not None
    if keyword == "PatientSex":
        return text in ("M", "F", "O")
    return True


def _count(value: object, *, least: int = 1) -> int:
    try:
        return max(least, int(str(value)))
    except ValueError:
        return least
