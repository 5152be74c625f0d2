"""What readers signed in a state folder, as the data room takes it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sonoseg._util.packages import missing_extra
from sonoseg._util.text import first_line
from sonoseg.data.signed_masks import Signed
from sonoseg.errors import InputError
from sonoseg.image.frame import Spacing
from sonoseg.review.items import Item
from sonoseg.review.store import Store


def signed_items(store: Store) -> list[Signed]:
    """Every signed item with its current mask, in the order of the list.

    All images of a patient are one group, as their DICOM files tell the patient; where they do not, all of
    one study, and else all frames of one file. The patient becomes a number: the files' own word for the
    patient is not kept.

    Raises InputError where a DICOM file cannot be read any more, MissingExtra without the extra `dicom`.
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
    """Who a DICOM file is of, with who gave that id, and its study; "" where it does not tell."""
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise missing_extra("pydicom", "dicom") from error
    wanted = ["PatientID", "IssuerOfPatientID", "StudyInstanceUID"]
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(wanted), force=True)
        told = [str(header.get(name) or "").strip() for name in wanted]
    except (OSError, InvalidDicomError, ValueError) as error:
        raise InputError(
            f"cannot be read any more ({first_line(error)})", where=path, remedy="Bring the file back"
        ) from error
    patient, issuer, study = told
    return f"{patient} of {issuer}" if patient else "", study
