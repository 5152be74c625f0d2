"""The rows: as they come from reading, as they leave the network, and as the results keep them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from sonoseg.image.calibration import Scale
from sonoseg.image.run_length import encode
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import measure
from sonoseg.results.entries import ImageEntry
from sonoseg.results.tables import ECHOES, PROBABILITIES, SHAPES, SIZES, image_object

_WORDS = ("orientation", "echo_level", "posterior")
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
            pa.field(name, pa.string() if name in _WORDS else pa.float64())
            for name in (*SIZES, *SHAPES, *ECHOES, *PROBABILITIES)
        ),
        pa.field("longest_axis_ends", pa.list_(pa.list_(pa.float64()))),
        pa.field("perpendicular_ends", pa.list_(pa.list_(pa.float64()))),
        pa.field("centroid", pa.list_(pa.float64())),
        pa.field("box", pa.struct([(side, pa.int32()) for side in ("top", "left", "height", "width")])),
        pa.field("pixels", pa.int64()),
    ]
)
"""A lesion, as results.json has it."""

_FILE = [
    pa.field("file", pa.string()),
    pa.field("frame", pa.int32()),
    pa.field("sha256", pa.string()),
    pa.field("height", pa.int32()),
    pa.field("width", pa.int32()),
]
_SAID = [pa.field("warnings", pa.list_(pa.string())), pa.field("error", pa.string())]

RESULT = pa.schema(
    [
        *_FILE,
        *_SPACING,
        pa.field("unit", pa.string()),
        pa.field("lesion_share", pa.float64()),
        pa.field("uncertainty", pa.float64()),
        pa.field("lesions", pa.list_(LESION)),
        pa.field("mask", pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])),
        *_SAID,
    ]
)
"""What the results keep of a frame. docs/archive.md says what each column holds."""

PLACE = pa.schema([("number", pa.int64()), ("place", pa.int32()), ("places", pa.int32())])
"""Whose row it is: the file's number in the listing, the frame's place among the file's rows, how many these
are. With them the driver knows when it has every row, and drops one that comes twice."""

READ = pa.schema([*PLACE, *_FILE, *_SAID, ("pixels", pa.binary()), ("image", pa.binary())])
"""After reading: the pixels on the network's grid, and the pickled Frame for whoever finishes it."""

SEEN = pa.schema([*PLACE, *_FILE, *_SAID, ("image", pa.binary()), ("probability", pa.binary())])
"""After the network: its probabilities in place of the pixels."""

DONE = pa.schema([*PLACE, *RESULT])
"""After finishing: the result, still with its place."""


def table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as a table; a field that a row lacks is null."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=schema)


def result(row: Mapping[str, Any], segmentation: Segmentation) -> dict[str, Any]:
    """The row of a frame that was segmented: measured as everywhere, its figures those of results.json."""
    frame = segmentation.frame
    scale = frame.calibration
    entry = ImageEntry(
        name=frame.name,
        file=row["file"],
        shape=frame.shape,
        scale=Scale(scale.spacing, scale.origin, scale.reason),
        findings=measure(segmentation),
        uncertainty=segmentation.uncertainty,
        frame=frame.index,
    )
    told = image_object(entry)
    kept = {
        name: told[name] for name in (*(field.name for field in _SPACING), "unit", "lesion_share", "lesions")
    }
    return {
        **{name: row[name] for name in (*PLACE.names, "file", "frame", "sha256", "warnings")},
        "height": told["height"],
        "width": told["width"],
        **kept,
        "uncertainty": told["uncertainty"],
        "mask": encode(segmentation.mask),
    }


def failed(row: Mapping[str, Any], why: str) -> dict[str, Any]:
    """The row of a frame, or of a file, that gave nothing."""
    kept = {name: row.get(name) for name in (*PLACE.names, *(field.name for field in _FILE), "warnings")}
    return kept | {"error": why}


def counts(rows: pa.Table) -> dict[str, int]:
    """How many rows of a table of results are frames, have an error, and how many lesions they have."""
    import pyarrow.compute as pc

    errors = len(rows) - rows.column("error").null_count
    lesions = pc.sum(pc.list_value_length(rows.column("lesions"))).as_py() or 0
    return {"frames": len(rows) - errors, "errors": errors, "lesions": int(lesions)}


def plain(value: Mapping[str, Any]) -> str:
    """An object as one line of JSON, the same for equal objects."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
