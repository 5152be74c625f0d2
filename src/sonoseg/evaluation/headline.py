"""The figures of a summary that tables of results show, with their usual names and units."""

from __future__ import annotations

from typing import Any, Final, Literal

Kind = Literal["score", "share", "distance", "rate"]
"""How a figure is written: three decimals, percent, one decimal, two decimals."""

HEADLINE: Final[tuple[tuple[str, Kind, tuple[str, ...]], ...]] = (
    ("Dice, mean over lesion images", "score", ("per_image", "dice")),
    ("Dice, pixels pooled", "score", ("pooled", "dice")),
    ("IoU, mean over lesion images", "score", ("per_image", "iou")),
    ("IoU, pixels pooled", "score", ("pooled", "iou")),
    ("Dice, smallest quarter of lesions", "score", ("strata", "size", "Q1 smallest", "dice")),
    ("missed lesions (Dice < 0.1), smallest quarter", "share", ("strata", "size", "Q1 smallest", "missed")),
    ("missed lesions (Dice < 0.1)", "share", ("per_image", "missed")),
    ("sensitivity, per lesion", "share", ("lesions", "sensitivity")),
    ("false positives per image", "rate", ("lesions", "false_positives_per_image")),
    ("HD95, % of the image diagonal", "distance", ("per_image", "hd95_percent_diagonal")),
    ("HD95, mm", "distance", ("per_image", "hd95_mm")),
    ("NSD at 1 % of the image diagonal", "score", ("per_image", "nsd")),
    ("Dice, images with drawn marks", "score", ("strata", "marks", "yes", "dice")),
    ("Dice, images without marks", "score", ("strata", "marks", "no", "dice")),
    ("false-positive rate, normal images", "share", ("normals", "false_positive")),
    ("AUROC, normal against lesion images (maximum probability)", "score", ("detection", "auroc")),
    (
        "false-positive rate, normal images, where 90 % of lesion images are flagged",
        "share",
        ("detection", "flagged_normals", "0.9"),
    ),
    ("ECE, foreground", "score", ("calibration", "foreground", "ece")),
    ("ECE, boundary band", "score", ("calibration", "band", "ece")),
    ("uncertainty-Dice rank correlation (-1 is best)", "score", ("uncertainty", "spearman")),
    ("gain of the uncertainty ranking (0 random, 1 ideal)", "score", ("uncertainty", "gain")),
    (
        "Dice after referring the 20 % most uncertain",
        "score",
        ("uncertainty", "dice_after_referral", "0.2"),
    ),
)
"""Name, kind and keys of each figure."""


def figure(summary: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any] | None:
    """One figure of a summary, with its interval; None where it was not measured."""
    value: Any = summary
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None or value.get("mean") is None else value


def headline(summary: dict[str, Any]) -> list[tuple[str, Kind, dict[str, Any]]]:
    """Name, kind and figure of each that was measured."""
    found = ((name, kind, figure(summary, keys)) for name, kind, keys in HEADLINE)
    return [(name, kind, one) for name, kind, one in found if one is not None]
