"""The tables of an evaluation's page, and the format of its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sonoseg.evaluation.headline import Kind

Figure = Mapping[str, Any]
"""A mean with its interval, as in summary.json."""

P_FLOOR = 1e-4
"""The smallest p-value that 9999 permutations can give."""


@dataclass(frozen=True)
class TableRow:
    """One row. name: its header. cells, numbers: text; numbers are aligned to the right.

    is_heading: the row heads the group of rows below it, and has no cells.
    """

    name: str
    cells: Sequence[str] = ()
    numbers: Sequence[str] = ()
    is_heading: bool = False


@dataclass(frozen=True)
class EvaluationTable:
    """A table of the page. columns, numbers: the headers of the text and of the number columns."""

    caption: str
    columns: Sequence[str]
    numbers: Sequence[str]
    rows: Sequence[TableRow]

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.columns) + len(self.numbers)


def number(value: float, kind: Kind = "score") -> str:
    """Format a figure alone: "0.742", "45.1 %"."""
    if kind == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.{ {'score': 3, 'distance': 1, 'rate': 2}[kind] }f}"


def interval(one: Figure, kind: Kind = "score") -> str:
    """Format a figure with its interval: "0.742 [0.701, 0.781]"; "not measured" where there is none."""
    if one["mean"] is None:
        return "not measured"
    if one["low"] is None:
        return f"{number(one['mean'], kind)} (no interval)"
    return f"{number(one['mean'], kind)} [{number(one['low'], kind)}, {number(one['high'], kind)}]"


def p_value(p: float | None) -> str:
    """Format a p-value, down to the smallest that the permutations resolve."""
    if p is None:
        return "none"
    if p <= P_FLOOR:
        return f"≤ {P_FLOOR:g}"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def results_table(summary: Mapping[str, Any]) -> EvaluationTable:
    """Every figure that was measured, grouped by the kind of image."""
    rows: list[TableRow] = []
    for title, figures in _results(summary):
        known = [figure for figure in figures if figure[1]["mean"] is not None]
        rows += [TableRow(title, is_heading=True)] if known else []
        rows += [_measure(name, one, kind) for name, one, kind in known]
    return EvaluationTable(
        "Each figure with its 95 % interval, from a bootstrap over groups.",
        ("Measure", "Figure [95 % interval]"),
        ("n", "groups"),
        rows,
    )


def _measure(name: str, one: Figure, kind: Kind = "score") -> TableRow:
    return TableRow(name, [interval(one, kind)], [str(one["n"]), str(one["groups"])])


def _detection(detection: Mapping[str, Any] | None) -> list[tuple[str, Figure, Kind]]:
    if detection is None:
        return []
    flagged: list[tuple[str, Figure, Kind]] = [
        (f"Flagged by maximum probability, at {float(share):.0%} of the lesion images flagged", one, "share")
        for share, one in detection["flagged_normals"].items()
    ]
    auroc = "AUROC, normal against lesion images (maximum probability)"
    return [(auroc, detection["auroc"], "score"), *flagged]


def _results(summary: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, Figure, Kind]]]]:
    per, pooled, normals = summary["per_image"], summary["pooled"], summary["normals"]
    lesions, calibration, policy = summary["lesions"], summary["calibration"], summary["policy"]
    false_positive = (
        f"False-positive rate (over {100 * policy['false_positive_share']:g} % of the image predicted)"
    )
    return [
        (
            "Images with a lesion, mean per image (post-processed mask)",
            [
                ("Dice", per["dice"], "score"),
                ("IoU", per["iou"], "score"),
                ("Precision", per["precision"], "score"),
                ("Recall", per["recall"], "score"),
                ("Pixel accuracy", per["pixel_accuracy"], "score"),
                (f"Missed lesions (Dice below {policy['missed_dice']:g})", per["missed"], "share"),
                ("HD95, pixels", per["hd95_px"], "distance"),
                ("HD95, percent of the diagonal", per["hd95_percent_diagonal"], "distance"),
                ("HD95, mm", per["hd95_mm"], "distance"),
                (f"NSD at {policy['nsd_percent']:g} % of the diagonal", per["nsd"], "score"),
                (f"NSD at {policy['nsd_px']:g} pixels", per["nsd_px"], "score"),
                (f"NSD at {policy['nsd_mm']:g} mm", per["nsd_mm"], "score"),
                ("Average surface distance, pixels", per["asd_px"], "distance"),
                ("Average surface distance, mm", per["asd_mm"], "distance"),
                ("Dice before post-processing", per["raw_dice"], "score"),
                ("IoU before post-processing", per["raw_iou"], "score"),
            ],
        ),
        (
            "Images with a lesion, all pixels pooled",
            [
                ("Dice", pooled["dice"], "score"),
                ("IoU", pooled["iou"], "score"),
                ("Precision", pooled["precision"], "score"),
                ("Recall", pooled["recall"], "score"),
            ],
        ),
        (
            "Lesions",
            [
                ("Sensitivity (n: lesions)", lesions["sensitivity"], "share"),
                ("False positives per image", lesions["false_positives_per_image"], "rate"),
            ],
        ),
        (
            "Normal images",
            [
                (false_positive, normals["false_positive"], "share"),
                ("The same before post-processing", normals["raw_false_positive"], "share"),
                ("False positives per normal image", lesions["false_positives_per_normal"], "rate"),
                ("Predicted area", normals["predicted_area_share"], "share"),
                *_detection(summary.get("detection")),  # older evaluations have none
            ],
        ),
        (
            "Calibration, pixels pooled (n: images)",
            [
                ("Expected calibration error, whole image", calibration["whole"]["ece"], "score"),
                ("The same, foreground", calibration["foreground"]["ece"], "score"),
                ("The same, boundary band", calibration["band"]["ece"], "score"),
                ("The same, normal images", calibration["normals"]["ece"], "score"),
                ("Brier score, foreground", calibration["foreground"]["brier"], "score"),
            ],
        ),
    ]


STRATA_TITLES = {
    "size": "Lesion area",
    "class": "Class",
    "marks": "Marks drawn on the image",
    "callipers": "Callipers (measurement marks)",
    "set": "Set",
}


def strata_table(summary: Mapping[str, Any]) -> EvaluationTable:
    """Dice, IoU, NSD and missed lesions in each stratum."""
    rows: list[TableRow] = []
    for name, title in STRATA_TITLES.items():
        levels = summary["strata"].get(name, {})
        if name == "size":
            edges = ", ".join(f"{100 * edge:.2g} %" for edge in summary["size_edges"])
            title = f"{title}, quarters of the prepared set (edges {edges} of the image)"
        rows += [TableRow(title, is_heading=True)] if levels else []
        rows += [
            TableRow(
                level,
                [*(interval(one[key]) for key in ("dice", "iou", "nsd")), interval(one["missed"], "share")],
                [str(one["dice"]["n"])],
            )
            for level, one in levels.items()
        ]
    return EvaluationTable(
        "Images with a lesion. Small lesions are where models differ.",
        ("Stratum", "Dice", "IoU", "NSD", "Missed"),
        ("n",),
        rows,
    )


def froc_table(summary: Mapping[str, Any]) -> EvaluationTable:
    """Sensitivity at fixed false positives per image."""
    rows = [
        TableRow(
            allowed,
            [interval(one, "share")],
            ["none" if one["threshold"] is None else f"{one['threshold']:.2f}"],
        )
        for allowed, one in summary["lesions"]["sensitivity_at_fp_per_image"].items()
        if one["mean"] is not None
    ]
    return EvaluationTable(
        "Sensitivity at fixed false positives per image. The threshold is read off the curve of the same "
        "images, and held fixed in the interval. The table ends where the curve does.",
        ("False positives per image", "Sensitivity"),
        ("threshold",),
        rows,
    )


def uncertainty_table(summary: Mapping[str, Any]) -> EvaluationTable | None:
    """How well the uncertainty ranks the images; None where it was not measured."""
    found = summary.get("uncertainty", {})
    if not found:
        return None
    lines: list[tuple[str, Figure]] = [
        ("Uncertainty-Dice rank correlation (Spearman; -1 is best)", found["spearman"]),
        ("Area under the risk-coverage curve (lower is better)", found["aurc"]),
        ("The same in the best possible order", found["aurc_oracle"]),
        ("The same in random order", found["aurc_random"]),
        ("Gain: share of the way from random to best order", found["gain"]),
        *(
            (f"Dice after referring the {100 * float(share):g} % most uncertain", one)
            for share, one in found["dice_after_referral"].items()
        ),
        ("Normal images: AUROC, false positive against none (uncertainty)", found["false_positive_auroc"]),
    ]
    return EvaluationTable(
        "Uncertainty over the images with a lesion (the last row: over the normal images).",
        ("Measure", "Figure [95 % interval]"),
        ("n", "groups"),
        [_measure(name, one) for name, one in lines if one["mean"] is not None],
    )


_COMPARED: dict[str, tuple[str, Kind]] = {
    "dice": ("Dice", "score"),
    "iou": ("IoU", "score"),
    "precision": ("Precision", "score"),
    "recall": ("Recall", "score"),
    "hd95_percent_diagonal": ("HD95, percent of the diagonal", "distance"),
    "nsd": ("NSD", "score"),
    "missed": ("Missed", "share"),
    "false_positive": ("False-positive rate on normal images", "share"),
    "n_false_positives": ("False positives per image", "rate"),
}


def comparison_table(comparison: Mapping[str, Any]) -> EvaluationTable:
    """Each metric of both models with the paired difference and its p-values; then the Dice by strata."""
    rows = [_compared(*_COMPARED[key], one) for key, one in comparison["metrics"].items()]
    for name, title in STRATA_TITLES.items():
        levels = comparison["strata"].get(name, {})
        if levels:
            rows.append(TableRow(f"Dice by {title.lower()}", is_heading=True))
            rows += [_compared(level, "score", one["dice"]) for level, one in levels.items()]
    return EvaluationTable(
        "Means over the images in both evaluations.",
        (
            *("Measure", comparison["first"], comparison["second"], "Difference [95 % interval]"),
            *("p (permutation)", "p (Wilcoxon)"),
        ),
        ("n",),
        [row for row in rows if row is not None],
    )


def _compared(name: str, kind: Kind, one: Mapping[str, Any]) -> TableRow | None:
    difference = one["difference"]
    if difference["mean"] is None:
        return None
    return TableRow(
        name,
        [
            *(number(one[key]["mean"], kind) for key in ("first", "second")),
            interval(difference, kind),
            *(p_value(one[key]) for key in ("p_permutation", "p_wilcoxon")),
        ],
        [str(difference["n"])],
    )
