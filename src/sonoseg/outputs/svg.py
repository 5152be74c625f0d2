"""The border of a mask as SVG path data: sharp at any size, and a few hundred bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
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
    after = _next_edges(np.pad(window, 1))
    found = []
    while after:
        start = edge = next(iter(after))
        points = []
        while edge in after:
            row, column, way = edge
            down, right = _STEPS[way]
            points.append((2 * row + down, 2 * column + right))
            edge = after.pop(edge)
        assert edge == start, "a border that does not close"
        found.append(_corners(np.array(points, dtype=np.int64)) + np.array((2 * top, 2 * left)))
    return sorted(found, key=lambda ring: tuple(ring.min(axis=0).tolist()))


def _next_edges(mask: NDArray[np.bool_]) -> dict[tuple[int, int, int], tuple[int, int, int]]:
    """Each border edge (row, column, way) of a padded mask, with the one that follows it."""
    inner = mask[1:-1, 1:-1]
    edges: set[tuple[int, int, int]] = set()
    # (the neighbour across, where the edge starts from the pixel's upper left corner)
    for way, (across, corner) in enumerate(
        (
            (mask[:-2, 1:-1], (0, 0)),
            (mask[1:-1, 2:], (0, 1)),
            (mask[2:, 1:-1], (1, 1)),
            (mask[1:-1, :-2], (1, 0)),
        )
    ):
        rows, columns = np.nonzero(inner & ~across)
        edges.update(
            (row, column, way)
            for row, column in zip((rows + corner[0]).tolist(), (columns + corner[1]).tolist(), strict=True)
        )
    after = {}
    for row, column, way in edges:
        end = (row + _STEPS[way][0], column + _STEPS[way][1])
        # Left first: where two pixels touch at a corner the border goes round both.
        for turn in (3, 0, 1):
            candidate = (*end, (way + turn) % 4)
            if candidate in edges:
                after[row, column, way] = candidate
                break
    return after


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
