"""Figures that compare several models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sonoseg.plots.evaluation_plots import metric_label
from sonoseg.plots.style import BLUE, SERIES, WIDTH, blank, grid, label_point, log_axis, look
from sonoseg.plots.table_checks import need_columns


def forest(rows: pd.DataFrame, metrics: Sequence[str] | None = None) -> Figure:
    """Draw each model's metrics with their 95 % intervals, a panel per metric, a line per model.

    rows: one per model and metric, from top to bottom: `model`, `metric`, `value`, `low`, `high` (NaN without
    an interval). metrics: which, in order; all by default.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(rows, "forest plot", "model", "metric", "value", "low", "high")
    wanted = list(metrics) if metrics is not None else [str(m) for m in rows["metric"].drop_duplicates()]
    rows = rows[rows["metric"].isin(wanted)]
    need_columns(rows, "forest plot", "model")
    models = [str(model) for model in rows["model"].drop_duplicates()]
    with look():
        across = 2 if len(wanted) == 4 else min(len(wanted), 3)
        down = -(-len(wanted) // across)
        figure = blank(WIDTH, down * (0.42 * len(models) + 0.9))
        every = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
        for axes in every[len(wanted) :]:
            axes.set_axis_off()
        for axes, metric in zip(every, wanted, strict=False):
            part = rows[rows["metric"] == metric].drop_duplicates("model").set_index("model")
            for line, model in enumerate(models):
                if model not in part.index:
                    continue
                value, low, high = (float(part.loc[model, column]) for column in ("value", "low", "high"))  # type: ignore[arg-type]
                axes.plot([low, high], [line, line], color=BLUE, linewidth=2.2, solid_capstyle="butt")
                axes.plot([value], [line], marker="s", markersize=6, color=BLUE, linestyle="none")
                label_point(axes, f"{value:.3f}", (value, line), (0, 7))
            axes.set_yticks(range(len(models)), models)
            axes.set_ylim(len(models) - 0.5, -0.7)
            axes.margins(x=0.15)
            axes.set_xlabel(metric_label(metric))
            axes.xaxis.set_major_locator(MaxNLocator(4))
            grid(axes, "x")
    return figure


def accuracy_latency(rows: pd.DataFrame, metric: str = "dice") -> Figure:
    """Draw each model's accuracy against the time it takes for one image.

    rows: one per model: `model`, `latency_ms`, the column `metric`, and optionally `low` and `high` (the
    metric's 95 % interval) and `parameters` (count), which sets the point's size.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(rows, "accuracy against latency", "model", "latency_ms", metric)
    with look():
        figure = blank(WIDTH, 4.4)
        axes = figure.subplots()
        has_interval = {"low", "high"} <= set(rows.columns)
        for number, (_, row) in enumerate(rows.iterrows()):
            colour = SERIES[number % len(SERIES)]
            latency, score = float(row["latency_ms"]), float(row[metric])
            millions = float(row["parameters"]) / 1e6 if "parameters" in rows else float("nan")
            if has_interval:
                axes.plot(
                    [latency, latency], [row["low"], row["high"]], color=colour, linewidth=1.6, alpha=0.7
                )
            axes.scatter(
                [latency],
                [score],
                s=60 if math.isnan(millions) else 30 + 10 * millions,
                color=colour,
                zorder=3,
                label=str(row["model"]) + ("" if math.isnan(millions) else f", {millions:.1f} M parameters"),
            )
        log_axis(axes)
        axes.margins(x=0.15, y=0.15)
        legend = axes.legend(loc="best")
        for handle in legend.legend_handles:
            if isinstance(handle, PathCollection):
                handle.set_sizes([50])  # a large network's point would cover the text
        axes.set(
            xlabel="latency per image (ms, log scale)",
            ylabel=metric_label(metric),
            title="Accuracy against latency" + (" (bars: 95 % interval)" if has_interval else ""),
        )
        grid(axes)
    return figure
