"""Windows: an image seen through a smaller opening, with its lesions or without them.

Sets hold few normals, and their own frames tell them apart. So lesion images lend their healthy tissue, at
its own scale: black outside a window beside the lesion makes a normal of them. Others are cut down with the
lesion kept. Both kinds take their shapes from one drawing, or a shape would come to mean "no lesion": windows
that were as large as the lesion's place allowed were tall ones, and a network trained on them missed lesions
in tall images. Even so, windows without a lesion teach it to call another centre's images normal: the
recipe that ships has none (docs/results/windows.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.training.recipe import AugmentationOptions

LEAST = 0.4
"""Smallest share of the side that a window shows: less leaves nothing to judge."""

MARGIN = 0.02
"""Share of the side that a window without a lesion keeps away from it, as outlines are drawn tight."""

TRIES = 8
"""Shapes drawn before an image is left whole: those count that have room with and without its lesions."""


def draw_window(
    mask: NDArray[np.uint8], options: AugmentationOptions, random: np.random.Generator
) -> tuple[slice, slice] | None:
    """Draw the rows and columns that stay visible, or None for all of them.

    mask: (H, W), above 0 where there is lesion. Always takes the same number of draws.
    """
    kind, (row, column) = random.random(), random.random(2)
    shapes = LEAST + (1 - LEAST) * random.random((TRIES, 2))
    if kind >= options.erase + options.crop:
        return None
    sides = np.array(mask.shape)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    for shape in np.rint(shapes * sides).astype(int):
        if not len(rows):
            # No lesion: any place will do.
            top, left = ((sides - shape + 1) * (row, column)).astype(int)
            return _window(top, left, shape)
        tops, lefts = np.arange(sides[0] - shape[0] + 1), np.arange(sides[1] - shape[1] + 1)
        away = round(MARGIN * max(mask.shape))
        whole = np.outer(*(_holds(*pair) for pair in ((tops, shape[0], rows), (lefts, shape[1], columns))))
        clear = np.logical_or.outer(
            *(_clears(*pair, away) for pair in ((tops, shape[0], rows), (lefts, shape[1], columns)))
        )
        if whole.any() and clear.any():
            places = np.argwhere(clear if kind < options.erase else whole)
            top, left = places[int(row * len(places))]
            return _window(top, left, shape)
    return None


def _window(top: int, left: int, shape: NDArray[np.int_]) -> tuple[slice, slice]:
    return slice(int(top), int(top + shape[0])), slice(int(left), int(left + shape[1]))


def _holds(starts: NDArray[np.int_], length: int, seen: NDArray[np.intp]) -> NDArray[np.bool_]:
    """For each start along one axis whether the window holds all the lesions' places."""
    return np.asarray((starts <= seen[0]) & (starts + length > seen[-1]))


def _clears(starts: NDArray[np.int_], length: int, seen: NDArray[np.intp], away: int) -> NDArray[np.bool_]:
    """For each start along one axis whether the window lies wholly before or behind the lesions."""
    return np.asarray((starts + length + away <= seen[0]) | (starts - away > seen[-1]))
