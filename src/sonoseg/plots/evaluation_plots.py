"""Figures of an evaluation: calibration, FROC, risk and coverage, strata, comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sonoseg.plots.data_set import labels_of
from sonoseg.plots.style import (
    BLUE,
    CLASSES,
    GREEN,
    GREY,
    INK,
    SERIES,
    VERMILION,
    WIDTH,
    blank,
    grid,
    label_point,
    log_axis,
    look,
    share_axis,
)
from sonoseg.plots.table_checks import need_columns

METRICS = {
    "dice": "Dice (0–1)",
    "iou": "IoU (0–1)",
    "precision": "precision (0–1)",
    "recall": "recall (0–1)",
    "pixel_accuracy": "pixel accuracy (0–1)",
    "hd95_px": "HD95 (px)",
    "hd95_mm": "HD95 (mm)",
    "hd95_percent_diagonal": "HD95 (% of the image diagonal)",
    "nsd": "NSD (0–1)",
    "asd_px": "average surface distance (px)",
    "asd_mm": "average surface distance (mm)",
    "missed": "missed lesions (share, 0–1)",
    "false_positive": "false-positive rate, normal images (0–1)",
    "sensitivity": "sensitivity per lesion (0–1)",
    "n_false_positives": "false positives per image (count)",
    "raw_dice": "Dice before post-processing (0–1)",
    "raw_iou": "IoU before post-processing (0–1)",
}

_REGIONS = {
    "whole": "whole image",
    "foreground": "foreground",
    "band": "boundary band",
    "normals": "normal images",
}


def metric_label(metric: str) -> str:
    """A metric's name with its unit, for an axis."""
    return METRICS.get(metric, metric.replace("_", " "))


def reliability(bins: pd.DataFrame) -> Figure:
    """Draw a reliability diagram and, beside it, the number of pixels per bin.

    bins: one row per bin: `low`, `high` (its ends, probability), `confidence` (mean probability), `frequency`
    (share of true lesion pixels), `count` (pixels), and, for several curves, `region` (of
    `evaluation.image_measures.REGIONS`). Empty bins are not drawn.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(bins, "reliability diagram", "low", "high", "confidence", "frequency", "count")
    parts = _parts(bins, "region")
    with look():
        figure = blank(WIDTH, 4.6)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1))
        left.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1.2, label="perfectly calibrated")
        for number, (name, part) in enumerate(parts):
            full = part[part["count"] > 0].sort_values("low")
            name = _REGIONS.get(name, name)
            colour = SERIES[number % len(SERIES)]
            left.plot(
                full["confidence"], full["frequency"], marker="o", markersize=4, color=colour, label=name
            )
            right.stairs(
                part.sort_values("low")["count"].to_numpy(dtype=float),
                [*part["low"].sort_values(), float(part["high"].max())],
                color=colour,
                linewidth=1.6,
                fill=len(parts) == 1,
                alpha=0.6 if len(parts) == 1 else None,
                label=name,
            )
        share_axis(left, "x")
        share_axis(left, "y")
        left.set_aspect("equal")
        left.set(
            title="Reliability",
            xlabel="predicted probability of lesion (mean of the bin, 0–1)",
            ylabel="observed frequency of lesion (share of the bin, 0–1)",
        )
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(parts) + 1)
        right.set_yscale("log")
        share_axis(right, "x")
        right.set(
            title="Pixels per bin",
            xlabel="predicted probability of lesion (0–1)",
            ylabel="pixels (count, log scale)",
        )
        grid(left)
        grid(right)
    return figure


def froc(curve: pd.DataFrame, operating: tuple[float, float] | None = None) -> Figure:
    """Draw sensitivity per lesion against false positives per image, over thresholds.

    curve: one row per threshold: `fp_per_image`, `sensitivity` (0..1), `threshold`, and, for several curves,
    `model`. operating: (false positives per image, sensitivity) at the operating point.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(curve, "FROC", "fp_per_image", "sensitivity", "threshold")
    with look():
        figure = blank(WIDTH, 4.4)
        axes = figure.subplots()
        for number, (name, part) in enumerate(_parts(curve, "model")):
            ordered = part.sort_values("threshold")
            axes.plot(
                ordered["fp_per_image"],
                ordered["sensitivity"],
                marker="o" if len(ordered) <= 40 else "",
                markersize=3.5,
                color=SERIES[number % len(SERIES)],
                label=name or "over thresholds",
            )
        if operating is not None:
            fp, sensitivity = operating
            label = (
                f"operating point: {100 * sensitivity:.0f} % sensitivity, {fp:.2g} false positives per image"
            )
            axes.plot(
                [fp], [sensitivity], marker="D", markersize=9, color=VERMILION, linestyle="none", label=label
            )
        share_axis(axes, "y")
        axes.set_xlim(left=-0.02 * max(float(curve["fp_per_image"].max()), 0.1))
        axes.set(
            xlabel="false positives per image (count)",
            ylabel="sensitivity per lesion (0–1)",
            title="Free-response ROC",
        )
        axes.legend(loc="lower right")
        grid(axes)
    return figure


def risk_coverage(table: pd.DataFrame, shares: Sequence[float] = (0.1, 0.2, 0.5)) -> Figure:
    """Draw the mean Dice of the remaining images against the share of images referred.

    table: one row per share: `share_referred`, `dice`, `low` and `high` (its interval; may be NaN), `oracle`
    (the ideal order), `random`. shares: labelled on the curve.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(table, "risk-coverage curve", "share_referred", "dice", "low", "high", "oracle", "random")
    known = table.sort_values("share_referred")
    share = 100 * known["share_referred"].to_numpy(dtype=float)
    dice = known["dice"].to_numpy(dtype=float)
    with look():
        figure = blank(WIDTH, 4.6)
        axes = figure.subplots()
        axes.fill_between(
            share, known["low"], known["high"], color=BLUE, alpha=0.18, linewidth=0, label="95 % interval"
        )
        axes.plot(share, known["oracle"], color=GREEN, linestyle="--", label="ideal order")
        axes.plot(share, dice, color=BLUE, linewidth=2.2, label="most uncertain first")
        axes.plot(share, known["random"], color=GREY, linestyle=":", label="random order")
        for wanted in shares:
            index = int(np.abs(share - 100 * wanted).argmin())
            axes.plot(share[index], dice[index], marker="o", color=BLUE)
            label_point(axes, f"{dice[index]:.3f}", (share[index], dice[index]), (0, -14))
        lowest = float(np.nanmin(np.concatenate([known["low"].to_numpy(dtype=float), known["random"]])))
        share_axis(axes, "y", low=max(0.0, np.floor(10 * lowest - 0.5) / 10))
        axes.set_xlim(-1, max(float(share.max()), 1.0) + 1)
        axes.set(
            xlabel="images referred (%)",
            ylabel="mean Dice of the remaining images (0–1)",
            title="Risk-coverage curve: referring the most uncertain images",
        )
        axes.legend(loc="lower right")
        grid(axes)
    return figure


def strata_boxes(
    rows: pd.DataFrame,
    metric: str = "dice",
    by: str = "size_stratum",
    *,
    order: Sequence[str] | None = None,
    intervals: Mapping[str, tuple[float, float, float]] | None = None,
) -> Figure:
    """Draw a metric in each stratum: a box plot, every image as a point, and the mean with its interval.

    rows: one per image with the columns `metric` and `by`; images without the metric (NaN) are left out.
    order: the strata from left to right; by default the column's categories, or their order in `rows`.
    intervals: by stratum (mean, low, high) of the 95 % interval.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(rows, "strata", metric, by)
    known = rows[rows[metric].notna() & rows[by].notna()]
    need_columns(known, "strata", metric, by)
    order = list(order) if order is not None else _levels(known[by])
    order = [level for level in order if (known[by].astype(str) == level).any()]
    values = [known.loc[known[by].astype(str) == level, metric].to_numpy(dtype=float) for level in order]
    with look():
        figure = blank(WIDTH, 4.4)
        axes = figure.subplots()
        drawn = axes.boxplot(
            values, positions=range(len(order)), widths=0.55, showfliers=False, patch_artist=True
        )
        for box in drawn["boxes"]:
            box.set(facecolor="#DCE9F3", edgecolor=BLUE)
        for line in (*drawn["whiskers"], *drawn["caps"], *drawn["medians"]):
            line.set(color=BLUE, linewidth=1.4)
        known_means = [level for level in order if level in (intervals or {})]
        for column, part in enumerate(values):
            axes.scatter(
                column + 0.2 * _spread(part),
                part,
                s=9,
                color=BLUE,
                alpha=0.4,
                linewidth=0,
                zorder=2.5,
                label="_image",
            )
            if intervals and order[column] in known_means:
                mean, low, high = intervals[order[column]]
                axes.errorbar(
                    column + 0.36,
                    mean,
                    yerr=[[mean - low], [high - mean]],
                    fmt="D",
                    color=VERMILION,
                    capsize=4,
                    label="mean with 95 % interval" if order[column] == known_means[0] else "_mean",
                )
        named = [f"{level}\nn = {len(part)}" for level, part in zip(order, values, strict=True)]
        axes.set_xticks(range(len(order)), named)
        axes.set_xlabel(by.replace("_", " "))
        axes.set_ylabel(metric_label(metric))
        axes.set_title(f"{metric_label(metric).split(' (')[0]} by {by.replace('_', ' ')}")
        if metric_label(metric).endswith("0–1)"):
            share_axis(axes, "y")
        if known_means:
            axes.legend(loc="best")
        grid(axes, "y")
    return figure


def threshold_curve(curve: pd.DataFrame, chosen: float | None = None) -> Figure:
    """Draw metrics against the probability threshold, with the chosen one marked.

    curve: `threshold` (0..1) and one column per metric, all of them shares (`dice`, `sensitivity`...).
    Raises FigureError for no rows or no metric.
    """
    metrics = [str(column) for column in curve.columns if column != "threshold"]
    need_columns(curve, "threshold curve", "threshold", *(metrics or ["dice"]))
    ordered = curve.sort_values("threshold")
    with look():
        figure = blank(WIDTH, 4.0)
        axes = figure.subplots()
        for number, metric in enumerate(metrics):
            axes.plot(
                ordered["threshold"],
                ordered[metric],
                color=SERIES[number % len(SERIES)],
                marker="o",
                markersize=3,
                label=metric_label(metric),
            )
        if chosen is not None:
            axes.axvline(chosen, color=GREY, linestyle="--", linewidth=1.2)
            label_point(axes, f"chosen: {chosen:.2g}", (chosen, 0.02), (4, 0), ha="left")
        share_axis(axes, "x")
        share_axis(axes, "y")
        axes.set(xlabel="probability threshold (0–1)", ylabel="metric (0–1)", title="Choice of the threshold")
        axes.legend(loc="best")
        grid(axes)
    return figure


def score_scatter(rows: pd.DataFrame, metric: str = "dice", size: str = "lesion_share") -> Figure:
    """Draw each image's score against the size of its lesion, coloured by class.

    rows: one per image with `metric`, `size` (share of the image, 0..1, or an area in px) and `label`.
    A line joins the medians of the deciles by size. Images without a lesion or a score are left out.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(rows, "score against size", metric, size, "label")
    known = rows[rows[metric].notna() & (rows[size] > 0)]
    need_columns(known, "score against size", metric, size, "label")
    factor, unit = (100.0, "% of the image") if size.endswith("share") else (1.0, "px")
    with look():
        figure = blank(WIDTH, 4.4)
        axes = figure.subplots()
        for label in labels_of(known):
            part = known[known["label"] == label]
            axes.scatter(
                factor * part[size],
                part[metric],
                s=16,
                color=CLASSES.get(label, GREY),
                alpha=0.6,
                linewidth=0,
                label=f"{label} (n = {len(part)})",
            )
        if len(known) >= 20:
            ordered = known.sort_values(size)
            chunks = np.array_split(np.arange(len(ordered)), 10)
            axes.plot(
                [factor * float(ordered[size].iloc[chunk].median()) for chunk in chunks],
                [float(ordered[metric].iloc[chunk].median()) for chunk in chunks],
                color=INK,
                marker="s",
                markersize=5,
                label="median of each decile",
            )
        log_axis(axes)
        axes.set(
            xlabel=f"lesion area ({unit}, log scale)",
            ylabel=metric_label(metric),
            title=f"{metric_label(metric).split(' (')[0]} against lesion size",
        )
        if metric_label(metric).endswith("0–1)"):
            share_axis(axes, "y")
        axes.legend(loc="lower right")
        grid(axes)
    return figure


def paired_difference(
    rows: pd.DataFrame,
    names: tuple[str, str] = ("first", "second"),
    *,
    metric: str = "dice",
    interval: tuple[float, float, float] | None = None,
) -> Figure:
    """Draw two models on the same images: one against the other, and the differences second - first.

    rows: one per image with `first` and `second`, the metric of each model, and optionally `label`.
    interval: (mean difference, low, high) of the 95 % interval.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(rows, "paired difference", "first", "second")
    known = rows[rows["first"].notna() & rows["second"].notna()]
    need_columns(known, "paired difference", "first", "second")
    difference = (known["second"] - known["first"]).to_numpy(dtype=float)
    plain = metric_label(metric).split(" (")[0]
    with look():
        figure = blank(WIDTH, 4.5)
        left, right = figure.subplots(1, 2)
        coloured = known if "label" in known else known.assign(label="unknown")
        for label in labels_of(coloured):
            part = coloured[coloured["label"] == label]
            left.scatter(
                part["first"],
                part["second"],
                s=14,
                color=CLASSES.get(label, GREY),
                alpha=0.6,
                linewidth=0,
                label=label if "label" in known else "image",
            )
        low = float(min(known["first"].min(), known["second"].min(), 0.0))
        high = float(max(known["first"].max(), known["second"].max(), 1.0))
        left.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=1.2, label="equal")
        share_axis(left, "x", low, high)
        share_axis(left, "y", low, high)
        left.set_aspect("equal")
        left.set(
            title=f"{plain}, image by image (n = {len(known)})",
            xlabel=f"{names[0]}: {metric_label(metric)}",
            ylabel=f"{names[1]}: {metric_label(metric)}",
        )
        left.legend(loc="best")
        _differences(right, difference, interval)
        right.set_xlabel(f"difference in {plain}\n{names[1]} − {names[0]}")
        grid(left)
        grid(right)
    return figure


def _differences(axes: Axes, difference: Any, interval: tuple[float, float, float] | None) -> None:
    reach = max(float(np.abs(difference).max()), 0.05)
    axes.hist(difference, bins=list(np.linspace(-reach, reach, 42)), color=BLUE, alpha=0.6)
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1.2)
    if interval is not None:
        mean, low, high = interval
        axes.axvspan(low, high, color=VERMILION, alpha=0.2, linewidth=0)
        axes.axvline(mean, color=VERMILION, label=f"mean {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
        axes.legend(loc="upper left", title="95 % interval")
        axes.set_ylim(top=axes.get_ylim()[1] * 1.2)
    axes.set(title="Differences", ylabel="images (count)")


def _parts(table: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    """The table split by `column`, in order of appearance; one unnamed part where it has none."""
    if column not in table:
        return [("", table)]
    return [(str(name), table[table[column] == name]) for name in table[column].drop_duplicates()]


def _levels(column: pd.Series[Any]) -> list[str]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [str(level) for level in column.cat.categories]
    return [str(level) for level in column.drop_duplicates()]


def _spread(values: Any) -> Any:
    """Horizontal jitter in -1..1 for n points, the same for the same data."""
    return 2 * ((np.arange(len(values)) * 0.618033988749895) % 1.0) - 1
