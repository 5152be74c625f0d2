"""A prepared set of the masks that readers signed, with the provenance of each mask."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sonoseg.data.preparation import PreparationResult, Track, prepare
from sonoseg.data.record import DataSource, Record, natural_key
from sonoseg.errors import DatasetError
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.image.network_grid import Fit


@dataclass(frozen=True)
class Signed:
    """An image with its signed mask.

    identity: of the item. file: the image, where it can be read as it is; None for a frame of DICOM, which
    `read` gives. mask: a PNG on the grid of the image, above 0 where there is lesion. empty: without any.
    spacing: mm per pixel, None where it is unknown.
    group: kept together by a split: the same for all frames of a clip and all images of a patient.
    patient: a pseudonym, "" where the patient is not known.
    reader, signed_at: who signed, and when (UTC). drawn_by: "model" where the mask is the model's own,
    "edited" where a reader changed it, "manual" where a reader drew it from nothing.
    revision: of the mask. model_hash: of the model that the reader saw, "" without one.
    assessment: the reader's BI-RADS category, "" where none was picked.
    """

    identity: str
    file: Path | None
    read: Callable[[], Frame]
    mask: Path
    empty: bool
    spacing: Spacing | None
    group: str
    patient: str
    reader: str
    signed_at: str
    drawn_by: str
    revision: int
    model_hash: str
    assessment: str


def prepare_reviews(
    signed: Sequence[Signed],
    state: Path,
    out: str | Path,
    *,
    name: str = "reviews",
    size: int = 256,
    fit: Fit = "stretch",
    overwrite: bool = False,
    track: Track | None = None,
) -> PreparationResult:
    """Write the signed masks as a prepared set, as `prepare` does; ids are "NAME/ITEM".

    state: their state folder. name: of the set. The table has the columns of PROVENANCE, and the set's
    description counts readers, models and how the masks were drawn. An image with an empty mask is labelled
    "normal"; every other image "unknown", since readers do not sign a diagnosis.

    Raises DatasetError where nothing is signed or nothing can be used, OutputError as `prepare`.
    """
    if not signed:
        raise DatasetError("no signed masks", where=state, remedy="Sign images on the review page")
    with tempfile.TemporaryDirectory(prefix="sonoseg-reviews-") as staging:
        records = [_record(one, name, Path(staging)) for one in signed]
        records.sort(key=lambda record: natural_key(record.id))
        about = {
            "title": "Masks signed on the review page",
            "readers": _counted(one.reader for one in signed),
            "drawn_by": _counted(one.drawn_by for one in signed),
            "models": _counted(one.model_hash or "none" for one in signed),
        }
        source = DataSource(name, "reviews", state, tuple(records), about=about)
        return prepare([source], out, size=size, fit=fit, overwrite=overwrite, track=track)


def _record(one: Signed, name: str, staging: Path) -> Record:
    """The record of one image; a DICOM frame is written as an image file."""
    path = one.file
    if path is None:
        # Uncompressed, so that its hash does not depend on the encoder.
        path = staging / f"{one.identity}.bmp"
        Image.fromarray(one.read().pixels).save(path)
    provenance = {
        "reader": one.reader,
        "signed_at": one.signed_at,
        "drawn_by": one.drawn_by,
        "revision": str(one.revision),
        "model_hash": one.model_hash,
        "assessment": one.assessment,
    }
    return Record(
        id=f"{name}/{one.identity}",
        set=name,
        image=path,
        masks=(one.mask,),
        label="normal" if one.empty else "unknown",
        group=f"{name}:{one.group}",
        patient=one.patient,
        spacing=one.spacing,
        provenance={key: value for key, value in provenance.items() if value},
    )


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
