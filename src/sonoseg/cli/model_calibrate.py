"""`sonoseg model calibrate`: a temperature fitted on validation images, and its threshold."""

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
    from sonoseg.model.card import ModelCard


def calibrate(
    data: PreparedFolder,
    split: SplitFile,
    to: NewFolder,
    model: ModelFolder = None,
    fold: ValidationFold = 0,
    keep_masks: Annotated[
        bool, typer.Option("--keep-masks", help="Move the threshold so that no mask changes.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write what was found as JSON.")] = False,
) -> None:
    """Make probabilities mean what they say: fit a temperature on validation images.

    Writes a new model folder: the same networks, a card with temperature and threshold. The network runs
    twice over the validation images; the test part is not touched.
    """
    require("data", "pandas")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split
    from sonoseg.evaluation.scope import choose_ids
    from sonoseg.evaluation.temperature_scaling import calibrate as fit
    from sonoseg.inference.predictor import Predictor
    from sonoseg.model.model import Model, check_target

    check_target(to, overwrite)
    prepared = PreparedSet.open(data)
    ids = choose_ids(prepared, Split.load(split), fold, "validation")
    # In full precision, on the runtime that every installation has: what is fitted does not depend on more.
    predictor = Predictor(Model.load(model), runtime="onnx", precision="fp32")
    found = fit(predictor, prepared, ids, keep_masks=keep_masks, track=progress)
    predictor.model.copy(to, _card(predictor.model.card, found, fold), overwrite=overwrite)
    if as_json:
        print_json({"folder": str(to), **found.as_dict()})
    else:
        _show(found, to)


def _card(card: ModelCard, found: Calibrated, fold: int) -> ModelCard:
    """The card with what was found; figures that no longer hold are left out."""
    from sonoseg.evaluation.provenance import command_given
    from sonoseg.model.card import CardResult

    kept = [
        one
        for one in card.results
        if found.sweep is None and not one.measure.startswith(("ECE", "Brier", "Expected calibration"))
    ]
    added = [
        CardResult(
            measure=f"ECE, {name}, on the network's grid (before: {found.before[name].ece:.4f})",
            value=round(found.after[name].ece, 4),
            n=found.images,
            on="validation",
            command=command_given(),
        )
        for name in found.regions
    ]
    if found.sweep is not None:
        added.insert(
            0,
            CardResult(
                measure="mean lesion Dice on the network's grid, threshold chosen here",
                value=round(float(found.sweep.dice.max()), 4),
                n=found.sweep.n,
                on="validation",
                command=command_given(),
            ),
        )
    return card.model_copy(
        update={
            "temperature": found.temperature,
            "threshold": found.threshold,
            "results": [*kept, *added],
            "training": {**card.training, "calibration": {**found.as_dict(), "fold": fold}},
        }
    )


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
