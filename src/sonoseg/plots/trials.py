"""The figure of a search: each trial's value in the order of the trials, and against each key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from sonoseg.errors import FigureError
from sonoseg.plots.style import BLUE, GREY, INK, SMALL, VERMILION, WIDTH, blank, grid, log_axis, look
from sonoseg.plots.table_checks import need_columns

ACROSS = 3


def trials(
    rows: pd.DataFrame, measure: str, direction: Literal["minimize", "maximize"], logs: Sequence[str] = ()
) -> Figure:
    """Draw the trials' values over their numbers with the best so far, and a panel a key.

    rows: a row a trial: `number`, `state` ("done" has a value), `value` (nan or None else), and a column a
    key: numbers, or texts for choices. logs: keys on a logarithmic axis.
    Raises FigureError for no rows, a missing column, or no value at all.
    """
    need_columns(rows, "trials", "number", "state", "value")
    done = rows[(rows["state"] == "done") & rows["value"].notna()].sort_values("number")
    if done.empty:
        raise FigureError("no trial has a value", where="trials", remedy="Draw it once a trial is done")
    keys = [str(column) for column in rows.columns if column not in ("number", "state", "value")]
    values = done["value"].astype(float)
    best = done.iloc[int(values.argmax() if direction == "maximize" else values.argmin())]
    with look():
        down = -(-(1 + len(keys)) // ACROSS)
        figure = blank(WIDTH, 2.7 * down + 0.4)
        every = figure.subplots(down, min(ACROSS, 1 + len(keys)), squeeze=False, sharey=True).ravel()
        _history(every[0], rows, done, values, direction, measure)
        for axes, key in zip(every[1:], keys, strict=False):
            _against(axes, done, values, best, key, key in logs)
        for place, axes in enumerate(every):
            if place > len(keys):
                axes.set_axis_off()
            elif place % ACROSS == 0:
                axes.set_ylabel(f"{measure} on validation")
    return figure


def _history(
    axes: Axes, rows: pd.DataFrame, done: pd.DataFrame, values: pd.Series, direction: str, measure: str
) -> None:
    so_far = values.cummax() if direction == "maximize" else values.cummin()
    axes.step(done["number"], so_far, where="post", color=VERMILION, label="best so far")
    axes.plot(done["number"], values, "o", markersize=4.5, color=BLUE, label="done")
    for state, marker in (("pruned", "v"), ("failed", "x")):
        own = rows[rows["state"] == state]
        if len(own):  # without a value: they stand at the lower border
            (marks,) = axes.plot(own["number"], [0.0] * len(own), marker, ms=5, color=GREY, label=state)
            marks.set_transform(axes.get_xaxis_transform())
            marks.set_clip_on(False)
            axes.relim()
            axes.autoscale_view()
    axes.set_xlabel("trial")
    axes.set_title(f"Best {measure} {float(so_far.iloc[-1]):.3f}", fontsize=SMALL + 1)
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
        place = [names.index(str(chosen))]
        axes.plot(place, [float(best["value"])], "o", markersize=9, mfc="none", mec=VERMILION)
        axes.set_xticks(range(len(names)), names)
        axes.margins(x=0.3)
    axes.set_xlabel(key, color=INK)
    grid(axes)
