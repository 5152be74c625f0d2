"""The curves of a training run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sonoseg.plots.style import GREY, SERIES, SMALL, SPLITS, WIDTH, blank, grid, look
from sonoseg.plots.table_checks import need_columns

_PANELS = {
    "loss": "loss (dimensionless)",
    "pixel_accuracy": "pixel accuracy (0–1)",
    "iou": "IoU (mean over images, 0–1)",
    "dice": "Dice (mean over images, 0–1)",
}
_NAMES = {"loss": "Loss", "pixel_accuracy": "Pixel accuracy", "iou": "IoU", "dice": "Dice"}


def curves(log: pd.DataFrame, best_epoch: int | None = None) -> Figure:
    """Draw loss, pixel accuracy, IoU and Dice over epochs, training and validation.

    log: one row per epoch and split: `epoch` (integers), `split` ("train", "validation"), and any of `loss`,
    `pixel_accuracy`, `iou`, `dice`. A column that is absent or empty has no panel; an epoch that was not
    measured is a gap. best_epoch: the epoch whose weights were kept; that of the best validation Dice if
    None.
    Raises FigureError for no rows or a missing column.
    """
    need_columns(log, "training curves", "epoch", "split", "loss")
    panels = [column for column in _PANELS if column in log and log[column].notna().any()]
    if best_epoch is None:
        best_epoch = best(log)
    with look():
        rows, columns = (1, len(panels)) if len(panels) < 4 else (2, 2)
        figure = blank(WIDTH, 3.1 * rows + 0.3)
        every = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, column in zip(every, panels, strict=False):
            _curve(axes, log, column, best_epoch)
        every[0].legend(loc="best")
    return figure


def best(log: pd.DataFrame) -> int | None:
    """The epoch of the highest validation Dice (the first of equals), or None where none was measured."""
    if "dice" not in log:
        return None
    measured = log[(log["split"] == "validation") & log["dice"].notna()].sort_values("epoch")
    if measured.empty:
        return None
    return int(measured["epoch"].to_numpy()[int(np.argmax(measured["dice"].to_numpy()))])


def _curve(axes: Axes, log: pd.DataFrame, column: str, best_epoch: int | None) -> None:
    first, last = int(log["epoch"].min()), int(log["epoch"].max())
    every = range(first, last + 1)
    splits = [name for name in SPLITS if name in set(log["split"])]
    splits += sorted(set(log["split"].astype(str)) - set(SPLITS))
    for number, split in enumerate(splits):
        rows = log[log["split"] == split].drop_duplicates("epoch", keep="last").set_index("epoch")
        values = rows[column].astype(float).reindex(every)  # NaN where absent: a gap in the line
        axes.plot(
            list(every),
            values.to_numpy(),
            color=SPLITS.get(split, SERIES[number % len(SERIES)]),
            marker="o",
            markersize=3.5 if len(every) <= 60 else 1.8,
            label="training" if split == "train" else split,
        )
    if best_epoch is not None:
        axes.axvline(best_epoch, color=GREY, linestyle="--", linewidth=1.2, zorder=1)
        chosen = log[(log["split"] == "validation") & (log["epoch"] == best_epoch)]
        value = float(chosen[column].iloc[-1]) if len(chosen) else float("nan")
        label = f"best epoch {best_epoch}" + (f": {value:.3f}" if np.isfinite(value) else "")
        axes.set_title(label, loc="right", fontsize=SMALL)
    axes.set(title=_NAMES[column], xlabel="epoch", ylabel=_PANELS[column])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    grid(axes)
