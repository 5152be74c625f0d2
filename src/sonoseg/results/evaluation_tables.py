"""The tables of a study's page, and how its figures are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

Kind = Literal["score", "share", "distance", "rate"]
"""How a figure is written: three decimals, percent, one decimal, two decimals."""

Figure = Mapping[str, Any]
"""A mean with its interval, as in summary.json."""

P_FLOOR = 1e-4
"""The smallest p-value that 9999 permutations can give."""


def number(value: float, kind: Kind = "score") -> str:
    """A figure alone: "0.742", "45.1 %"."""
    if kind == "share":
        return f"{100 * value:.1f} %"
    return f"{value:.{ {'score': 3, 'distance': 1, 'rate': 2}[kind] }f}"


def interval(one: Figure, kind: Kind = "score") -> str:
    """A figure with its interval: "0.742 [0.701, 0.781]"; "not measured" where there is none."""
    if one["mean"] is None:
        return "not measured"
    if one["low"] is None:
        return f"{number(one['mean'], kind)} (no interval)"
    return f"{number(one['mean'], kind)} [{number(one['low'], kind)}, {number(one['high'], kind)}]"


def p_value(p: float | None) -> str:
    """A p-value; below what the permutations can resolve it says so."""
    if p is None:
        return "none"
    if p <= P_FLOOR:
        return f"≤ {P_FLOOR:g}"
    return f"{p:.4f}" if p < 0.01 else f"{p:.3f}"


def results_table(summary: Mapping[str, Any]) -> str:
    """Every figure of a study that was measured, under a heading a kind of image."""
    parts: list[str] = []
    for title, lines in _results(summary):
        known = [line for line in lines if line[1]["mean"] is not None]
        parts += [_group(title, 4)] if known else []
        parts += [
            _row(name, interval(one, kind), numbers=(one["n"], one["groups"])) for name, one, kind in known
        ]
    return _table(
        "Each figure with its 95 % interval, from a bootstrap over groups.",
        ("Measure", "Figure [95 % interval]"),
        ("n", "groups"),
        parts,
    )


def _detection(detection: Mapping[str, Any] | None) -> list[tuple[str, Figure, Kind]]:
    if detection is None:
        return []
    flagged: list[tuple[str, Figure, Kind]] = [
        (f"Flagged where {float(share):.0%} of the lesion images are, by their peaks", one, "share")
        for share, one in detection["flagged_normals"].items()
    ]
    return [("Told from lesion images by the peak (AUROC)", detection["auroc"], "score"), *flagged]


def _results(summary: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, Figure, Kind]]]]:
    per, pooled, normals = summary["per_image"], summary["pooled"], summary["normals"]
    lesions, calibration, policy = summary["lesions"], summary["calibration"], summary["policy"]
    alarm = f"With a false alarm (over {100 * policy['false_alarm_share']:g} % of the image)"
    return [
        (
            "Images with a lesion, mean of the images (processed mask)",
            [
                ("Dice", per["dice"], "score"),
                ("IoU", per["iou"], "score"),
                ("Precision", per["precision"], "score"),
                ("Recall", per["recall"], "score"),
                ("Pixel accuracy", per["pixel_accuracy"], "score"),
                (f"Missed (Dice below {policy['missed_dice']:g})", per["missed"], "share"),
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
            "The same images, all pixels pooled",
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
                ("Found (n: lesions)", lesions["sensitivity"], "share"),
                ("False positives per image", lesions["false_positives_per_image"], "rate"),
            ],
        ),
        (
            "Normal images",
            [
                (alarm, normals["false_alarm"], "share"),
                ("The same before post-processing", normals["raw_false_alarm"], "share"),
                ("False positives per normal", lesions["false_positives_per_normal"], "rate"),
                ("Predicted area", normals["predicted_area_share"], "share"),
                *_detection(summary.get("detection")),  # studies of before have none
            ],
        ),
        (
            "Calibration, pixels pooled (n: images)",
            [
                ("Expected calibration error, whole image", calibration["whole"]["ece"], "score"),
                ("The same, foreground", calibration["foreground"]["ece"], "score"),
                ("The same, boundary band", calibration["band"]["ece"], "score"),
                ("The same, normals", calibration["normals"]["ece"], "score"),
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


def strata_table(summary: Mapping[str, Any]) -> str:
    """Dice, IoU, NSD and misses in each stratum; "" where there is none."""
    parts: list[str] = []
    for name, title in STRATA_TITLES.items():
        levels = summary["strata"].get(name, {})
        if name == "size":
            edges = ", ".join(f"{100 * edge:.2g} %" for edge in summary["size_edges"])
            title = f"{title}, quarters of the prepared set (edges {edges} of the image)"
        parts += [_group(title, 6)] if levels else []
        parts += [
            _row(
                level,
                *(interval(one[key]) for key in ("dice", "iou", "nsd")),
                interval(one["missed"], "share"),
                numbers=(one["dice"]["n"],),
            )
            for level, one in levels.items()
        ]
    return _table(
        "Images with a lesion. Small lesions are where models differ.",
        ("Stratum", "Dice", "IoU", "NSD", "Missed"),
        ("n",),
        parts,
    )


def froc_table(summary: Mapping[str, Any]) -> str:
    """Sensitivity at fixed false positives per image; "" where there is no lesion."""
    parts = [
        _row(
            allowed,
            interval(one, "share"),
            numbers=("none" if one["threshold"] is None else f"{one['threshold']:.2f}",),
        )
        for allowed, one in summary["lesions"]["sensitivity_at_fp_per_image"].items()
        if one["mean"] is not None
    ]
    return _table(
        "Lesions found where so many false positives per image are allowed. The threshold is read off the "
        "curve of these very images, and held fixed in the interval. The table ends where the curve does.",
        ("False positives per image", "Lesions found"),
        ("threshold",),
        parts,
    )


def doubt_table(summary: Mapping[str, Any]) -> str:
    """What the doubt is worth; "" for a study without it."""
    doubt = summary.get("doubt", {})
    if not doubt:
        return ""
    left = doubt["dice_left"]
    lines: list[tuple[str, Figure]] = [
        ("Spearman's correlation of doubt and Dice (-1 is best)", doubt["spearman"]),
        ("Area under the risk-coverage curve (lower is better)", doubt["aurc"]),
        ("The same by the best order there could be", doubt["aurc_oracle"]),
        ("The same by chance", doubt["aurc_random"]),
        ("Share of the way from chance to the best order", doubt["gain"]),
        *(
            (f"Mean Dice of those left with {100 * float(share):g} % referred", one)
            for share, one in left.items()
        ),
        ("Normals: a false alarm is in more doubt than none (AUROC)", doubt["false_alarm_auroc"]),
    ]
    return _table(
        "What the doubt is worth, over the images with a lesion (the last line: over the normals).",
        ("Measure", "Figure [95 % interval]"),
        ("n", "groups"),
        [
            _row(name, interval(one), numbers=(one["n"], one["groups"]))
            for name, one in lines
            if one["mean"] is not None
        ],
    )


_COMPARED: dict[str, tuple[str, Kind]] = {
    "dice": ("Dice", "score"),
    "iou": ("IoU", "score"),
    "precision": ("Precision", "score"),
    "recall": ("Recall", "score"),
    "hd95_percent_diagonal": ("HD95, percent of the diagonal", "distance"),
    "nsd": ("NSD", "score"),
    "missed": ("Missed", "share"),
    "false_alarm": ("Normals with a false alarm", "share"),
    "n_false_positives": ("False positives per image", "rate"),
}


def comparison_table(comparison: Mapping[str, Any]) -> str:
    """Each metric of both models, the paired difference and its p-values; then the Dice by strata."""
    parts = [_compared(*_COMPARED[key], one) for key, one in comparison["metrics"].items()]
    for name, title in STRATA_TITLES.items():
        levels = comparison["strata"].get(name, {})
        if levels:
            parts.append(_group(f"Dice by {title.lower()}", 7))
            parts += [_compared(level, "score", one["dice"]) for level, one in levels.items()]
    columns = (
        *("Measure", comparison["first"], comparison["second"], "Difference [95 % interval]"),
        *("p (permutation)", "p (Wilcoxon)"),
    )
    return _table("Means over the images that both studies hold.", columns, ("n",), parts)


def _compared(name: str, kind: Kind, one: Mapping[str, Any]) -> str:
    if one["difference"]["mean"] is None:
        return ""
    means = (number(one[key]["mean"], kind) for key in ("first", "second"))
    tests = (p_value(one[key]) for key in ("p_permutation", "p_wilcoxon"))
    return _row(name, *means, interval(one["difference"], kind), *tests, numbers=(one["difference"]["n"],))


def _table(caption: str, columns: Sequence[str], numbers: Sequence[str], rows: Sequence[str]) -> str:
    """An HTML table; `numbers` head the columns set flush right. "" without any row."""
    inside = "".join(rows)
    if not inside:
        return ""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    head += "".join(f'<th scope="col" class="n">{escape(column)}</th>' for column in numbers)
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{inside}</tbody></table></div>"
    )


def _group(title: str, columns: int) -> str:
    return f'<tr><th class="group" colspan="{columns}" scope="rowgroup">{escape(title)}</th></tr>'


def _row(name: str, *cells: str, numbers: Sequence[object] = ()) -> str:
    inside = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    inside += "".join(f'<td class="n">{escape(str(cell))}</td>' for cell in numbers)
    return f'<tr><th scope="row">{escape(name)}</th>{inside}</tr>'
