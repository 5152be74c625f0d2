"""Smart click: edits a mask by clicks inside and outside of lesions.

A click far from every lesion adds a new one: see region_growing. A click near one moves its contour. The
click is assumed to be in the middle of the wrong region, so the contour moves past it by about the same
distance, and less and less to both sides. This is computed as a signed distance from the contour on a coarse
grid around the lesion, and resampled to the image's grid, where only the changed pixels are redrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

from sonoseg.errors import ShapeError, UsageError
from sonoseg.image.components import grow_box, label
from sonoseg.inference.region_growing import grow

_SIDE = 192  # the coarse grid's longer side, at most
_NEAR = 0.5  # a click this near, in radii of the lesion, moves its contour
_SAME = 2.0  # a new region this near, in radii, may merge with the lesion
_GAP = 0.015  # between a new region and other lesions, as a fraction of the image's longer side
_CORE = 0.75  # a click outside at this fraction of a lesion's greatest depth removes the lesion
_SPREAD = 1.0  # extent of a click's effect along the contour, in depths of the click
_SPREAD_RADIUS = 0.45  # its minimum, in radii of the lesion
_APART = 0.5  # its maximum, as a fraction of the distance to another click
_PAST = 1.2  # distance by which the contour passes a click, in depths of the click


class Point(NamedTuple):
    """A click. row, column: its pixel. inside: whether that pixel is lesion."""

    row: int
    column: int
    inside: bool


def smart_click(
    pixels: NDArray[np.uint8],
    probability: NDArray[np.float32] | None,
    mask: NDArray[np.bool_],
    points: Sequence[Point],
) -> NDArray[np.bool_]:
    """Apply clicks to a mask, in their order.

    pixels: uint8 (H, W). probability: float32 (H, W), 0..1, of lesion; None without a prediction.
    mask: bool (H, W), before the clicks; not modified. points: a click where the mask is right already
        changes nothing, but constrains later ones.

    Returns a new bool (H, W), deterministic. Each clicked pixel has the value of its click; of several on one
    pixel the last counts. A click outside, deep in a lesion, removes the lesion, unless an earlier click
    inside is in it. Lesions without a click nearby do not change.
    Raises ShapeError, and UsageError for a click outside of the image.
    """
    _check(pixels, probability, mask, points)
    result = mask.astype(bool)
    for number, point in enumerate(points):
        if result[point.row, point.column] != point.inside:
            earlier = points[:number]
            if point.inside:
                result = _include(pixels, probability, result, point, earlier)
            else:
                result = _exclude(result, point, earlier)
    return _as_clicked(result, points)


def _include(
    pixels: NDArray[np.uint8],
    probability: NDArray[np.float32] | None,
    mask: NDArray[np.bool_],
    point: Point,
    earlier: Sequence[Point],
) -> NDArray[np.bool_]:
    """Add the region of a click inside to the mask."""
    numbers, count = label(mask)
    barred = mask
    if count:
        nearest, distance = _nearest(numbers, point)
        lesion = numbers == nearest
        radius = float(np.sqrt(lesion.sum() / np.pi))
        if distance <= _NEAR * radius + 2:
            return mask | _moved(lesion, point, earlier)
        if distance <= _SAME * radius:
            barred = mask & ~lesion
    outside = np.array([(q.row, q.column) for q in earlier if not q.inside], dtype=np.intp).reshape(-1, 2)
    grown = grow(pixels, probability, (point.row, point.column), barred, outside)
    if barred.any():  # the new region must not merge with other lesions
        gap = max(2, round(_GAP * max(mask.shape)))
        numbers, _ = label(grown & ~grow_box(barred, gap, gap))
        grown = (numbers == numbers[point.row, point.column]) & (numbers > 0)
    return np.asarray(mask | grown)


def _exclude(mask: NDArray[np.bool_], point: Point, earlier: Sequence[Point]) -> NDArray[np.bool_]:
    """Remove the lesion of a click outside from the mask, or move its contour inwards."""
    numbers, _ = label(mask)
    lesion = numbers == numbers[point.row, point.column]
    inside = [q for q in earlier if q.inside and lesion[q.row, q.column]]
    near = _Near.of(lesion, point)
    if not inside and near.depth >= _CORE * float(near.distance.max()):
        return np.asarray(mask & ~lesion)
    moved = _moved(lesion, point, earlier)
    parts, count = label(moved)
    if count > 1:  # severed parts are removed, unless about as large or clicked
        areas = np.bincount(parts.ravel())
        areas[0] = 0
        kept = areas >= areas.max() / 2
        kept[[parts[q.row, q.column] for q in inside]] = True
        kept[0] = False
        moved = kept[parts]
    return np.asarray((mask & ~lesion) | moved)


class _Near(NamedTuple):
    """The surroundings of one lesion and a click, on a coarse grid.

    box: their part of the image. step: image pixels per pixel of the grid.
    distance: float32 (h, w), signed, from the contour, in image pixels; positive in the lesion.
    depth: the absolute distance at the click.
    """

    box: tuple[slice, slice]
    step: int
    distance: NDArray[np.float32]
    depth: float

    @classmethod
    def of(cls, lesion: NDArray[np.bool_], point: Point) -> _Near:
        """Compute it for a lesion, bool (H, W), not empty."""
        spans = []
        for axis, position in ((1, point.row), (0, point.column)):
            filled = np.flatnonzero(lesion.any(axis=axis))
            spans.append((min(int(filled[0]), position), max(int(filled[-1]), position) + 1))
        margin = max(end - start for start, end in spans) // 2 + 8
        rows, columns = (slice(max(start - margin, 0), end + margin) for start, end in spans)
        part = lesion[rows, columns]
        step = -(-max(part.shape) // _SIDE)
        inside = _shares(part, step) >= 0.5
        if not inside.any():  # thinner than the grid
            inside = _shares(part, step) > 0
        if inside.all():  # the lesion fills the image, whose edge is then the contour
            distance = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        else:
            distance = distance_transform_edt(inside) - distance_transform_edt(~inside)
        # Measured from the pixel's border, not from the neighbour's centre.
        distance = (distance - 0.5 * np.sign(distance)).astype(np.float32) * step
        depth = distance[(point.row - rows.start) // step, (point.column - columns.start) // step]
        return cls((rows, columns), step, distance, max(abs(float(depth)), 0.75))

    def resample(self, values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Resample values of the grid to the image's pixels in the box, of this shape."""
        if self.step > 1:
            height, width = (side * self.step for side in values.shape)
            large = Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR)
            values = np.asarray(large, dtype=np.float32)
        return values[: shape[0], : shape[1]]


def _moved(lesion: NDArray[np.bool_], point: Point, earlier: Sequence[Point]) -> NDArray[np.bool_]:
    """Move the contour of one lesion, bool (H, W), past a click."""
    near = _Near.of(lesion, point)
    radius = float(np.sqrt(lesion.sum() / np.pi))
    spread = _SPREAD_RADIUS * radius
    if earlier:
        apart = min(np.hypot(q.row - point.row, q.column - point.column) for q in earlier)
        spread = min(spread, _APART * float(apart))
    spread = max(spread, _SPREAD * near.depth)
    rows, columns = (
        (np.arange(side, dtype=np.float32) + 0.5) * near.step - 0.5 + span.start - position
        for side, span, position in zip(near.distance.shape, near.box, point[:2], strict=True)
    )
    squares = rows[:, None] ** 2 + columns[None] ** 2
    way = (1 + _PAST) * near.depth * (1 if point.inside else -1)
    change = way * np.exp(squares / np.float32(-2 * spread**2), dtype=np.float32)
    part = lesion[near.box]
    distance, change = (near.resample(values, part.shape) for values in (near.distance + change, change))
    moved = lesion.copy()
    moved[near.box] = np.where(np.abs(change) > 0.5, distance > 0, part)
    return moved


def _shares(part: NDArray[np.bool_], step: int) -> NDArray[np.float32]:
    """Return the fraction of lesion, 0..1, in blocks of `step` by `step` pixels, with edge padding."""
    padded = np.pad(part, [(0, -side % step) for side in part.shape], mode="edge")
    height, width = (side // step for side in padded.shape)
    return np.asarray(padded.reshape(height, step, width, step).mean(axis=(1, 3), dtype=np.float32))


def _nearest(numbers: NDArray[np.int32], point: Point) -> tuple[int, float]:
    """Return the label of the lesion nearest to a click, and its distance in pixels."""
    rows, columns = np.nonzero(numbers)
    squares = (rows - point.row) ** 2 + (columns - point.column) ** 2
    first = int(np.argmin(squares))
    return int(numbers[rows[first], columns[first]]), float(np.sqrt(squares[first]))


def _as_clicked(mask: NDArray[np.bool_], points: Sequence[Point]) -> NDArray[np.bool_]:
    """Set each click's 3 by 3 pixels to the click's value, in the clicks' order."""
    result = mask
    for point in points:
        if result[point.row, point.column] != point.inside:
            around = np.s_[max(point.row - 1, 0) : point.row + 2, max(point.column - 1, 0) : point.column + 2]
            result = result.copy()
            result[around] = point.inside
    for point in points:
        result[point.row, point.column] = point.inside
    return result


def _check(
    pixels: NDArray[np.uint8],
    probability: NDArray[np.float32] | None,
    mask: NDArray[np.bool_],
    points: Sequence[Point],
) -> None:
    remedy = "Give all on one grid, (H, W)"
    if pixels.ndim != 2 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ShapeError(
            f"image {pixels.dtype} {pixels.shape} is unsupported: uint8 (H, W) is needed", remedy=remedy
        )
    if mask.shape != pixels.shape:
        raise ShapeError(f"mask {mask.shape} and image {pixels.shape} differ in shape", remedy=remedy)
    if probability is not None and probability.shape != pixels.shape:
        raise ShapeError(
            f"probability {probability.shape} and image {pixels.shape} differ in shape", remedy=remedy
        )
    height, width = pixels.shape
    for point in points:
        if not (0 <= point.row < height and 0 <= point.column < width):
            raise UsageError(
                f"click ({point.row}, {point.column}) is outside of the image of {height} x {width}",
                remedy="Click inside the image",
            )
