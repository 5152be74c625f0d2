"""Options that the verbs of `sonoseg model` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ModelFolder = Annotated[
    Path | None, typer.Argument(help="A model folder or training run; the shipped model by default.")
]
PreparedFolder = Annotated[Path, typer.Option("--data", help="The prepared set.")]
SplitFile = Annotated[Path, typer.Option("--split", help="The split file made for it.")]
ValidationFold = Annotated[int, typer.Option(min=0, help="The fold whose validation part is used.")]
NewFolder = Annotated[Path, typer.Option("--out", "-o", help="The folder to write the new model to.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Overwrite an existing model.")]
