"""A mask as polygons and as run lengths, and back: what annotation formats hold.

SciPy has no contour finder; scikit-image and contourpy have one each, but the core would need them for this
alone, and both draw between pixel centres. The corners of pixels give the mask back exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError
from sonoseg.image.mask_border import walks

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contour:
    """One closed border of a mask.

    points: float (N, 2) as (x, y) = (column, row) of pixel corners, (0, 0) the outer corner of the first
        pixel: the convention of COCO, LabelMe and DICOM. The last point is not the first again. Clockwise as
        seen around lesion, counter-clockwise around a hole.
    hole: whether it goes around a hole.
    """

    points: Points
    hole: bool


def contours(mask: NDArray[np.bool_], *, tolerance: float = 0.0) -> list[Contour]:
    """Every border of a mask, outer ones and holes, along its pixels' sides.

    mask: bool (H, W). Pixels that touch at a corner are one lesion, as everywhere here.
    tolerance: how far, in pixels, a dropped point may lie from the border that stays (Douglas and Peucker,
        1973); 0 keeps every corner, and filling the polygons gives the mask back exactly.

    Returns one Contour a border, by its first pixel from the top; none for an empty mask. Raises ShapeError.
    """
    if mask.ndim != 2:
        raise ShapeError(f"a mask of shape {mask.shape}", remedy="Give bool (H, W)")
    found = []
    for corners, ways in walks(mask):
        points = corners[ways != np.roll(ways, 1)][:, ::-1].astype(np.float64)
        hole = _signed_area(points) < 0
        found.append(Contour(simplify(points, tolerance) if tolerance > 0 else points, hole))
    return found


def fill(borders: list[Contour], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask bool (H, W) whose borders these are: each pixel by its middle (even-odd rule)."""
    mask = np.zeros(shape, dtype=bool)
    height, width = shape
    for border in borders:
        x, y = border.points.T
        x_next, y_next = np.roll(x, -1), np.roll(y, -1)
        for row in range(max(0, int(y.min())), min(height, int(np.ceil(y.max())))):
            middle = row + 0.5
            crossing = (y <= middle) != (y_next <= middle)
            share = (middle - y[crossing]) / (y_next - y)[crossing]
            places = np.sort(x[crossing] + share * (x_next - x)[crossing])
            # Pixel c lies inside from its middle on: c + 0.5 >= place.
            first = np.clip(np.ceil(places - 0.5).astype(int), 0, width)
            for begin, end in zip(first[::2], first[1::2], strict=True):
                mask[row, begin:end] ^= True
    return mask


def simplify(points: Points, tolerance: float) -> Points:
    """A closed polygon with fewer points, none of the dropped ones farther than `tolerance` from it.

    Douglas and Peucker (1973), on the two halves between the point farthest from the first and the first.
    points: float (N, 2). Keeps at least three points; of fewer than five returns all.
    """
    if len(points) < 5:
        return points
    far = int(np.argmax(((points - points[0]) ** 2).sum(axis=1)))
    ring = np.concatenate([points, points[:1]])
    kept = np.zeros(len(ring), dtype=bool)
    kept[[0, far]] = True
    parts = [(0, far), (far, len(points))]
    while parts:
        begin, end = parts.pop()
        if end - begin < 2:
            continue
        distances = _distances(ring[begin + 1 : end], ring[begin], ring[end])
        worst = int(np.argmax(distances))
        # A triangle at least: the first half keeps its worst point in any case.
        if distances[worst] > tolerance or (begin, end) == (0, far):
            middle = begin + 1 + worst
            kept[middle] = True
            parts += [(begin, middle), (middle, end)]
    return np.asarray(points[kept[:-1]], dtype=np.float64)


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """COCO's uncompressed run lengths: pixels outside, inside, outside ..., down the columns.

    mask: bool (H, W). The first count is of pixels outside, 0 where the first pixel is inside.
    """
    flat = mask.astype(bool).ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    counts: list[int] = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *counts] if flat.size and flat[0] else counts


def _signed_area(points: Points) -> float:
    x, y = points.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _distances(points: Points, begin: Points, end: Points) -> NDArray[np.float64]:
    """How far points (N, 2) lie from the line between two."""
    along = end - begin
    length = float(np.hypot(*along))
    if length == 0:
        return np.asarray(np.hypot(*(points - begin).T), dtype=np.float64)
    off = points - begin
    return np.asarray(np.abs(off[:, 0] * along[1] - off[:, 1] * along[0]) / length, dtype=np.float64)
