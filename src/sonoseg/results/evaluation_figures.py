"""The figures of an evaluation, drawn by sonoseg.plots and written as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FOLDER = "figures"
NAMES = frozenset(
    {
        "dice_by_size",
        "dice_by_class",
        "dice_by_marks",
        "dice_by_set",
        "dice_against_size",
        "froc",
        "reliability",
        "risk_coverage",
    }
    | {"threshold", "images", "best_median_worst", "comparison"}
)
"""The names of the figure files that an evaluation may have."""


@dataclass(frozen=True)
class PageFigure:
    """A figure on the page. section: the heading it belongs to. text: its alternative text."""

    section: str
    path: Path
    caption: str
    text: str


def draw_figures(
    folder: Path,
    rows: pd.DataFrame,
    summary: Mapping[str, Any],
    froc: pd.DataFrame,
    reliability: pd.DataFrame,
    table: Sequence[Mapping[str, Any]] = (),
    extremes: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    other: tuple[str, pd.DataFrame] | None = None,
    comparison: Mapping[str, Any] | None = None,
    risk_coverage: pd.DataFrame | None = None,
) -> list[PageFigure]:
    """Draw every figure that has data, into folder/figures.

    rows, summary, froc, reliability, risk_coverage: of an Evaluation. table: cases for the table of images.
    extremes: cases by "best", "median", "worst". other: name and rows of the evaluation compared with.
    comparison: what `compare` returned. Raises OutputError where a file cannot be written.
    """
    import pandas as pd

    from sonoseg.plots import cases as draw_cases
    from sonoseg.plots import evaluation_plots as draw
    from sonoseg.plots.style import save

    shown: list[PageFigure] = []

    def add(section: str, name: str, figure: Figure, caption: str, text: str, dpi: int = 110) -> None:
        path = save(figure, folder / FOLDER / f"{name}.png", dpi=dpi)
        shown.append(PageFigure(section, path, caption, text))

    lesions = rows[rows["kind"] == "lesion"]
    if len(lesions):
        for column, name, title in (
            ("size_stratum", "size", "lesion size"),
            ("label", "class", "class"),
            ("marks_stratum", "marks", "marks on the image"),
            ("set", "set", "set"),
        ):
            levels = summary["strata"].get(name, {})
            if name == "size" or len(levels) > 1:
                add(
                    "strata",
                    f"dice_by_{name}",
                    draw.strata_boxes(
                        pd.DataFrame({"dice": lesions["dice"], title: lesions[column]}),
                        by=title,
                        order=list(levels),
                        intervals=_intervals(levels, "dice"),
                    ),
                    f"Dice by {title}: box and images, and the mean with its 95 % interval.",
                    f"Box plot of Dice by {title}",
                )
        add(
            "strata",
            "dice_against_size",
            draw.score_scatter(lesions),
            "Every image with a lesion: Dice against the lesion's share of the image.",
            "Scatter plot of Dice against lesion size",
        )
    if len(froc) > 1 and froc["sensitivity"].notna().any():
        add(
            "froc",
            "froc",
            draw.froc(froc[froc["threshold"] <= 1.0], _operating(summary)),
            "Sensitivity against false positives per image, over thresholds on a candidate's maximum "
            "probability. The diamond is the post-processed mask at the model's threshold.",
            "Free-response curve",
        )
    of_lesions = reliability[reliability["region"] != "normals"] if len(reliability) else reliability
    if len(of_lesions):
        add(
            "calibration",
            "reliability",
            draw.reliability(of_lesions),
            "Share of lesion pixels by predicted probability, in images with a lesion: over the whole image, "
            "over the box around each lesion, and over a band around the true boundary. The diagonal is "
            "perfect calibration.",
            "Reliability diagram",
        )
    if risk_coverage is not None and len(risk_coverage) and len(lesions) > 1:
        add(
            "uncertainty",
            "risk_coverage",
            draw.risk_coverage(risk_coverage),
            "Mean Dice of the images with a lesion that remain after the most uncertain share is referred. "
            "The best order refers the worst Dice first; random order is a level line.",
            "Risk-coverage curve",
        )
    sweep = summary.get("threshold_sweep")
    if sweep:
        add("threshold", "threshold", *_threshold(draw, sweep))
    if table:
        add(
            "cases",
            "images",
            draw_cases.image_table(_cases(table)),
            "The image, the true mask, the predicted mask (probability at or above the threshold), the "
            "post-processed mask. Lesions at even steps from the best Dice to the worst, then normal "
            "images. The red line is the true border.",
            "Table of images",
        )
    if extremes:
        add(
            "cases",
            "best_median_worst",
            draw_cases.best_median_worst({name: _cases(own) for name, own in extremes.items()}),
            "The best, median and worst images with a lesion by Dice, chosen by rule.",
            "Best, median and worst cases",
        )
    if other is not None and comparison is not None:
        figure = _paired(draw, rows, summary, other, comparison)
        if figure is not None:
            add("comparison", "comparison", *figure)
    return shown


def _intervals(levels: Mapping[str, Any], metric: str) -> dict[str, tuple[float, float, float]]:
    """Collect (mean, low, high) by stratum, where there is an interval."""
    return {
        level: (one[metric]["mean"], one[metric]["low"], one[metric]["high"])
        for level, one in levels.items()
        if one[metric]["low"] is not None
    }


def _operating(summary: Mapping[str, Any]) -> tuple[float, float] | None:
    lesions = summary["lesions"]
    point = lesions["false_positives_per_image"]["mean"], lesions["sensitivity"]["mean"]
    return None if None in point else point


def _threshold(draw: Any, sweep: Mapping[str, Any]) -> tuple[Figure, str, str]:
    import pandas as pd

    curve = pd.DataFrame({"threshold": sweep["thresholds"], "dice": sweep["dice"]})
    return (
        draw.threshold_curve(curve, sweep["best"]),
        f"Mean Dice before post-processing against the threshold, on these validation images. "
        f"The best is {sweep['best']:g}.",
        "Dice against the threshold",
    )


def _paired(
    draw: Any,
    rows: pd.DataFrame,
    summary: Mapping[str, Any],
    other: tuple[str, pd.DataFrame],
    comparison: Mapping[str, Any],
) -> tuple[Figure, str, str] | None:
    """Draw the paired figure of the Dice, the other model first: it shows second - first."""
    name, theirs = other
    pairs = rows.merge(theirs[["id", "dice"]], on="id", suffixes=("", "_other"))
    pairs = pairs.rename(columns={"dice_other": "first", "dice": "second"})
    pairs = pairs[pairs["first"].notna() & pairs["second"].notna()]
    if pairs.empty:
        return None
    difference = comparison["metrics"]["dice"]["difference"]
    has_interval = difference["low"] is not None
    return (
        draw.paired_difference(
            pairs[["first", "second", "label"]],
            _short(name, str(summary["model"]["name"])),
            interval=(difference["mean"], difference["low"], difference["high"]) if has_interval else None,
        ),
        "The same images with both models: Dice against Dice, and the difference of each image.",
        "Paired comparison of Dice",
    )


def _short(first: str, second: str) -> tuple[str, str]:
    """Shorten two models' names for an axis: without the hash where the names differ."""
    names = [name.split(" (")[0] for name in (first, second)]
    if names[0] == names[1]:
        names = [name.rpartition(" (")[2].rstrip(")")[:6] for name in (first, second)]
    return names[0][:20], names[1][:20]


def _cases(cases: Sequence[Mapping[str, Any]]) -> Any:
    """Keep the keys of each case that the figures use."""
    keys = ("name", "pixels", "true", "predicted", "processed", "dice", "note")
    return [{key: case[key] for key in keys if key in case} for case in cases]
