"""Attributes that our objects share: patient and study of the source, series, equipment, dates.

An object belongs to the patient and the study of its source. Of the Patient and General Study modules (PS3.3
C.7.1.1 and C.7.2.1) it holds the attributes of Type 2, blank where the source has no valid value (anonymised
files lack several), and few others.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg._util.files import atomic_write_bytes
from sonoseg._util.packages import require
from sonoseg.dicom.writing.identity import MANUFACTURER, PRODUCT, Kind, ModelName, model_name, uid
from sonoseg.errors import InputError
from sonoseg.inference.segmentation import Segmentation

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

TYPE_2 = (
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
"""Attributes of Type 2: in every object, blank if unknown or anonymised (PS3.15 Table E.1-1: Z)."""

TYPE_3 = ("IssuerOfPatientID", "StudyDescription", "PatientIdentityRemoved", "DeidentificationMethod")
"""Attributes of Type 3 that are copied from the source; `anonymise` removes them (PS3.15 Table E.1-1: X)."""

ANONYMISED = "Patient and study attributes blanked by sonoseg, UIDs kept"
"""DeidentificationMethod: no claim of PS3.15's profile. UIDs are kept, since they refer to the source."""

UNKNOWN_METHOD = "By the source's maker; method unknown"
"""DeidentificationMethod for a source with PatientIdentityRemoved YES and no method (Type 1C)."""

PLACEHOLDER = "2.25.0"
"""The SOP Instance UID of an object whose own one is not derived yet."""

DUMMY = datetime(1900, 1, 1)
"""ContentDate with `anonymise`: of Type 1, and D (a dummy) in PS3.15 Table E.1-1."""

UTF8 = "ISO_IR 192"

_REFERRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")

_READ = (
    *TYPE_2,
    *TYPE_3,
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
    """The header of the file that was segmented, as far as the writers need it.

    frames: number of frames; None for a single-frame object.
    side: laterality "R" or "L"; None if unknown.
    of_breast: False if the file names another body part.
    values: the object's values of TYPE_2 and TYPE_3 by keyword, blank ones included.
    lossy: attributes of lossy compression by keyword.
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
        """Return the source for highdicom: a single-frame ultrasound image without patient and geometry.

        highdicom refuses a multi-frame image without a frame of reference (its issue 284), which ultrasound
        does not have, and it logs patient names that it finds invalid. The writers correct the SOP class and
        the frame numbers afterwards, and `finish` adds the patient.
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
        for keyword in TYPE_2:
            setattr(still, keyword, "")
        for keyword, value in self.lossy.items():
            setattr(still, keyword, value)
        return still


def read_source(path: Path, *, anonymise: bool = False) -> SourceDataset:
    """Read the header of a DICOM file that was segmented, without its pixels.

    anonymise: see `finish`.

    Raises InputError if the file is not DICOM or lacks UIDs or size, MissingExtra without the extra `dicom`.
    """
    require_dicom()
    with _quiet():
        header = _read_header(path)
        missing = [keyword for keyword in _REFERRED if not _text(header, keyword)]
        rows, columns = (_count(_value(header, keyword), least=0) for keyword in ("Rows", "Columns"))
        if missing or not rows or not columns:
            raise InputError(
                f"{(missing or ['image size'])[0]} is missing or invalid: no object can refer to this file",
                where=path,
                remedy="Write DICOM objects only for images from a PACS",
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
            values=dict.fromkeys(TYPE_2, "") if anonymise else _patient_values(header),
            lossy={keyword: _value(header, keyword) for keyword in _LOSSY if _value(header, keyword)},
        )


def _read_header(path: Path) -> Dataset:
    import pydicom

    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_READ), force=True)
    except Exception as error:  # pydicom raises any exception for damaged files, which may quote them
        raise InputError("cannot be read as DICOM", where=path, remedy="Export the file again") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress all warnings: those of pydicom quote values of the file, patient names too."""
    from sonoseg.dicom.reading.header import quiet_pydicom

    with quiet_pydicom():
        warnings.simplefilter("ignore")
        yield


def _value(header: Dataset, keyword: str) -> Any:
    """Return an attribute's value; None if it is absent or pydicom cannot parse it."""
    try:
        return header.get(keyword)
    except Exception:
        return None


def _text(header: Dataset, keyword: str) -> str:
    """Return an attribute as text; "" without a valid value."""
    value = _value(header, keyword)
    try:
        text = "" if value is None else str(value).strip()
    except Exception:
        return ""
    return text if _valid(keyword, text) else ""


def frame_number(source: SourceDataset, segmentation: Segmentation) -> int | None:
    """Return the frame's number in its file, from 1; None for a single-frame object."""
    return None if source.frames is None else (segmentation.frame.index or 0) + 1


def series_attributes(source: SourceDataset, kind: Kind, model: ModelName) -> dict[str, Any]:
    """Return the series of an object as arguments of highdicom.

    One series per kind, source series and model: its UID is derived from theirs, its number is the source's
    followed by 901 (segmentation), 902 (report) or 903 (capture).
    """
    ending = {"seg": 901, "sr": 902, "capture": 903}[kind]
    number = source.series_number * 1000 + ending
    return {
        "series_instance_uid": uid("series", kind, source.series, model.name, model.digits),
        # IS is a signed 32-bit integer: a series numbered by date and time would overflow.
        "series_number": number if number < 2**31 else ending,
    }


def algorithm_parameters(segmentation: Segmentation) -> dict[str, str]:
    """Return the parameters of the algorithm that an object names, by name."""
    parameters = {
        "model": model_name(segmentation.model).digits,
        "threshold": f"{segmentation.threshold:g}",
        "runtime": segmentation.runtime,
        "settings": segmentation.settings_hash,
    }
    return {name: value for name, value in parameters.items() if value}


def instance_number(source: SourceDataset, segmentation: Segmentation) -> int:
    """Return the number in the series: the source's, in a clip followed by four digits of the frame."""
    frame = frame_number(source, segmentation)
    if frame is None:
        return source.instance_number
    number = source.instance_number * 10_000 + frame
    return number if number < 2**31 else frame


def equipment_attributes(model: ModelName) -> dict[str, Any]:
    """Return the equipment as arguments of highdicom; the serial number is the model's hash."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": PRODUCT,
        "software_versions": __version__,
        "device_serial_number": model.digits or "none",
    }


def finish(dataset: Dataset, source: SourceDataset, description: str, when: datetime | None) -> None:
    """Add patient, study, dates and the SOP Instance UID to an object that is otherwise complete.

    description: of the series. when: creation time, now by default.

    The UID is derived from the whole encoded object but the time of its creation. So two objects with one UID
    have one content, as PS3.3 C.12.1.1 demands, and a repeated run makes the same object.

    For an anonymised source the attributes of TYPE_2 are blank, those of TYPE_3 absent,
    PatientIdentityRemoved is YES, ContentDate is a dummy and the creation dates are absent (PS3.15 Table
    E.1-1).
    """
    dataset.SpecificCharacterSet = UTF8
    with _quiet():
        for keyword, value in source.values.items():
            setattr(dataset, keyword, value)
    dataset.SeriesDescription = description
    dataset.ContentQualification = "RESEARCH"  # SOP Common module, PS3.3 C.12.1
    _set_dates(dataset, DUMMY)
    if source.anonymised:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = ANONYMISED
        for keyword in ("InstanceCreationDate", "DateOfSecondaryCapture"):
            for name in (keyword, keyword.replace("Date", "Time")):
                if name in dataset:
                    delattr(dataset, name)
        if "ContributingEquipmentSequence" in dataset:
            del dataset.ContributingEquipmentSequence
    _set_instance_uid(dataset, PLACEHOLDER)
    _set_instance_uid(dataset, uid("object", hashlib.sha256(encode(dataset)).hexdigest()))
    if not source.anonymised:
        _set_dates(dataset, when or datetime.now())


def _set_dates(dataset: Dataset, made: datetime) -> None:
    day, time = made.strftime("%Y%m%d"), made.strftime("%H%M%S")
    for keyword in ("ContentDate", "InstanceCreationDate", "DateOfSecondaryCapture"):
        if keyword in dataset or keyword == "ContentDate":
            setattr(dataset, keyword, day)
            setattr(dataset, keyword.replace("Date", "Time"), time)
    for item in dataset.get("ContributingEquipmentSequence", []):  # added by highdicom
        item.ContributionDateTime = day + time


def _set_instance_uid(dataset: Dataset, instance: str) -> None:
    from pydicom.uid import UID

    dataset.SOPInstanceUID = instance
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(instance)


def encode(dataset: Dataset) -> bytes:
    """Return an object as the bytes of a DICOM file (PS3.10)."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def write_object(path: str | Path, dataset: Dataset) -> str:
    """Write an object to a DICOM file, atomically, and return its SOP Instance UID. Raises OutputError."""
    atomic_write_bytes(path, encode(dataset))
    return str(dataset.SOPInstanceUID)


def require_dicom() -> None:
    """Raise MissingExtra unless pydicom and highdicom are installed."""
    require("dicom", "pydicom", "highdicom")


NOTICE = RESEARCH_ONLY
"""The text in every object."""


def _patient_values(header: Dataset) -> dict[str, str]:
    values = dict.fromkeys(TYPE_2, "")
    values |= {keyword: text for keyword in (*TYPE_2, *TYPE_3) if (text := _text(header, keyword))}
    if values.get("PatientIdentityRemoved") == "YES":  # then the method is of Type 1C, and often forgotten
        values.setdefault("DeidentificationMethod", UNKNOWN_METHOD)
    return values


def _valid(keyword: str, text: str) -> bool:
    """Return whether a value conforms to its VR: old files hold dates and codes that a PACS refuses."""
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
