"""Model cards updated with what was measured: calibration, and the loss of lower precisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sonoseg.evaluation.provenance import command_given
from sonoseg.model.card import CardResult, LowerPrecision, ModelCard
from sonoseg.model.model import CARD, Model

if TYPE_CHECKING:
    from sonoseg.evaluation.precision_loss import Loss
    from sonoseg.evaluation.temperature_scaling import Calibrated


def calibrated_card(card: ModelCard, found: Calibrated, fold: int) -> ModelCard:
    """Return the card with the fit, without the results that no longer hold."""
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


def write_precisions(model: Model, losses: list[Loss], on: str, command: str) -> None:
    """Write measured losses to the model's card, on which those of other runtimes and machines are kept."""
    entries = [
        LowerPrecision.model_validate(
            {
                "runtime": one.runtime,
                "precision": one.precision,
                "loss": round(one.loss, 6),
                "n": one.n,
                "on": on,
                "command": command,
            }
        )
        for one in losses
        if one.precision != "fp32"
    ]
    # Read again: the measurement takes minutes, and the card may have changed meanwhile.
    card = ModelCard.read(model.folder / CARD)
    # Keep what another machine measured and this one cannot run.
    measured = {(one.runtime, one.precision) for one in losses}
    entries += [one for one in card.precisions if (one.runtime, one.precision) not in measured]
    card.model_copy(update={"precisions": entries}).write(model.folder / CARD)
