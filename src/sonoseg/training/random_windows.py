"""Random windows: an image is black outside a window with its lesions, or one without them.

Data sets hold few images without a lesion. A window beside the lesion makes one of a lesion image, at its
own pixel spacing; other images keep the lesion in the window. Both kinds draw their shapes from the same
distribution, so that the shape carries no information. Windows without a lesion still made networks miss
lesions on images of another centre, so the shipped recipe has none (see the windows results in research/).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.training.recipe import AugmentationOptions

LEAST = 0.4
"""Smallest side of a window, as a fraction of the image's."""

MARGIN = 0.02
"""Distance of a window without a lesion from the lesion, as a fraction of the side."""

TRIES = 8
"""Shapes drawn before an image is left whole; a shape must fit with and without the lesions."""


def draw_window(
    mask: NDArray[np.uint8], options: AugmentationOptions, random: np.random.Generator
) -> tuple[slice, slice] | None:
    """Draw the rows and columns that stay visible, or None for all of them.

    mask: (H, W), above 0 in lesions. Always consumes the same number of random draws.
    """
    kind, (row, column) = random.random(), random.random(2)
    shapes = LEAST + (1 - LEAST) * random.random((TRIES, 2))
    if kind >= options.erase + options.crop:
        return None
    sides = np.array(mask.shape)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    for shape in np.rint(shapes * sides).astype(int):
        if not len(rows):
            top, left = ((sides - shape + 1) * (row, column)).astype(int)
            return _window(top, left, shape)
        tops, lefts = np.arange(sides[0] - shape[0] + 1), np.arange(sides[1] - shape[1] + 1)
        away = round(MARGIN * max(mask.shape))
        whole = np.outer(*(_holds(*pair) for pair in ((tops, shape[0], rows), (lefts, shape[1], columns))))
        clear = np.logical_or.outer(
            *(_clears(*pair, away) for pair in ((tops, shape[0], rows), (lefts, shape[1], columns)))
        )
        if whole.any() and clear.any():
            positions = np.argwhere(clear if kind < options.erase else whole)
            top, left = positions[int(row * len(positions))]
            return _window(top, left, shape)
    return None


def _window(top: int, left: int, shape: NDArray[np.int_]) -> tuple[slice, slice]:
    return slice(int(top), int(top + shape[0])), slice(int(left), int(left + shape[1]))


def _holds(starts: NDArray[np.int_], length: int, seen: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return for each start along an axis whether the window contains all lesions."""
    return np.asarray((starts <= seen[0]) & (starts + length > seen[-1]))


def _clears(starts: NDArray[np.int_], length: int, seen: NDArray[np.intp], away: int) -> NDArray[np.bool_]:
    """Return for each start along an axis whether the window lies entirely before or after the lesions."""
    return np.asarray((starts + length + away <= seen[0]) | (starts - away > seen[-1]))
