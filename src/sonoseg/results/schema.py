"""What results.json holds, as checked models, and the JSON Schema that is made from them.

The schema lies beside this file. After a change here it is made again with `python -m
sonoseg.results.schema`; a test compares the two, and checks what the program writes against it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sonoseg._util.files import atomic_write_text
from sonoseg.image.calibration import Origin
from sonoseg.lesions.birads import EchoLevel, Orientation, Posterior
from sonoseg.model.card import Postprocessing

ID = "urn:sonoseg:schema:results:1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PATH = Path(__file__).with_name("results.schema.json")

Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Millimetres = Annotated[float, Field(gt=0)]
Place = Annotated[
    tuple[float, float],
    Field(description="Row and column in pixels of the image, the middle of the first pixel at 0, 0."),
]
Spacing = tuple[Millimetres, Millimetres]
Unit = Literal["mm", "px"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelIdentity(_Part):
    """Which model found the lesions."""

    name: str
    hash: Annotated[str, Field(description="The first 12 digits of the SHA-256 of its weights (ONNX file).")]


class PlaceScale(_Part):
    """The spacing that holds at one place."""

    spacing: Annotated[
        Spacing | None, Field(description="Millimetres per pixel along rows and columns; null where unknown.")
    ]
    origin: Annotated[
        Origin,
        Field(description="Who says so: the file, a person (--spacing), a table (--spacings), or nobody."),
    ]
    reason: Annotated[str, Field(description="Why there is no spacing; empty where there is one.")]


class BoxResult(_Part):
    """An upright rectangle of whole pixels."""

    top: Count
    left: Count
    height: Positive
    width: Positive


class LesionResult(_Part):
    """One lesion. Lengths are in its `unit`, areas in its square; docs/measuring.md has the definitions."""

    lesion: Annotated[int, Field(ge=1, description="Its number in the image, the largest first.")]
    unit: Unit
    scale: PlaceScale
    longest_axis: Size
    perpendicular: Size
    width: Size
    height: Size
    area: Size
    perimeter: Size
    equivalent_diameter: Size
    depth: Annotated[
        float, Field(description="Of its uppermost row below the top of the scan: a proxy for the skin.")
    ]
    height_width_ratio: Size
    angle: Annotated[float, Field(ge=0, le=90, description="Degrees between longest axis and skin line.")]
    orientation: Orientation
    circularity: Size
    solidity: Size
    margin_smoothness: Size
    echo_contrast: Annotated[
        float | None,
        Field(
            description="Its grey level less that of the surroundings, -255..255; null where not to be told."
        ),
    ]
    echo_level: EchoLevel | None
    posterior_contrast: Annotated[
        float | None,
        Field(description="Grey levels behind it less those beside, -255..255; null where not to be told."),
    ]
    posterior: Posterior | None
    mean_probability: Share | None
    peak_probability: Share | None
    uncertainty: Annotated[Share | None, Field(description="Of its outline: 0 sure, 1 in doubt.")]
    longest_axis_ends: tuple[Place, Place]
    perpendicular_ends: tuple[Place, Place]
    centroid: Place
    box: BoxResult
    pixels: Positive


class ImageResult(_Part):
    """One image, or one frame of a clip."""

    image: Annotated[str, Field(description="The name that its results go by.")]
    file: Annotated[str, Field(description="The file, as the user named it.")]
    frame: Annotated[int | None, Field(ge=0, description="Its number in a clip, from 0; null for a still.")]
    height: Positive
    width: Positive
    spacing: Annotated[
        Spacing | None,
        Field(description="Millimetres per pixel of the whole image, row and column; null: unknown."),
    ]
    scale_origin: Origin
    scale_reason: str
    unit: Annotated[Unit, Field(description="mm where every lesion is in mm.")]
    lesion_share: Annotated[Share, Field(description="Of the image's pixels that are lesion.")]
    uncertainty: Annotated[Share | None, Field(description="Of the whole result: 0 sure, 1 in doubt.")]
    referred: Annotated[
        bool | None,
        Field(description="Whether a person should look at it (--refer); null where that was not asked."),
    ]
    lesions: list[LesionResult]
    files: Annotated[
        dict[str, str],
        Field(description="What was written, by kind; paths relative to the results folder, with /."),
    ]


class RefusedFile(_Part):
    """A file that gave no result, and why."""

    file: str
    reason: str


class ResultsFile(_Part):
    """results.json of sonoseg. Research software, not a medical device."""

    format: Literal["sonoseg-results/1"]
    notice: str
    made_by: Annotated[str, Field(description="The command.")]
    sonoseg: Annotated[str, Field(description="The version.")]
    model: ModelIdentity
    threshold: Annotated[float, Field(gt=0, lt=1, description="Lesion where the probability reaches it.")]
    temperature: Annotated[float, Field(gt=0, description="The logit was divided by it.")]
    postprocessing: Postprocessing
    runtime: Annotated[str, Field(description="The engine and its version.")]
    options: Annotated[dict[str, Any], Field(description="What else was asked for that shapes the results.")]
    images: list[ImageResult]
    refused: list[RefusedFile]


def results_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of results.json."""
    schema = ResultsFile.model_json_schema(mode="validation")
    return {"$schema": DIALECT, "$id": ID, **_without_titles(schema)}


def _without_titles(value: Any) -> Any:
    """pydantic titles every field with its own name, which says nothing."""
    if isinstance(value, dict):
        return {
            key: _without_titles(each)
            for key, each in value.items()
            if not (key == "title" and isinstance(each, str))
        }
    return [_without_titles(each) for each in value] if isinstance(value, list) else value


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(results_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    atomic_write_text(PATH, schema_text())
