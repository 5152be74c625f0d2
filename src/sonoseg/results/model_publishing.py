"""Publish a model: its files in a folder, with the figures of evaluations on its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sonoseg.errors import ModelError
from sonoseg.model.card import CardResult, ModelCard
from sonoseg.model.model import CARD, Model
from sonoseg.results.evaluation_tables import Figure, Kind

if TYPE_CHECKING:
    from sonoseg.evaluation.evaluation import Evaluation


class Headline(NamedTuple):
    """A figure that a model card states.

    title: with its unit. keys: where it is in the summary of an evaluation.
    """

    title: str
    kind: Kind
    keys: tuple[str, ...]

    def of(self, summary: Mapping[str, Any]) -> Figure | None:
        """The figure with interval and n; None where the evaluation has none."""
        value: Any = summary
        for key in self.keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return None if value is None or value.get("mean") is None else value


_SMALLEST = ("strata", "size", "Q1 smallest")
_FLAGGED = ("detection", "flagged_normals", "0.9")
_AT_90 = "false-positive rate on normal images at 90 % sensitivity (maximum probability)"

HEADLINES = (
    Headline("Dice, mean over lesion images", "score", ("per_image", "dice")),
    Headline("Dice, pixels pooled", "score", ("pooled", "dice")),
    Headline("IoU, mean over lesion images", "score", ("per_image", "iou")),
    Headline("IoU, pixels pooled", "score", ("pooled", "iou")),
    Headline("Dice, smallest quarter of lesions", "score", (*_SMALLEST, "dice")),
    Headline("missed lesions (Dice < 0.1), smallest quarter", "share", (*_SMALLEST, "missed")),
    Headline("missed lesions (Dice < 0.1)", "share", ("per_image", "missed")),
    Headline("HD95, percent of the diagonal", "distance", ("per_image", "hd95_percent_diagonal")),
    Headline("NSD at 1 % of the diagonal", "score", ("per_image", "nsd")),
    Headline("Dice, images with drawn marks", "score", ("strata", "marks", "yes", "dice")),
    Headline("Dice, images without drawn marks", "score", ("strata", "marks", "no", "dice")),
    Headline("false-positive rate on normal images", "share", ("normals", "false_alarm")),
    Headline("AUROC, normal against lesion images (maximum probability)", "score", ("detection", "auroc")),
    Headline(_AT_90, "share", _FLAGGED),
    Headline("ECE, foreground", "score", ("calibration", "foreground", "ece")),
    Headline("ECE, boundary band", "score", ("calibration", "band", "ece")),
    Headline("uncertainty-Dice rank correlation (-1 is best)", "score", ("doubt", "spearman")),
    Headline("gain of the order by uncertainty (0 chance, 1 best)", "score", ("doubt", "gain")),
    Headline("Dice after referring the 20 % most uncertain", "score", ("doubt", "dice_left", "0.2")),
)  # fmt: skip


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
        if str(evaluation.summary.get("model", {}).get("sha256"))[:12] != model.hash:
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
