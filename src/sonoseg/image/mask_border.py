"""The borders of a mask, walked along the sides of its pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STEPS = np.array(((0, 1), (1, 0), (0, -1), (-1, 0)))
"""The four ways to walk on the corners of pixels, clockwise: right, down, left, up, as (row, column)."""


class Walk(NamedTuple):
    """One closed border, a step a pixel side, with the lesion on the right hand.

    So it is seen to go clockwise around a lesion, and counter-clockwise around a hole.

    corners: int (N, 2), (row, column) of the corner where each step starts; (r, c) is the upper left corner
        of pixel (r, c).
    ways: int (N,), which of STEPS it takes.
    """

    corners: NDArray[np.int64]
    ways: NDArray[np.int64]


def walks(mask: NDArray[np.bool_]) -> list[Walk]:
    """Every border of a mask bool (H, W), outer ones and holes; none for an empty mask.

    Pixels that touch at a corner are one lesion, as everywhere here. Each walk begins with the first of its
    sides, row by row, and the walks follow each other in that order; an outer one's first side is the upper
    side of its lesion's first pixel.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    top, left = int(rows[0]), int(columns[0])
    window = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1].astype(bool)
    sides, after = _sides(np.pad(window, 1))
    width = window.shape[1] + 1
    left_over, found = dict(zip(sides.tolist(), after.tolist(), strict=True)), []
    while left_over:
        side = next(iter(left_over))
        walk = []
        while side in left_over:
            walk.append(side)
            side = left_over.pop(side)
        place, ways = np.divmod(np.array(walk, dtype=np.int64), 4)
        row, column = np.divmod(place, width)
        found.append(Walk(np.stack([row + top, column + left], axis=1), ways))
    return found


def _sides(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each border side of a padded mask (H + 2, W + 2), and the one that follows it, int (N,).

    A side is a number: four times the corner it starts at, row by row of W + 1, and its way.
    """
    inner = mask[1:-1, 1:-1]
    height, width = inner.shape
    there = np.zeros((height + 1, width + 1, 4), dtype=bool)
    # By the neighbour across, and where the side starts from the pixel's upper left corner.
    there[:-1, :-1, 0] = inner & ~mask[:-2, 1:-1]
    there[:-1, 1:, 1] = inner & ~mask[1:-1, 2:]
    there[1:, 1:, 2] = inner & ~mask[2:, 1:-1]
    there[1:, :-1, 3] = inner & ~mask[1:-1, :-2]
    flat = there.ravel()
    sides = np.flatnonzero(flat)
    place, way = np.divmod(sides, 4)
    ends = place + STEPS[way] @ np.array((width + 1, 1))
    # Left first: where two pixels touch at a corner the border goes round both.
    after = 4 * ends + (way + 1) % 4
    for turn in (0, 3):
        candidate = 4 * ends + (way + turn) % 4
        after = np.where(flat[candidate], candidate, after)
    return sides, after
