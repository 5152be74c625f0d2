"""Test-time augmentation: one image shown to the network several times, its answers averaged.

A view is the image mirrored, or nearer, or farther, on the network's own fixed square. Each answer is
brought back to where it belongs before the probabilities are averaged, as in Wang et al., "Aleatoric
uncertainty estimation with test-time augmentation for medical image segmentation" (Neurocomputing 338, 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.errors import UsageError
from sonoseg.image.network_grid import Grid

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """One way to show an image.

    flip: mirrored left to right. Never upside down: sound comes from above, and a shadow falls below.
    zoom: how much larger than the grid would have it; above 1 the image's edges are cut away, below 1 there
        is black around it.
    """

    flip: bool = False
    zoom: float = 1.0


AS_IT_IS: Final = View()
VIEWS: Final[dict[str, tuple[View, ...]]] = {
    "none": (AS_IT_IS,),
    "flip": (AS_IT_IS, View(flip=True)),
    "scales": (AS_IT_IS, View(zoom=0.8), View(zoom=1.25)),
    "full": tuple(View(flip, zoom) for zoom in (1.0, 0.8, 1.25) for flip in (False, True)),
}
"""What each word of `tta=` means; the image as it is always comes first."""

_RAMP: Final = 1 / 16
"""Towards an edge where the image goes on unseen, an answer's weight falls to 0 over this share of the
square: the network sees little there, and the average keeps no seam."""


def views_of(tta: str) -> tuple[View, ...]:
    """The views that a word means. Raises UsageError for an unknown word."""
    try:
        return VIEWS[tta]
    except KeyError:
        raise UsageError(
            f"no test-time augmentation '{tta}'", remedy=f"Choose from: {', '.join(VIEWS)}"
        ) from None


def show(pixels: NDArray[np.uint8], grid: Grid, view: View) -> NDArray[np.uint8]:
    """An image as the network sees it in a view: uint8 (H, W) to uint8 (S, S)."""
    if view.flip:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    if view.zoom == 1:
        return grid.to_network(pixels)
    rows, columns = _axes(grid, view.zoom)
    height, width = grid.shape
    top, bottom = rows.source(height)
    left, right = columns.source(width)
    small = Image.fromarray(pixels).resize(
        (columns.end - columns.begin, rows.end - rows.begin),
        Image.Resampling.BILINEAR,
        box=(left, top, right, bottom),
    )
    square = np.zeros((grid.size, grid.size), dtype=np.uint8)
    square[rows.begin : rows.end, columns.begin : columns.end] = np.asarray(small, dtype=np.uint8)
    return square


def bring_back(answer: Floats, grid: Grid, view: View) -> tuple[Floats, Floats]:
    """A view's answer where it belongs on the grid of the plain image.

    answer: float32 (S, S). Returns values and weights, float32 (S, S) each; a weight of 0 is a place that the
    view did not show.
    """
    if view == AS_IT_IS:
        return answer, np.ones_like(answer)
    values, weights = answer, np.ones_like(answer)
    if view.zoom != 1:
        rows, columns = _axes(grid, view.zoom)
        values, weights = np.zeros_like(answer), np.zeros_like(answer)
        (top, bottom), (left, right) = rows.covered, columns.covered
        first_row, last_row = rows.of_view(top), rows.of_view(bottom)
        first_column, last_column = columns.of_view(left), columns.of_view(right)
        inside = np.ascontiguousarray(answer[rows.begin : rows.end, columns.begin : columns.end])
        back = Image.fromarray(inside).resize(
            (right - left, bottom - top),
            Image.Resampling.BILINEAR,
            box=(first_column, first_row, last_column, last_row),
        )
        values[top:bottom, left:right] = np.asarray(back, dtype=np.float32)
        weights[top:bottom, left:right] = np.minimum.outer(
            rows.weights(grid.size), columns.weights(grid.size)
        )
    if view.flip:
        values, weights = _mirrored(values, grid), _mirrored(weights, grid)
    return values, weights


def average(answers: Sequence[Floats], grid: Grid, views: Sequence[View]) -> Floats:
    """The weighted mean of the views' answers on the plain image's grid.

    answers: a float32 (S, S) a view, in the views' order. Returns float32 (S, S).
    """
    if tuple(views) == (AS_IT_IS,):
        return answers[0]
    total = np.zeros((grid.size, grid.size), dtype=np.float64)
    weight = np.zeros_like(total)
    for answer, view in zip(answers, views, strict=True):
        values, weights = bring_back(answer, grid, view)
        total += weights * values
        weight += weights
    # The plain view weighs 1 everywhere, so there is no place without an answer.
    return (total / weight).astype(np.float32)


def _mirrored(values: Floats, grid: Grid) -> Floats:
    """Mirror what lies in the image's box; the box itself may lie half a pixel off the middle."""
    top, left, height, width = grid.box
    mirrored = values.copy()
    box = np.s_[top : top + height, left : left + width]
    mirrored[box] = values[box][:, ::-1]
    return mirrored


@dataclass(frozen=True)
class _Axis:
    """One axis of a zoomed view.

    start, length: of the image in the plain square. first, grown: of the whole image in the view's
    square, beyond it on both sides where it is zoomed in. begin, end: of what the view shows of it.
    """

    start: int
    length: int
    first: int
    grown: int
    begin: int
    end: int

    def source(self, side: int) -> tuple[float, float]:
        """What is shown, as places on the image's own side of so many pixels."""
        low = (self.begin - self.first) * side / self.grown
        return max(low, 0.0), min((self.end - self.first) * side / self.grown, float(side))

    @property
    def covered(self) -> tuple[int, int]:
        """The whole pixels of the plain square that the view shows."""
        low = self.start + (self.begin - self.first) * self.length / self.grown
        high = self.start + (self.end - self.first) * self.length / self.grown
        return int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9))

    def of_view(self, place: int) -> float:
        """A place of the plain square, counted from `begin` in the view."""
        there = (place - self.start) * self.grown / self.length + self.first - self.begin
        return min(max(there, 0.0), float(self.end - self.begin))

    def weights(self, size: int) -> Floats:
        """A weight for each covered pixel, falling towards an end behind which the image goes on."""
        low, high = self.covered
        places = np.arange(low, high) + 0.5
        ramp = np.full(places.shape, np.inf)
        if self.first < self.begin:
            ramp = np.minimum(ramp, places - low)
        if self.first + self.grown > self.end:
            ramp = np.minimum(ramp, high - places)
        return np.minimum(ramp / (size * _RAMP), 1.0).astype(np.float32)


def _axes(grid: Grid, zoom: float) -> tuple[_Axis, _Axis]:
    top, left, height, width = grid.box
    return _axis(top, height, zoom, grid.size), _axis(left, width, zoom, grid.size)


def _axis(start: int, length: int, zoom: float, size: int) -> _Axis:
    grown = max(1, round(length * zoom))
    first = start + (length - grown) // 2
    return _Axis(start, length, first, grown, max(first, 0), min(first + grown, size))
