"""`sonoseg model publish`: a model with the figures of its evaluations on the card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import out
from sonoseg.cli.model_options import NewFolder, Overwrite


def publish(
    model: Annotated[Path, typer.Argument(help="A model folder or training run.")],
    to: NewFolder,
    evaluation: Annotated[
        list[str],
        typer.Option(
            "--evaluation",
            "-e",
            metavar="[NAME=]FOLDER",
            help="A folder of sonoseg evaluate, NAME on the card (by default the folder's). Repeatable.",
        ),
    ],
    overwrite: Overwrite = False,
) -> None:
    """Write a model folder with the figures of evaluations on its card.

    Figures on validation images stay on the card; every other figure is replaced. The evaluations must be of
    this very model.
    """
    require("data", "pandas")
    from sonoseg.evaluation.evaluation import Evaluation
    from sonoseg.model.model import Model
    from sonoseg.results.model_publishing import publish as write

    evaluations = []
    for word in evaluation:
        name, _, folder = word.rpartition("=")
        evaluations.append((name or Path(folder).resolve().name, Evaluation.load(folder)))
    published = write(Model.load(model), evaluations, to, overwrite=overwrite)
    out.print(
        f"model: {to} ({len(published.card.results)} figures on its card)", markup=False, soft_wrap=True
    )
