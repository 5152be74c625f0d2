"""The figures of a summary that model cards and tables of results state, with their usual names and units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["score", "share", "distance", "rate"]
"""The format of a figure: three decimals, percent, one decimal, two decimals."""


class Headline(NamedTuple):
    """A figure that model cards and tables of results state.

    title: with its unit. keys: where it is in the summary of an evaluation.
    """

    title: str
    kind: Kind
    keys: tuple[str, ...]

    def of(self, summary: Mapping[str, Any]) -> Mapping[str, Any] | None:
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
    Headline("false-positive rate on normal images", "share", ("normals", "false_positive")),
    Headline("AUROC, normal against lesion images (maximum probability)", "score", ("detection", "auroc")),
    Headline(_AT_90, "share", _FLAGGED),
    Headline("ECE, foreground", "score", ("calibration", "foreground", "ece")),
    Headline("ECE, boundary band", "score", ("calibration", "band", "ece")),
    Headline("uncertainty-Dice rank correlation (-1 is best)", "score", ("uncertainty", "spearman")),
    Headline("gain of the order by uncertainty (0 chance, 1 best)", "score", ("uncertainty", "gain")),
    Headline(
        "Dice after referring the 20 % most uncertain", "score", ("uncertainty", "dice_after_referral", "0.2")
    ),
)  # fmt: skip
"""The figures of a model card."""

FURTHER_HEADLINES = (
    Headline("HD95, mm", "distance", ("per_image", "hd95_mm")),
    Headline("sensitivity per lesion", "share", ("lesions", "sensitivity")),
    Headline("false positives per image", "rate", ("lesions", "false_positives_per_image")),
)
