"""Test-time augmentation: the network runs on several views of one image, and its outputs are averaged.

A view is the image mirrored or zoomed on the network's grid. Each output is transformed back to the plain
image's grid before averaging, as in Wang et al., "Aleatoric uncertainty estimation with test-time
augmentation for medical image segmentation" (Neurocomputing 338, 2019).
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
    """One transform of an image.

    flip: mirrored left to right. Never upside down: sound comes from above, and shadows fall below.
    zoom: scale factor; above 1 the image's edges are cropped, below 1 there is black around it.
    """

    flip: bool = False
    zoom: float = 1.0


IDENTITY: Final = View()
VIEWS: Final[dict[str, tuple[View, ...]]] = {
    "none": (IDENTITY,),
    "flip": (IDENTITY, View(flip=True)),
    "scales": (IDENTITY, View(zoom=0.8), View(zoom=1.25)),
    "full": tuple(View(flip, zoom) for zoom in (1.0, 0.8, 1.25) for flip in (False, True)),
}
"""The views of each value of `tta=`; the identity always comes first."""

_RAMP: Final = 1 / 16
"""Towards a cropped edge an output's weight falls to 0 over this fraction of the grid: the network has little
context there, and the average shows no seam."""


def views_of(tta: str) -> tuple[View, ...]:
    """Return the views of a value of `tta=`. Raises UsageError for an unknown one."""
    try:
        return VIEWS[tta]
    except KeyError:
        raise UsageError(
            f"unknown test-time augmentation '{tta}'", remedy=f"Choose from: {', '.join(VIEWS)}"
        ) from None


def apply_view(pixels: NDArray[np.uint8], grid: Grid, view: View) -> NDArray[np.uint8]:
    """Transform an image, uint8 (H, W), into a view on the network's grid, uint8 (S, S)."""
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


def invert_view(output: Floats, grid: Grid, view: View) -> tuple[Floats, Floats]:
    """Transform a view's output back to the plain image's grid.

    output: float32 (S, S). Returns values and weights, float32 (S, S) each; the weight is 0 for pixels
    outside the view.
    """
    if view == IDENTITY:
        return output, np.ones_like(output)
    values, weights = output, np.ones_like(output)
    if view.zoom != 1:
        rows, columns = _axes(grid, view.zoom)
        values, weights = np.zeros_like(output), np.zeros_like(output)
        (top, bottom), (left, right) = rows.covered, columns.covered
        first_row, last_row = rows.of_view(top), rows.of_view(bottom)
        first_column, last_column = columns.of_view(left), columns.of_view(right)
        inside = np.ascontiguousarray(output[rows.begin : rows.end, columns.begin : columns.end])
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


def average(outputs: Sequence[Floats], grid: Grid, views: Sequence[View]) -> Floats:
    """Return the weighted mean of the views' outputs on the plain image's grid.

    outputs: one float32 (S, S) per view, in the views' order. Returns float32 (S, S).
    """
    if tuple(views) == (IDENTITY,):
        return outputs[0]
    total = np.zeros((grid.size, grid.size), dtype=np.float64)
    weight = np.zeros_like(total)
    for output, view in zip(outputs, views, strict=True):
        values, weights = invert_view(output, grid, view)
        total += weights * values
        weight += weights
    # The plain view weighs 1 everywhere, so no weight is 0.
    return (total / weight).astype(np.float32)


def _mirrored(values: Floats, grid: Grid) -> Floats:
    """Mirror the values within the image's box, which may be half a pixel off the centre."""
    top, left, height, width = grid.box
    mirrored = values.copy()
    box = np.s_[top : top + height, left : left + width]
    mirrored[box] = values[box][:, ::-1]
    return mirrored


@dataclass(frozen=True)
class _Axis:
    """One axis of a zoomed view.

    start, length: of the image on the plain grid. first, grown: start and length of the whole image on the
    view's grid, beyond it on both sides when zoomed in. begin, end: of its visible part.
    """

    start: int
    length: int
    first: int
    grown: int
    begin: int
    end: int

    def source(self, side: int) -> tuple[float, float]:
        """Return the visible interval in pixels of the image, whose side has `side` of them."""
        low = (self.begin - self.first) * side / self.grown
        return max(low, 0.0), min((self.end - self.first) * side / self.grown, float(side))

    @property
    def covered(self) -> tuple[int, int]:
        """The whole pixels of the plain grid that the view covers."""
        low = self.start + (self.begin - self.first) * self.length / self.grown
        high = self.start + (self.end - self.first) * self.length / self.grown
        return int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9))

    def of_view(self, position: int) -> float:
        """Convert a position on the plain grid into one on the view's, counted from `begin`."""
        there = (position - self.start) * self.grown / self.length + self.first - self.begin
        return min(max(there, 0.0), float(self.end - self.begin))

    def weights(self, size: int) -> Floats:
        """Return a weight for each covered pixel, falling towards an end where the image is cropped."""
        low, high = self.covered
        centres = np.arange(low, high) + 0.5
        ramp = np.full(centres.shape, np.inf)
        if self.first < self.begin:
            ramp = np.minimum(ramp, centres - low)
        if self.first + self.grown > self.end:
            ramp = np.minimum(ramp, high - centres)
        return np.minimum(ramp / (size * _RAMP), 1.0).astype(np.float32)


def _axes(grid: Grid, zoom: float) -> tuple[_Axis, _Axis]:
    top, left, height, width = grid.box
    return _axis(top, height, zoom, grid.size), _axis(left, width, zoom, grid.size)


def _axis(start: int, length: int, zoom: float, size: int) -> _Axis:
    grown = max(1, round(length * zoom))
    first = start + (length - grown) // 2
    return _Axis(start, length, first, grown, max(first, 0), min(first + grown, size))
