"""What `sonoseg measure` writes: lesions of masks that a person or another program made."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.lesions.measurement import PLANE_NOTE, Findings
from sonoseg.lesions.orthogonal_views import SHARED, Pair
from sonoseg.results.entries import RefusedFile
from sonoseg.results.tables import ECHOES, SHAPES, SIZES, lesion_object, lesion_row

FORMAT = "sonoseg-measures/1"

COLUMNS = (
    *("mask", "image", "status", "lesion", "lesions", "unit"),
    *SIZES,
    *SHAPES,
    *ECHOES,
    *("centroid_row", "centroid_column", "box_top", "box_left", "box_height", "box_width"),
    *("spacing_row", "spacing_column", "scale_origin", "scale_reason"),
    *("reason", "sonoseg", "notice"),
)
"""The CSV's columns, named as those of results.csv; without a network there are no probabilities."""

_PROBABLE = ("mean_probability", "peak_probability", "uncertainty")


@dataclass(frozen=True)
class MaskMeasurements:
    """One mask measured. mask, image: the files, image "" where none was given."""

    mask: str
    image: str
    findings: Findings


def measures_csv(measures: Sequence[MaskMeasurements], refused: Sequence[RefusedFile]) -> str:
    """A row a lesion; one row too for a mask without any ("no lesion") and for one that was refused."""
    about = {"sonoseg": __version__, "notice": RESEARCH_ONLY}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for one in measures:
        row = {
            "mask": one.mask,
            "image": one.image,
            "lesions": len(one.findings.lesions),
            "unit": one.findings.unit,
        }
        if not one.findings.lesions:
            writer.writerow(row | about | {"status": "no lesion"})
        for lesion in one.findings.lesions:
            writer.writerow(row | about | {"status": "lesion"} | lesion_row(lesion))
    for bad in refused:
        writer.writerow(about | {"mask": bad.file, "status": "refused", "reason": bad.reason})
    return text.getvalue()


def measures_object(
    measures: Sequence[MaskMeasurements], refused: Sequence[RefusedFile], pair: Pair | None = None
) -> dict[str, Any]:
    """The same as one object for programs."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "notice": RESEARCH_ONLY,
        "sonoseg": __version__,
        "plane_note": PLANE_NOTE,
        "masks": [
            {
                "mask": one.mask,
                "image": one.image or None,
                "unit": one.findings.unit,
                "lesion_share": float(f"{one.findings.share:.6g}"),
                "lesions": [
                    {key: entry for key, entry in lesion_object(lesion).items() if key not in _PROBABLE}
                    for lesion in one.findings.lesions
                ],
            }
            for one in measures
        ],
        "refused": [{"mask": bad.file, "reason": bad.reason} for bad in refused],
    }
    if pair is not None:
        value["pair"] = {
            "unit": pair.unit,
            "dimensions": [float(f"{size:.6g}") for size in pair.dimensions],
            "volume": float(f"{pair.volume:.6g}"),
            "shared": SHARED,
            "heights": [float(f"{size:.6g}") for size in pair.heights],
            "doubts": list(pair.doubts),
        }
    return value
