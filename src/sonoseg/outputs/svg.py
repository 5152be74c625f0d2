"""The border of a mask as SVG path data: sharp at any size, and a few hundred bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEPS = np.array(((0, 1), (1, 0), (0, -1), (-1, 0)))
"""Right, down, left, up as (row, column): the directions of a border with the lesion on its right hand."""


def svg_path(mask: NDArray[np.bool_]) -> str:
    """Every border of a mask bool (H, W), holes included, for `fill-rule: evenodd`.

    The border runs through the middles of the pixel edges, so that slanted lines look slanted. Coordinates
    are twice the mask's pixels, and whole: a mask of W x H pixels fills the box 0 0 2W 2H. "" for an
    empty mask.
    """
    return "".join(_ring(ring) for ring in rings(mask))


def rings(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The closed borders of a mask: int (N, 2) each, (row, column) on the grid of pixel corners times two.

    Points are the middles of the pixel edges, those on a straight line left out; the lesion lies on the right
    hand, and diagonal neighbours are one lesion (8-connected), as findings count them.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    top, left = int(rows[0]), int(columns[0])
    window = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1].astype(bool)
    edges, after = _edges(np.pad(window, 1))
    width = window.shape[1] + 1
    left_over, found = dict(zip(edges.tolist(), after.tolist(), strict=True)), []
    while left_over:
        edge = next(iter(left_over))
        ring = []
        while edge in left_over:
            ring.append(edge)
            edge = left_over.pop(edge)
        assert edge == ring[0], "a border that does not close"
        place, way = np.divmod(np.array(ring, dtype=np.int64), 4)
        corners = np.stack(np.divmod(place, width), axis=1)
        found.append(_corners(2 * corners + _STEPS[way]) + np.array((2 * top, 2 * left)))
    return sorted(found, key=lambda ring: tuple(ring.min(axis=0).tolist()))


def _edges(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each border edge of a padded mask (H + 2, W + 2), and the one that follows it, int (N,).

    An edge is a number: four times the corner it starts at, row by row of W + 1, and its way.
    """
    inner = mask[1:-1, 1:-1]
    height, width = inner.shape
    there = np.zeros((height + 1, width + 1, 4), dtype=bool)
    # By the neighbour across, and where the edge starts from the pixel's upper left corner.
    there[:-1, :-1, 0] = inner & ~mask[:-2, 1:-1]
    there[:-1, 1:, 1] = inner & ~mask[1:-1, 2:]
    there[1:, 1:, 2] = inner & ~mask[2:, 1:-1]
    there[1:, :-1, 3] = inner & ~mask[1:-1, :-2]
    flat = there.ravel()
    edges = np.flatnonzero(flat)
    place, way = np.divmod(edges, 4)
    ends = place + _STEPS[way] @ np.array((width + 1, 1))
    # Left first: where two pixels touch at a corner the border goes round both.
    after = 4 * ends + (way + 1) % 4
    for turn in (0, 3):
        candidate = 4 * ends + (way + turn) % 4
        after = np.where(flat[candidate], candidate, after)
    return edges, after


def _corners(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out the points of a closed line at which it goes straight on."""
    before, behind = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turning = (np.sign(before) != np.sign(behind)).any(axis=1)
    turning |= before[:, 0] * behind[:, 1] != before[:, 1] * behind[:, 0]
    return np.asarray(points[turning], dtype=np.int64)


def _ring(points: NDArray[np.int64]) -> str:
    row, column = points[0].tolist()
    steps = np.diff(points, axis=0)[:, ::-1]
    text = f"M{column} {row}l" + " ".join(map(str, steps.ravel().tolist()))
    return text.replace(" -", "-").rstrip("l") + "z"
