"""`sonoseg model calibrate`: temperature scaling on validation images, and the threshold for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import out, print_json, progress
from sonoseg.cli.model_options import (
    ModelFolder,
    NewFolder,
    Overwrite,
    PreparedFolder,
    SplitFile,
    ValidationFold,
)

if TYPE_CHECKING:
    from sonoseg.evaluation.temperature_scaling import Calibrated


def calibrate(
    data: PreparedFolder,
    split: SplitFile,
    to: NewFolder,
    model: ModelFolder = None,
    fold: ValidationFold = 0,
    keep_masks: Annotated[
        bool, typer.Option("--keep-masks", help="Adapt the threshold so that no mask changes.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Calibrate probabilities: fit a temperature on validation images.

    Writes a new model folder with the same network, and the temperature and threshold on its card. The
    network runs twice over the validation images; the test part is not opened.
    """
    require("data", "pandas")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.evaluation.card_updates import calibrated_card
    from sonoseg.evaluation.scope import choose_ids
    from sonoseg.evaluation.temperature_scaling import calibrate as fit
    from sonoseg.inference.predictor import Predictor
    from sonoseg.model.model import Model, check_target

    check_target(to, overwrite)
    prepared = PreparedSet.open(data)
    ids = choose_ids(prepared, Split.load(split), fold, "validation")
    # In fp32 on the runtime of the core install, so that the fit does not depend on installed extras.
    predictor = Predictor(Model.load(model), runtime="onnx", precision="fp32")
    found = fit(predictor, prepared, ids, keep_masks=keep_masks, track=progress)
    predictor.model.copy(to, calibrated_card(predictor.model.card, found, fold), overwrite=overwrite)
    if as_json:
        print_json({"folder": str(to), **found.as_dict()})
    else:
        _show(found, to)


def _show(found: Calibrated, to: Path) -> None:
    from rich.table import Table

    from sonoseg import RESEARCH_ONLY

    table = Table(
        title=f"temperature {found.temperature:g} (was {found.old_temperature:g}), "
        f"threshold {found.threshold:g} (was {found.old_threshold:g}); {found.images} validation images",
        title_justify="left",
    )
    for column in ("on the network's grid", "before", "after"):
        table.add_column(column, justify="left" if column.startswith("on") else "right")
    table.add_row("negative log-likelihood, foreground", *(f"{value:.4f}" for value in found.nll))
    for measure in ("ece", "brier"):
        for name, pair in found.as_dict()[measure].items():
            title = {"ece": "ECE", "brier": "Brier score"}[measure]
            table.add_row(f"{title}, {name}", *(f"{value:.4f}" for value in pair))
    out.print(table)
    out.print(f"model: {to}", markup=False, soft_wrap=True)
    out.print(RESEARCH_ONLY)
