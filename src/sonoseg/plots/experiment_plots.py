"""Figures of experiments: variants with their intervals, and the trials of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from sonoseg.errors import FigureError
from sonoseg.plots.style import (
    BLUE,
    GREY,
    INK,
    SERIES,
    SMALL,
    VERMILION,
    WIDTH,
    blank,
    grid,
    label_point,
    log_axis,
    look,
)
from sonoseg.plots.table_checks import need_columns

MARKERS = ("s", "o", "D", "^", "v", "P", "X", "*")
"""A variant has its own marker beside its colour, for readers and printers without colour."""

COLUMNS = ("evaluation", "variant", "metric", "value", "low", "high", "seeds")
ACROSS = 3


def variants(rows: pd.DataFrame) -> Figure:
    """Draw each variant's metrics with their 95 % intervals, a band per evaluation, a panel per metric.

    rows: one per evaluation, variant and metric, from top to bottom: `evaluation`, `variant`, `metric` (its
    title), `value`, `low`, `high` (NaN without an interval), `seeds` (a list of each seed's mean, drawn as
    ticks). All are from 0 to 1.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(rows, "variants", *COLUMNS)
    names = [str(name) for name in rows["variant"].drop_duplicates()]
    bands = [(str(name), part) for name, part in rows.groupby("evaluation", sort=False)]
    heights = [-(-part["metric"].nunique() // ACROSS) for _, part in bands]
    with look():
        panel = 0.34 * len(names) + 0.95
        sizes = [*(down * panel + 0.3 for down in heights), 0.3]
        figure = blank(WIDTH, sum(sizes))
        parts = figure.subfigures(len(sizes), 1, squeeze=False, height_ratios=sizes)[:, 0]
        for part, (title, own), down in zip(parts[:-1], bands, heights, strict=True):
            part.suptitle(title, x=0.01, ha="left", fontweight="bold")
            metrics = [str(metric) for metric in own["metric"].drop_duplicates()]
            every = part.subplots(down, min(ACROSS, len(metrics)), squeeze=False, sharey=True).ravel()
            for axes in every[len(metrics) :]:
                axes.set_axis_off()
            for axes, metric in zip(every, metrics, strict=False):
                _variants_of(axes, own[own["metric"] == metric], names)
                axes.set_xlabel(f"{metric} (0–1)")
        text = "Bars: 95 % interval over groups. Ticks: mean of each seed."
        parts[-1].text(0.005, 0.5, text, va="center", fontsize=SMALL)
    return figure


def _variants_of(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    """Draw one metric of the variants `names`, a line each."""
    for _, row in rows.iterrows():
        line = names.index(str(row["variant"]))
        colour, marker = SERIES[line % len(SERIES)], MARKERS[line % len(MARKERS)]
        value, seeds = float(row["value"]), list(row["seeds"])
        axes.plot([row["low"], row["high"]], [line, line], color=colour, lw=2.2, solid_capstyle="butt")
        axes.plot([value], [line], marker=marker, markersize=6, color=colour, linestyle="none")
        axes.plot(seeds, [line + 0.27] * len(seeds), marker="|", markersize=6, color=GREY, linestyle="none")
        label_point(axes, f"{value:.3f}", (value, line), (0, 6))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.75)
    axes.margins(x=0.15)
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, -0.08), min(right, 1.08))  # every metric is from 0 to 1
    axes.xaxis.set_major_locator(MaxNLocator(4))
    grid(axes, "x")


def trials(
    rows: pd.DataFrame, metric: str, direction: Literal["minimize", "maximize"], log_keys: Sequence[str] = ()
) -> Figure:
    """Draw the trials' values over their numbers with the best so far, and a panel per key.

    rows: one per trial: `number`, `state` ("done" has a value), `value` (else NaN or None), and a column per
    key: numbers, or strings for choices. metric: the value's name. log_keys: keys on a logarithmic axis.
    Raises FigureError for no rows, a missing column, or no value.
    """
    need_columns(rows, "trials", "number", "state", "value")
    done = rows[(rows["state"] == "done") & rows["value"].notna()].sort_values("number")
    if done.empty:
        raise FigureError(
            "no trial has a value", where="trials", remedy="Draw the figure once a trial is done"
        )
    keys = [str(column) for column in rows.columns if column not in ("number", "state", "value")]
    values = done["value"].astype(float)
    best = done.iloc[int(values.argmax() if direction == "maximize" else values.argmin())]
    with look():
        down = -(-(1 + len(keys)) // ACROSS)
        figure = blank(WIDTH, 2.7 * down + 0.4)
        every = figure.subplots(down, min(ACROSS, 1 + len(keys)), squeeze=False, sharey=True).ravel()
        _history(every[0], rows, done, values, direction, metric)
        for axes, key in zip(every[1:], keys, strict=False):
            _against(axes, done, values, best, key, key in log_keys)
        for panel, axes in enumerate(every):
            if panel > len(keys):
                axes.set_axis_off()
            elif panel % ACROSS == 0:
                axes.set_ylabel(f"{metric} on the validation part")
    return figure


def _history(
    axes: Axes, rows: pd.DataFrame, done: pd.DataFrame, values: pd.Series, direction: str, metric: str
) -> None:
    so_far = values.cummax() if direction == "maximize" else values.cummin()
    axes.step(done["number"], so_far, where="post", color=VERMILION, label="best so far")
    axes.plot(done["number"], values, "o", markersize=4.5, color=BLUE, label="done")
    for state, marker in (("pruned", "v"), ("failed", "x")):
        own = rows[rows["state"] == state]
        if len(own):  # without a value: at the lower border
            (marks,) = axes.plot(own["number"], [0.0] * len(own), marker, ms=5, color=GREY, label=state)
            marks.set_transform(axes.get_xaxis_transform())
            marks.set_clip_on(False)
            axes.relim()
            axes.autoscale_view()
    axes.set_xlabel("trial")
    axes.set_title(f"Best {metric} {float(so_far.iloc[-1]):.3f}", fontsize=SMALL + 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best", fontsize=SMALL)
    grid(axes)


def _against(axes: Axes, done: pd.DataFrame, values: pd.Series, best: pd.Series, key: str, log: bool) -> None:
    own, chosen = done[key], best[key]
    if pd.api.types.is_numeric_dtype(own) and not pd.api.types.is_bool_dtype(own):
        axes.plot(own.astype(float), values, "o", markersize=4.5, color=BLUE)
        axes.plot([float(chosen)], [float(best["value"])], "o", markersize=9, mfc="none", mec=VERMILION)
        if log:
            log_axis(axes)
            if own.max() > 30 * own.min():  # the labels of 2 and 5 would not fit
                axes.xaxis.set_major_locator(LogLocator(subs=(1,)))
    else:
        names = sorted({str(value) for value in own})
        axes.plot([names.index(str(value)) for value in own], values, "o", markersize=4.5, color=BLUE)
        axes.plot(
            [names.index(str(chosen))], [float(best["value"])], "o", markersize=9, mfc="none", mec=VERMILION
        )
        axes.set_xticks(range(len(names)), names)
        axes.margins(x=0.3)
    axes.set_xlabel(key, color=INK)
    grid(axes)
