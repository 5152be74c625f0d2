"""Options that verbs share, as typer takes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sonoseg.cli.choices import EngineChoice, PrecisionChoice, RuntimeChoice, TtaChoice
from sonoseg.errors import UsageError

if TYPE_CHECKING:
    from sonoseg.image.calibration import Spacing

Option = typer.Option


def flag(name: str, help: str) -> Any:
    """Declare a switch without a negative form, which is on where it is given."""
    return typer.Option(name, help=help)


Paths = Annotated[
    list[str],
    typer.Argument(help="Images, folders (searched recursively), or globs; with --engine ray also URLs."),
]
OutFolder = Annotated[Path, Option("--out", "-o", help="The folder to write results to.")]
ModelFolder = Annotated[
    Path | None, Option("--model", "-m", help="A model folder or training run; the shipped model by default.")
]
Threshold = Annotated[
    float | None, Option(help="Probability threshold of a lesion pixel; the model card's by default.")
]
Runtime = Annotated[RuntimeChoice, Option(help="The inference engine; by default the same everywhere.")]
Precision = Annotated[
    PrecisionChoice, Option(help="The engine's precision; by default the first that the card allows.")
]
Tta = Annotated[TtaChoice, Option(help="Test-time augmentation: average over mirrored or scaled views.")]
Refer = Annotated[
    float | None,
    Option(min=0, max=1, help="Mark this fraction of the images, the most uncertain, for review."),
]
PixelSpacing = Annotated[
    str | None, Option(help="Millimetres per pixel, one number or ROW,COLUMN; overrides the files'.")
]
SpacingTable = Annotated[
    Path | None, Option(help="A CSV of spacings (file, row, column); overrides --spacing and the files'.")
]
Frames = Annotated[str, Option(help="Frames of a DICOM clip: all, key, a number from 0, or START:STOP:STEP.")]
KeepBurnedIn = Annotated[
    bool, flag("--keep-burned-in", "Keep what lies outside a DICOM file's scan regions, names included.")
]
Probability = Annotated[bool, flag("--probability", "Write probabilities as 16-bit PNG.")]
Attention = Annotated[bool, flag("--attention", "Write each gate's attention map over the image.")]
Coco = Annotated[bool, flag("--coco", "Write outlines as COCO annotations.")]
Xlsx = Annotated[bool, flag("--xlsx", "Write the tables as a workbook for spreadsheets, too.")]
Labelme = Annotated[bool, flag("--labelme", "Write outlines for LabelMe.")]
Nrrd = Annotated[bool, flag("--nrrd", "Write segmentations for 3D Slicer.")]
Seg = Annotated[bool, flag("--seg", "Write DICOM SEG, for DICOM sources.")]
Sr = Annotated[bool, flag("--sr", "Write DICOM structured reports.")]
Capture = Annotated[bool, flag("--capture", "Write DICOM Secondary Captures of the overlays.")]
Dicom = Annotated[bool, flag("--dicom", "The same as --seg --sr --capture.")]
Fractional = Annotated[
    bool, flag("--fractional", "Write DICOM SEG of probabilities, not masks; implies --probability.")
]
Anonymise = Annotated[bool, flag("--anonymise", "Leave patient and study out of tables and DICOM objects.")]
Batch = Annotated[int, Option(min=1, help="Images per run of the network.")]
Engine = Annotated[
    EngineChoice,
    Option("--engine", help="plain: masks, tables and page; ray: millions of files, to Parquet."),
]
Workers = Annotated[
    int | None, Option(min=1, help="With --engine ray: number of networks; one per core by default.")
]
Partition = Annotated[
    int | None, Option(min=1, help="With --engine ray: files per partition; 1000 by default.")
]
RayAddress = Annotated[
    str | None,
    Option(metavar="ADDRESS", help="With --engine ray: a Ray cluster; by default one is started here."),
]
Resume = Annotated[bool, flag("--resume", "Continue an interrupted run with the same options.")]
Overwrite = Annotated[bool, flag("--overwrite", "Replace existing results.")]
AsJson = Annotated[bool, flag("--json", "Also write results.json to stdout.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Print only problems.")]


def parse_spacing(text: str) -> Spacing:
    """Parse "0.08" or "0.08,0.1" (row, column) in millimetres per pixel. Raises UsageError."""
    from sonoseg.image import calibration

    try:
        return calibration.parse_spacing(text)
    except ValueError as error:
        raise UsageError(
            f"'{text}' is not a pixel spacing: {calibration.SPACING_RANGE}",
            where="--spacing",
            remedy="Give millimetres per pixel, for example 0.09, or ROW,COLUMN",
        ) from error
