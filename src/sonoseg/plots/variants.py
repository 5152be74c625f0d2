"""The figure of a study of many runs: each variant's intervals, and its seeds beside them."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sonoseg.plots.style import GREY, INK, SERIES, SMALL, WIDTH, blank, grid, look
from sonoseg.plots.table_checks import need_columns

MARKERS = ("s", "o", "D", "^", "v", "P", "X", "*")
"""A variant has a marker of its own beside its colour, so that neither eyes nor printers need the colour."""

COLUMNS = ("evaluation", "variant", "metric", "value", "low", "high", "seeds")
ACROSS = 3


def variants(rows: pd.DataFrame) -> Figure:
    """Draw each variant's metrics with their 95 % intervals, a band an evaluation, a panel a metric.

    rows: a row an evaluation, variant and metric, from top to bottom as given: `evaluation`, `variant`,
    `metric` (its title), `value`, `low`, `high` (nan where no interval is known), `seeds` (a list of each
    seed's own mean, drawn as short strokes). All are from 0 to 1.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(rows, "variants", *COLUMNS)
    names = [str(name) for name in rows["variant"].drop_duplicates()]
    styles = {name: (SERIES[n % len(SERIES)], MARKERS[n % len(MARKERS)]) for n, name in enumerate(names)}
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
                for _, row in own[own["metric"] == metric].iterrows():
                    place = names.index(str(row["variant"]))
                    colour, marker = styles[str(row["variant"])]
                    value = float(row["value"])
                    axes.plot(
                        [row["low"], row["high"]], [place, place], color=colour, lw=2.2, solid_capstyle="butt"
                    )
                    axes.plot([value], [place], marker=marker, markersize=6, color=colour, linestyle="none")
                    seeds = list(row["seeds"])
                    below = [place + 0.27] * len(seeds)
                    axes.plot(seeds, below, marker="|", markersize=6, color=GREY, linestyle="none")
                    axes.annotate(
                        f"{value:.3f}",
                        (value, place),
                        xytext=(0, 6),
                        textcoords="offset points",
                        ha="center",
                        fontsize=SMALL,
                        color=INK,
                    )
                axes.set_yticks(range(len(names)), names)
                axes.set_ylim(len(names) - 0.4, -0.75)
                axes.margins(x=0.15)
                left, right = axes.get_xlim()
                axes.set_xlim(max(left, -0.08), min(right, 1.08))  # every metric is a share
                axes.set_xlabel(metric)
                axes.xaxis.set_major_locator(MaxNLocator(4))
                grid(axes, "x")
        parts[-1].text(
            0.005,
            0.5,
            "Bars: 95 % interval over groups. Strokes: each seed's mean.",
            va="center",
            fontsize=SMALL,
        )
    return figure
