"""The schemas of rows: after reading, after the network, and as the results keep them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pycocotools import mask as coco

from sonoseg.dicom.reading.acquisition import Acquisition
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import measure
from sonoseg.results.entries import ImageEntry
from sonoseg.results.tables import ECHOES, PROBABILITIES, SHAPES, SIZES, image_object

_TEXTS = ("orientation", "echo_level", "posterior")
_SPACING = [
    pa.field("spacing", pa.list_(pa.float64())),
    pa.field("spacing_origin", pa.string()),
    pa.field("spacing_reason", pa.string()),
]

LESION = pa.struct(
    [
        pa.field("lesion", pa.int32()),
        pa.field("unit", pa.string()),
        *_SPACING,
        *(
            pa.field(name, pa.string() if name in _TEXTS else pa.float64())
            for name in (*SIZES, *SHAPES, *ECHOES, *PROBABILITIES)
        ),
        pa.field("longest_axis_ends", pa.list_(pa.list_(pa.float64()))),
        pa.field("perpendicular_ends", pa.list_(pa.list_(pa.float64()))),
        pa.field("centroid", pa.list_(pa.float64())),
        pa.field("box", pa.struct([(side, pa.int32()) for side in ("top", "left", "height", "width")])),
        pa.field("pixels", pa.int64()),
    ]
)
"""A lesion, with the fields of results.json."""

_FILE = [
    pa.field("file", pa.string()),
    pa.field("frame", pa.int32()),
    pa.field("sha256", pa.string()),
    pa.field("acquisition", pa.struct([(field.name, pa.string()) for field in fields(Acquisition)])),
    pa.field("height", pa.int32()),
    pa.field("width", pa.int32()),
]
_MESSAGES = [pa.field("warnings", pa.list_(pa.string())), pa.field("error", pa.string())]

RESULT = pa.schema(
    [
        *_FILE,
        *_SPACING,
        pa.field("unit", pa.string()),
        pa.field("lesion_share", pa.float64()),
        pa.field("uncertainty", pa.float64()),
        pa.field("assessable", pa.bool_()),
        pa.field("lesions", pa.list_(LESION)),
        pa.field("mask", pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])),
        *_MESSAGES,
    ]
)
"""What the results keep of a frame; docs/batch-inference.md describes the columns."""

KEY = pa.schema([("number", pa.int64()), ("position", pa.int32()), ("count", pa.int32())])
"""Identifies a row: the file's number in the listing, the row's position among the file's rows, and how many
these are. The driver knows by them when it has every row, and drops duplicates."""

INPUTS = pa.schema([*KEY, *_FILE, *_MESSAGES, ("pixels", pa.binary()), ("image", pa.binary())])
"""After reading: the pixels on the network's grid, and the pickled Frame."""

OUTPUTS = pa.schema(
    [
        *KEY,
        *_FILE,
        *_MESSAGES,
        ("image", pa.binary()),
        ("probability", pa.binary()),
        ("training_distance", pa.float64()),
    ]
)
"""After the network: its probabilities and the training distance in place of the pixels."""

FINISHED = pa.schema([*KEY, *RESULT])
"""After finishing: the result, still with its key."""


def table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Make a table of rows; a missing field is null."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def result_row(row: Mapping[str, Any], segmentation: Segmentation) -> dict[str, Any]:
    """Return the row of a segmented frame, measured as for results.json."""
    frame = segmentation.frame
    scale = frame.calibration
    entry = ImageEntry(
        name=frame.name,
        file=row["file"],
        shape=frame.shape,
        local_spacing=scale.whole,
        findings=measure(segmentation),
        uncertainty=segmentation.uncertainty,
        frame=frame.index,
    )
    image = image_object(entry)
    kept = (
        "height",
        "width",
        *(field.name for field in _SPACING),
        "unit",
        "lesion_share",
        "uncertainty",
        "assessable",
        "lesions",
    )
    return {
        **{name: row[name] for name in (*KEY.names, "file", "frame", "sha256", "acquisition")},
        # Those of reading are in the row already, with the file's name.
        "warnings": [*row["warnings"], *entry.findings.warnings[len(frame.warnings) :]],
        **{name: image[name] for name in kept},
        "mask": run_lengths(segmentation.mask),
    }


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Encode a mask, bool (H, W), in compressed COCO run lengths: {"size": [H, W], "counts": ASCII text}."""
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}


def error_row(row: Mapping[str, Any], error: str) -> dict[str, Any]:
    """Return the row of a frame, or of a file, without a result."""
    kept = (*KEY.names, *(field.name for field in _FILE), "warnings")
    return {name: row.get(name) for name in kept} | {"error": error}


def counts(rows: pa.Table) -> dict[str, int]:
    """Count the frames, errors and lesions of a table of results."""
    import pyarrow.compute as pc

    errors = len(rows) - rows.column("error").null_count
    lesions = pc.sum(pc.list_value_length(rows.column("lesions"))).as_py() or 0
    return {"frames": len(rows) - errors, "errors": errors, "lesions": int(lesions)}
