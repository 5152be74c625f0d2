"""The signed masks of a state folder, for a prepared set."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sonoseg._util.packages import missing_extra
from sonoseg._util.text import first_line
from sonoseg.data.signed_masks import Signed
from sonoseg.errors import InputError
from sonoseg.image.calibration import Spacing
from sonoseg.review.items import Item
from sonoseg.review.store import Store


def signed_items(store: Store) -> list[Signed]:
    """All signed items with their current masks, in the order of the work list.

    Images of one patient, by the attributes of their DICOM files, form a group; without a patient, those of
    one DICOM study; else the frames of one file. Patients become numbers; their identifiers are not kept.

    Raises InputError where a DICOM file can no longer be read, MissingExtra without the extra `dicom`.
    """
    numbers: dict[str, str] = {}
    found = []
    for item in store.items(status="signed").items:
        patient, group = "", item.clip
        path = store.path(item.id)
        if item.kind == "dicom":
            who, study = _identified(path)
            if who:
                patient = group = numbers.setdefault(who, f"p{len(numbers) + 1}")
            elif study:
                group = numbers.setdefault(f"study {study}", f"s{len(numbers) + 1}")
        found.append(_signed(store, item, path, patient, group))
    return found


def _signed(store: Store, item: Item, path: Path, patient: str, group: str) -> Signed:
    review = store.review(item.id)
    assessment = None if review is None else review.assessment
    return Signed(
        identity=item.id,
        file=path if item.kind == "raster" else None,
        read=partial(store.frame, item.id),
        mask=store.folder / "masks" / item.id / f"{item.revision}.png",
        empty=item.lesions == 0,
        spacing=None if item.spacing is None else Spacing(*item.spacing),
        group=group,
        patient=patient,
        reader=item.reader or "",
        signed_at=item.signed_at or "",
        drawn_by=item.source,
        revision=item.revision,
        model_hash=item.model_hash or "",
        assessment="" if assessment is None else assessment.value,
    )


def _identified(path: Path) -> tuple[str, str]:
    """Patient ID with issuer, and Study Instance UID, of a DICOM file; "" where absent."""
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise missing_extra("pydicom", "dicom") from error
    wanted = ["PatientID", "IssuerOfPatientID", "StudyInstanceUID"]
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(wanted), force=True)
        values = [str(header.get(name) or "").strip() for name in wanted]
    except (OSError, InvalidDicomError, ValueError) as error:
        raise InputError(
            f"can no longer be read: {first_line(error)}", where=path, remedy="Restore the file"
        ) from error
    patient, issuer, study = values
    return f"{patient} of {issuer}" if patient else "", study
