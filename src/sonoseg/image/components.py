"""Connected parts of a mask: numbered, boxed, their holes filled.

What scipy.ndimage does too, in NumPy alone: its import takes a quarter of the processor time of
`sonoseg predict` on one image. tests/imaging/test_components.py holds each function against it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def label(mask: NDArray[np.bool_], *, corners: bool = True) -> tuple[NDArray[np.int32], int]:
    """Number the connected components of a mask.

    mask: bool (H, W). corners: pixels that touch at a corner belong together (8-connected), else only those
    side by side (4-connected).
    Returns int32 (H, W), 0 outside and 1, 2 ... by each component's first pixel, row by row; and how many.
    """
    height, width = mask.shape
    numbers = np.zeros(mask.shape, dtype=np.int32)
    if not mask.any():
        return numbers, 0
    # Runs of pixels in a row; a border of False on both sides ends each of them.
    wide = np.zeros((height, width + 2), dtype=np.int8)
    wide[:, 1:-1] = mask
    steps = np.diff(wide.ravel())
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    # A run meets those of the next row (one row is width + 2 places) that begin before it ends and end after
    # it begins; corners lengthen it by one on both sides.
    reach, row = int(corners), width + 2
    first = np.searchsorted(ends, starts + row - reach, side="right")
    last = np.searchsorted(starts, ends + row + reach, side="left")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(starts)), counts)
    lower = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first, counts)
    root = _joined(len(starts), upper, lower)
    found, number = np.unique(root, return_inverse=True)
    numbers[mask] = np.repeat(number.astype(np.int32) + 1, ends - starts)
    return numbers, len(found)


def _joined(count: int, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """The least member of each one's set, int (count,), after joining the pairs (one, other).

    Sets are hooked to neighbours with a lower root until none is left: at least half of the roots that have
    neighbours vanish in each round.
    """
    root = np.arange(count)
    while True:
        mine, theirs = root[one], root[other]
        if np.array_equal(mine, theirs):
            return root
        low = np.minimum(mine, theirs)
        np.minimum.at(root, mine, low)
        np.minimum.at(root, theirs, low)
        while not np.array_equal(further := root[root], root):
            root = further


def boxes(numbers: NDArray[np.int32], count: int) -> list[tuple[slice, slice]]:
    """The box around each component that `label` numbered, (rows, columns), in the order of the numbers."""
    rows, columns = np.nonzero(numbers)
    which = numbers[rows, columns] - 1
    sides = []
    for places in (rows, columns):
        low, high = np.full(count, np.iinfo(np.intp).max), np.full(count, -1)
        np.minimum.at(low, which, places)
        np.maximum.at(high, which, places)
        sides.append([slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True)])
    return list(zip(*sides, strict=True))


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with its holes: background that no path of side-by-side pixels joins to the border."""
    outside = np.ones((mask.shape[0] + 2, mask.shape[1] + 2), dtype=bool)
    outside[1:-1, 1:-1] = ~mask
    numbers, _ = label(outside, corners=False)
    return np.asarray((numbers != numbers[0, 0])[1:-1, 1:-1])


def grow_box(mask: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.bool_]:
    """The mask grown by so many pixels up and down, left and right; nothing comes in from outside."""
    grown = mask.astype(bool)
    for axis, reach in enumerate((rows, columns)):
        # A place is reached where the sum over the window around it is above 0.
        sums = np.cumsum(grown, axis=axis, dtype=np.int32)
        size = grown.shape[axis]
        after = np.minimum(np.arange(size) + reach, size - 1)
        before = np.arange(size) - reach - 1
        low = np.take(sums, np.maximum(before, 0), axis=axis)
        none = (before < 0)[:, None] if axis == 0 else (before < 0)[None]
        grown = np.take(sums, after, axis=axis) > np.where(none, 0, low)
    return grown
