"""The contents of results.json as pydantic models, and the JSON Schema made from them.

The schema file lies beside this module. After a change here, make it again with `python -m
sonoseg.results.schema`; a test compares the two, and checks the program's output against it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from sonoseg._util.files import atomic_write_text
from sonoseg._util.validation import StrictModel
from sonoseg.dicom.reading.acquisition import Laterality
from sonoseg.image.calibration import Origin
from sonoseg.lesions.birads import EchoLevel, Orientation, Posterior
from sonoseg.model.card import Postprocessing

ID = "urn:sonoseg:schema:results:4"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
PATH = Path(__file__).with_name("results.schema.json")

Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Millimetres = Annotated[float, Field(gt=0)]
Position = Annotated[
    tuple[float, float],
    Field(description="Row and column in pixels of the image, the middle of the first pixel at 0, 0."),
]
PixelSpacing = Annotated[
    tuple[Millimetres, Millimetres] | None,
    Field(description="Millimetres per pixel along rows and columns; null where unknown."),
]
SpacingOrigin = Annotated[
    Origin,
    Field(
        description="The source of the spacing: file, given (--spacing), table (--spacings), or none; "
        "region, with the rules by which one that breaks the standard was used (the report has the caution)."
    ),
]
SpacingReason = Annotated[str, Field(description="Why there is no spacing; empty where there is one.")]
Unit = Literal["mm", "px"]


class ModelIdentity(StrictModel):
    """The model that found the lesions."""

    name: str
    hash: Annotated[
        str,
        Field(description="The first 12 digits of a SHA-256 of its weights and its card's settings."),
    ]


class BoxResult(StrictModel):
    """An upright rectangle of whole pixels."""

    top: Count
    left: Count
    height: Positive
    width: Positive


class LesionResult(StrictModel):
    """One lesion. Lengths are in its `unit`, areas in its square; docs/measuring.md has the definitions."""

    lesion: Annotated[int, Field(ge=1, description="Its number in the image, the largest first.")]
    unit: Unit
    spacing: PixelSpacing
    spacing_origin: SpacingOrigin
    spacing_reason: SpacingReason
    longest_axis: Size
    perpendicular: Size
    width: Size
    height: Size
    area: Size
    perimeter: Size
    equivalent_diameter: Size
    depth: Annotated[
        Size, Field(description="Of its uppermost row below the top of the scan: a proxy for the skin.")
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
            description="Its grey level less that of the surroundings, -255..255; null where not measurable."
        ),
    ]
    echo_level: EchoLevel | None
    posterior_contrast: Annotated[
        float | None,
        Field(description="Grey levels behind it less those beside, -255..255; null where not measurable."),
    ]
    posterior: Posterior | None
    mean_probability: Share | None
    peak_probability: Share | None
    uncertainty: Annotated[Share | None, Field(description="Of its outline: 0 certain, 1 uncertain.")]
    longest_axis_ends: tuple[Position, Position]
    perpendicular_ends: tuple[Position, Position]
    centroid: Position
    box: BoxResult
    pixels: Positive


class AcquisitionResult(StrictModel):
    """What a DICOM file says of patient and examination; docs/codebook.md names the attributes."""

    patient_id: str | None
    study_instance_uid: str | None
    accession_number: str | None
    laterality: Laterality | None
    view: str | None
    acquisition_date: Annotated[str | None, Field(pattern=r"^\d{4}-\d\d-\d\d$")]


class ImageResult(StrictModel):
    """One image, or one frame of a clip."""

    image: Annotated[str, Field(description="The name of its results.")]
    file: Annotated[str, Field(description="The file, as the user named it.")]
    frame: Annotated[int | None, Field(ge=0, description="Its number in a clip, from 0; null for a still.")]
    height: Positive
    width: Positive
    acquisition: Annotated[
        AcquisitionResult | None,
        Field(description="Null for a file that is not DICOM, and with --anonymise."),
    ]
    spacing: PixelSpacing
    spacing_origin: SpacingOrigin
    spacing_reason: SpacingReason
    unit: Annotated[Unit, Field(description="mm where every lesion is in mm.")]
    lesion_share: Annotated[Share, Field(description="The share of the image's pixels that are lesion.")]
    uncertainty: Annotated[Share | None, Field(description="Of the whole result: 0 certain, 1 uncertain.")]
    referred: Annotated[
        bool | None,
        Field(description="Whether it is referred for review (--refer); null where not requested."),
    ]
    assessable: Annotated[
        bool, Field(description="False for an image without contrast: no lesion found then means nothing.")
    ]
    warnings: Annotated[list[str], Field(description="What is uncertain about the image as it was read.")]
    lesions: list[LesionResult]
    files: Annotated[
        dict[str, str],
        Field(description="The output files by kind; paths relative to the results folder, with /."),
    ]


class RefusedResult(StrictModel):
    """A file that was refused or could not be written, with the reason."""

    file: str
    reason: str


class ResultsFile(StrictModel):
    """results.json of sonoseg. Research software, not a medical device."""

    format: Literal["sonoseg-results/4"]
    notice: str
    made_by: Annotated[str, Field(description="The command.")]
    sonoseg: Annotated[str, Field(description="The version.")]
    model: ModelIdentity
    threshold: Annotated[float, Field(gt=0, lt=1, description="The probability threshold of the mask.")]
    temperature: Annotated[float, Field(gt=0, description="The logit was divided by it.")]
    postprocessing: Postprocessing
    runtime: Annotated[str, Field(description="The engine and its version.")]
    settings_hash: Annotated[
        str,
        Field(
            description="The first 12 digits of the SHA-256 of all settings that can change a mask; DICOM "
            "objects name it too. Empty for masks of another origin."
        ),
    ]
    options: Annotated[dict[str, Any], Field(description="Further options that change the results.")]
    images: list[ImageResult]
    refused: list[RefusedResult]


def results_schema() -> dict[str, Any]:
    """Make the JSON Schema (draft 2020-12) of results.json."""
    schema = ResultsFile.model_json_schema(mode="validation")
    return {"$schema": DIALECT, "$id": ID, **_without_titles(schema)}


def _without_titles(value: Any) -> Any:
    """Drop the titles that pydantic adds, which repeat the names of the fields."""
    if isinstance(value, dict):
        return {
            key: _without_titles(each)
            for key, each in value.items()
            if not (key == "title" and isinstance(each, str))
        }
    return [_without_titles(each) for each in value] if isinstance(value, list) else value


def schema_text() -> str:
    """Format the schema as in its file."""
    return json.dumps(results_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    atomic_write_text(PATH, schema_text())
