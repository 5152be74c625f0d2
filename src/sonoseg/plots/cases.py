"""Figures of single cases: the table of images and the best, median and worst of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from sonoseg.errors import FigureError
from sonoseg.plots.data_set import share_text
from sonoseg.plots.image_panels import bare, outline, show
from sonoseg.plots.style import PREDICTED, PROBABILITY_MAP, SMALL, TRUE, VERMILION, WIDTH, blank, look
from sonoseg.plots.table_checks import need_rows


class Case(TypedDict):
    """One evaluated image, all arrays on the image's own grid (H, W).

    pixels: uint8. true, predicted, processed: bool, predicted being the mask before post-processing.
    probability: float 0..1. dice: of the processed mask, NaN where there is no true lesion.
    note: a line under the name.
    """

    name: str
    pixels: NDArray[np.uint8]
    true: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    processed: NDArray[np.bool_]
    probability: NotRequired[NDArray[np.float32]]
    dice: NotRequired[float]
    note: NotRequired[str]


def image_table(images: Sequence[Case], *, title: str | None = None) -> Figure:
    """Draw a row per case: image, true mask, predicted mask and post-processed mask with its Dice.

    Where every case has a probability, it is a column before the predicted mask. Red lines are the true
    mask's border.
    Raises FigureError for no cases, or arrays of one case that differ in size.
    """
    need_rows(images, "image table", "Give at least one case")
    known = all("probability" in image for image in images)
    headings = [
        "Image",
        "True mask",
        *(["Probability"] if known else []),
        "Predicted mask",
        "Post-processed mask",
    ]
    with look():
        tall = [_height([image], WIDTH / (len(headings) + 0.1)) for image in images]
        figure = blank(WIDTH, sum(tall) + 0.5 * len(tall) + (1.1 if known else 0.3) + (0.3 if title else 0.0))
        every = figure.subplots(len(images), len(headings), squeeze=False, height_ratios=tall)
        for axes, heading in zip(every[0], headings, strict=True):
            axes.set_title(heading, loc="center")
        for (first, true, *middle, predicted, processed), image in zip(every, images, strict=True):
            _same_grid(image)
            show(first, image["pixels"])
            first.set_xlabel("\n".join(filter(None, (image["name"], image.get("note")))), fontsize=SMALL)
            _mask(true, image["true"])
            _mask(predicted, image["predicted"])
            _mask(processed, image["processed"])
            score = dice_text(image.get("dice"))
            processed.set_xlabel("\n".join(filter(None, (score, _area(image["processed"])))), fontsize=SMALL)
            shown = [_probability(axes, image["probability"]) for axes in middle]
            for axes in (*middle, predicted, processed):
                outline(axes, image["true"], VERMILION, 1.2)
        if known:
            bar = figure.colorbar(
                shown[0], ax=list(every.ravel()), location="bottom", aspect=60, pad=0.02, shrink=0.6
            )
            bar.set_label("predicted probability of lesion (0–1)")
        if title:
            figure.suptitle(title)
    return figure


def best_median_worst(cases: Mapping[str, Sequence[Case]], *, title: str | None = None) -> Figure:
    """Draw a row of images per heading ("best", "median", "worst"), in the order given, with both outlines.

    Raises FigureError for no cases, or arrays of one case that differ in size.
    """
    columns = max((len(row) for row in cases.values()), default=0)
    need_rows(range(columns), "best, median and worst", "Give at least one case")
    with look():
        tall = [_height(row, WIDTH / (columns + 0.2)) for row in cases.values()]
        figure = blank(WIDTH, sum(tall) + 0.48 * len(tall) + 0.4 + (0.3 if title else 0.0))
        every = figure.subplots(len(cases), columns, squeeze=False, height_ratios=tall)
        for axes in every.ravel():
            bare(axes)
        for cells, (heading, row) in zip(every, cases.items(), strict=True):
            cells[0].set_ylabel(heading, fontsize=11)
            for axes, case in zip(cells, row, strict=False):
                _same_grid(case)
                show(axes, case["pixels"])
                outline(axes, case["true"], TRUE)
                outline(axes, case["processed"], PREDICTED, 1.4, "dashed")
                caption = ", ".join(filter(None, (dice_text(case.get("dice")), case.get("note"))))
                axes.set_title("\n".join(filter(None, (case["name"], caption))), fontsize=SMALL, loc="center")
        keys = [
            Line2D([], [], color=TRUE, linewidth=2.2, label="true"),
            Line2D(
                [], [], color=PREDICTED, linewidth=2.2, linestyle="dashed", label="predicted (post-processed)"
            ),
        ]
        figure.legend(handles=keys, loc="outside lower center", ncols=2)
        if title:
            figure.suptitle(title)
    return figure


def dice_text(dice: float | None) -> str:
    """Dice for a caption: "Dice 0.83"; "no true lesion" for NaN; "" for None."""
    if dice is None:
        return ""
    return "no true lesion" if np.isnan(dice) else f"Dice {dice:.2f}"


def _height(cases: Sequence[Case], width: float) -> float:
    """Height in inches of the tallest case at a width of `width` inches; at most four."""
    shapes = [case["pixels"].shape for case in cases]
    return min(4.0, max((width * shape[0] / shape[1] for shape in shapes), default=width))


def _mask(axes: Axes, mask: NDArray[np.bool_]) -> None:
    show(axes, mask.astype(np.uint8) * 255)
    axes.set_xlabel(_area(mask), fontsize=SMALL)


def _area(mask: NDArray[np.bool_]) -> str:
    return f"{share_text(float(mask.mean()))} of the image" if mask.any() else "empty"


def _probability(axes: Axes, values: NDArray[np.float32]) -> AxesImage:
    bare(axes)
    axes.set_anchor("N")
    axes.set_xlabel(f"maximum {float(values.max()):.2f}", fontsize=SMALL)
    return axes.imshow(values, cmap=PROBABILITY_MAP, vmin=0, vmax=1, interpolation="nearest")


def _same_grid(case: Case) -> None:
    shapes = {case["pixels"].shape[:2], case["true"].shape, case["predicted"].shape, case["processed"].shape}
    if "probability" in case:
        shapes.add(case["probability"].shape)
    if len(shapes) > 1:
        raise FigureError(
            f"arrays of {', '.join(' × '.join(map(str, shape)) for shape in sorted(shapes))} pixels",
            where=case["name"],
            remedy="Give the image and its masks on one grid",
        )
