"""Options and choices of the verbs of `sonoseg data`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class FitChoice(StrEnum):
    """How an image is resized to the network's square grid."""

    stretch = "stretch"
    letterbox = "letterbox"


class MethodChoice(StrEnum):
    """How images are assigned to folds."""

    grouped = "grouped"
    random = "random"
    official = "official"
    leave_one_set_out = "leave-one-set-out"


class PolicyChoice(StrEnum):
    """Which images take part."""

    all = "all"
    first_of_group = "first-of-group"
    strict = "strict"


SetsArgument = Annotated[
    list[str], typer.Argument(help="PATH or NAME=PATH of a set; several, separate or joined with '+'.")
]
SetOption = Annotated[
    str | None, typer.Option("--set", help="Read it as this kind of set, whatever its layout.")
]
SizeOption = Annotated[int, typer.Option(min=16, max=4096, help="Side of the memory-mapped arrays, pixels.")]
FitOption = Annotated[FitChoice, typer.Option(help="Stretch to the square, or keep the aspect ratio.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Overwrite existing output.")]
