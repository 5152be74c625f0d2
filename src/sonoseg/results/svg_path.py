"""The border of a mask as SVG path data: sharp at any size, and a few hundred bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.image.mask_border import STEPS, walks


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
    found = [_corners(2 * corners + STEPS[ways]) for corners, ways in walks(mask)]
    return sorted(found, key=lambda ring: tuple(ring.min(axis=0).tolist()))


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
