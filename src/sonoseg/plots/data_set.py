"""Figures of a data set: images with their masks, and the composition of the set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NotRequired, TypedDict

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sonoseg.errors import FigureError
from sonoseg.plots.image_panels import bare, fill, outline, show
from sonoseg.plots.style import (
    BLUE,
    CLASSES,
    GREY,
    SETS,
    SMALL,
    WIDTH,
    YELLOW,
    blank,
    grid,
    label_point,
    log_axis,
    look,
)
from sonoseg.plots.table_checks import need_columns, need_rows


class GridItem(TypedDict):
    """One image of an image grid: uint8 pixels (H, W), bool mask (H, W), its id and its class."""

    id: str
    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    label: NotRequired[str]


def image_grid(
    items: Sequence[GridItem],
    style: Literal["filled", "outlined"] = "filled",
    *,
    columns: int = 5,
    title: str | None = None,
) -> Figure:
    """Draw images with their masks in rows of `columns`.

    Above each image stand its id, its class and the share of the image that is lesion.
    Raises FigureError for no items, an unknown style or a mask that does not fit its image.
    """
    need_rows(items, "image grid", "Give at least one image")
    if style not in ("filled", "outlined"):
        raise FigureError(f"the style '{style}'", where="image grid", remedy="Use 'filled' or 'outlined'")
    columns = min(columns, len(items))
    rows = math.ceil(len(items) / columns)
    with look():
        figure = blank(WIDTH, rows * (WIDTH / columns * 0.92 + 0.42) + (0.4 if title else 0.0))
        every = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in every[len(items) :]:
            axes.set_axis_off()
        for axes, item in zip(every, items, strict=False):
            _masked(axes, item, style)
        if title:
            figure.suptitle(title)
    return figure


def _masked(axes: Axes, item: GridItem, style: str) -> None:
    pixels, mask = item["pixels"], item["mask"].astype(bool)
    if mask.shape != pixels.shape[:2]:
        raise FigureError(
            f"a mask of {mask.shape} on an image of {pixels.shape[:2]}",
            where=item["id"],
            remedy="Give both on the same grid",
        )
    label = item.get("label", "unknown")
    show(axes, pixels)
    if style == "filled":
        fill(axes, mask, YELLOW)
    else:
        outline(axes, mask, YELLOW)
    about = f"{label}, {share_text(float(mask.mean()))}" if mask.any() else f"{label}, no mask"
    axes.set_title(
        f"{item['id']}\n{about}",
        fontsize=SMALL,
        loc="center",
        color=CLASSES.get(label, GREY),
        linespacing=1.25,
    )


def composition(table: pd.DataFrame) -> Figure:
    """Draw the composition of a prepared set, in four panels.

    table: one row per image with `label`, `lesion_share` (of the image, 0..1), `height`, `width` (px), and,
    where known, `set` and `marks` ("" for none, several separated by spaces).
    Raises FigureError for no rows or a missing column.
    """
    need_columns(table, "set composition", "label", "lesion_share", "height", "width")
    with look():
        figure = blank(WIDTH, 7.2)
        (classes, areas), (sizes, marks) = figure.subplots(2, 2)
        _classes(classes, table)
        _areas(areas, table)
        _sizes(sizes, table)
        _marks(marks, table)
    return figure


def labels_of(table: pd.DataFrame) -> list[str]:
    """The classes present, in the project's order."""
    present = set(table["label"].astype(str))
    return [label for label in CLASSES if label in present] + sorted(present - set(CLASSES))


def share_text(share: float) -> str:
    """A share as a percentage with two significant digits: 0.0034 -> '0.34 %'."""
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.2g} %"


def _classes(axes: Axes, table: pd.DataFrame) -> None:
    labels = labels_of(table)
    sets = sorted(table["set"].astype(str).unique()) if "set" in table else []
    names = table["label"].astype(str)
    counts = [int((names == label).sum()) for label in labels]
    if len(sets) > 1:
        left = np.zeros(len(labels))
        for number, name in enumerate(sets):
            part = [int(((names == label) & (table["set"] == name)).sum()) for label in labels]
            axes.barh(labels, part, left=left, color=SETS[number % len(SETS)], label=name, height=0.62)
            left += part
        axes.legend(loc="lower right", title="set")
    else:
        axes.barh(labels, counts, color=[CLASSES.get(label, GREY) for label in labels], height=0.62)
    for row, count in enumerate(counts):
        text = f"{count} ({share_text(count / len(table))})"
        label_point(axes, text, (count, row), (4, 0), ha="left", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.28)
    axes.set_xlim(left=0)
    axes.set(title=f"Classes (n = {len(table)} images)", xlabel="images (count)")
    grid(axes, "x")


def _areas(axes: Axes, table: pd.DataFrame) -> None:
    lesions = table[table["lesion_share"] > 0]
    axes.set(
        title="Lesion area by class",
        xlabel="lesion area (% of the image, log scale)",
        ylabel="images (count)",
    )
    if lesions.empty:
        axes.text(0.5, 0.5, "no image has a lesion", transform=axes.transAxes, ha="center")
        return
    labels = labels_of(lesions)
    percent = 100 * lesions["lesion_share"].astype(float)
    edges = np.geomspace(0.98 * percent.min(), 1.02 * percent.max(), 25)
    for label in labels:
        colour = CLASSES.get(label, GREY)
        part = percent[lesions["label"] == label]
        axes.hist(part, bins=list(edges), histtype="stepfilled", color=colour, alpha=0.18)
        axes.hist(part, bins=list(edges), histtype="step", color=colour, linewidth=1.6)
    for label in labels:
        median = float(percent[lesions["label"] == label].median())
        axes.axvline(
            median,
            color=CLASSES.get(label, GREY),
            linestyle="--",
            linewidth=1.4,
            label=f"{label}, median {median:.2g} %",
        )
    axes.legend(loc="upper left")
    axes.set_ylim(top=axes.get_ylim()[1] * 1.3)
    log_axis(axes)
    grid(axes)


def _sizes(axes: Axes, table: pd.DataFrame) -> None:
    # In a fixed mixed order: class after class, the last would hide the first.
    mixed = table.iloc[np.argsort((np.arange(len(table)) * 0.618033988749895) % 1.0, kind="stable")]
    colours = [CLASSES.get(str(label), GREY) for label in mixed["label"]]
    axes.scatter(mixed["width"], mixed["height"], s=14, c=colours, alpha=0.55, linewidth=0)
    for label in labels_of(table):
        axes.scatter([], [], s=36, color=CLASSES.get(label, GREY), label=label)
    axes.set_title(
        f"Image sizes (median {table['width'].median():.0f} × {table['height'].median():.0f} px)",
    )
    axes.set(xlabel="width (px)", ylabel="height (px)")
    axes.legend(loc="best")
    axes.set_aspect("equal", adjustable="datalim")
    grid(axes)


def _marks(axes: Axes, table: pd.DataFrame) -> None:
    axes.set_title("Marks drawn on the images")
    if "marks" not in table:
        bare(axes)
        axes.text(0.5, 0.5, "no list of marks for this set", transform=axes.transAxes, ha="center")
        return
    counts = mark_counts(table)
    colours = [GREY if kind in ("none", "not listed") else BLUE for kind in counts]
    axes.barh(list(counts), list(counts.values()), color=colours, height=0.62)
    for row, count in enumerate(counts.values()):
        text = f"{count} ({share_text(count / len(table))})"
        label_point(axes, text, (count, row), (4, 0), ha="left", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.28)
    axes.set_xlim(left=0)
    axes.set_xlabel("images (count; one image can carry several)")
    grid(axes, "x")


def mark_counts(table: pd.DataFrame) -> dict[str, int]:
    """The number of images with each mark, most frequent first; "none" for images without any.

    Images of a set that lists no mark at all count as "not listed".
    """
    marks = table["marks"].fillna("").astype(str)
    sets = table["set"] if "set" in table else pd.Series("", index=table.index)
    listed = (marks != "").groupby(sets).transform("any")
    seen: Counter[str] = Counter()
    for text, known in zip(marks, listed, strict=True):
        seen.update(text.split() or ["none" if known else "not listed"])
    return dict(sorted(seen.items(), key=lambda pair: (-pair[1], pair[0])))
