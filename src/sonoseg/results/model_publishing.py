"""Publish a model: its files in a folder, with the figures of evaluations on its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonoseg.errors import ModelError
from sonoseg.evaluation.headline import HEADLINES
from sonoseg.model.card import CardResult, ModelCard
from sonoseg.model.model import CARD, ONNX, Model

if TYPE_CHECKING:
    from sonoseg.evaluation.evaluation import Evaluation


def headline_results(summary: Mapping[str, Any], on: str) -> Iterator[CardResult]:
    """The headline figures of an evaluation as a card states them; `on` names what was evaluated."""
    for headline in HEADLINES:
        one = headline.of(summary)
        if one is not None:
            yield CardResult(
                measure=headline.title, value=one["mean"], low=one["low"], high=one["high"], n=one["n"],
                on=on, command=summary["command"],
            )  # fmt: skip


def publish(
    model: Model, evaluations: Sequence[tuple[str, Evaluation]], to: Path, *, overwrite: bool = False
) -> Model:
    """Write a model to a folder, with the figures of evaluations on its card.

    The card keeps its results on validation images; every other result is replaced. Where the new card has no
    measured precisions, those of the model in `to` stay if it is the same network with the same temperature.

    Args:
        evaluations: (name, evaluation) pairs; the name stands on the card as what was evaluated.
        to: the folder of the published model.

    Raises ModelError where an evaluation is of another model, OutputError where `to` holds a model already.
    """
    card = model.card
    results = [one for one in card.results if one.on == "validation"]
    for name, evaluation in evaluations:
        if evaluation.summary.get("model", {}).get("sha256") != model.file_sha256(ONNX):
            raise ModelError(
                "the evaluation is of another model",
                where=name,
                remedy="Evaluate this model with sonoseg evaluate",
            )
        results += headline_results(evaluation.summary, name)
    precisions = card.precisions
    if not precisions and (to / CARD).is_file():
        before = ModelCard.read(to / CARD)
        if before.sha256 == card.sha256 and before.temperature == card.temperature:
            precisions = before.precisions
    published = card.model_copy(update={"results": results, "precisions": precisions})
    return model.copy(to, published, overwrite=overwrite)
