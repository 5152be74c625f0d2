"""Windows: a picture seen through a smaller opening, with its lesions or without them.

Sets hold few normals, and their own frames tell them apart. So lesion pictures lend their healthy tissue, at
its own scale: black outside a window beside the lesion makes a normal of them. Others are cut down in the
same way with the lesion kept, or black borders would come to mean "no lesion".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.training.recipe import AugmentationOptions

LEAST = 0.25
"""Smallest share of the picture that a window without a lesion shows: less leaves nothing to judge."""

MARGIN = 0.02
"""Share of the side that a window without a lesion keeps away from it, as outlines are drawn tight."""


def draw_window(
    mask: NDArray[np.uint8], options: AugmentationOptions, random: np.random.Generator
) -> tuple[slice, slice] | None:
    """Draw the rows and columns that stay visible, or None for all of them.

    mask: (H, W), above 0 where there is lesion. Always takes the same number of draws.
    """
    erase, crop = random.random(2) < (options.erase, options.crop)
    choice, cuts = random.random(), random.random(4)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if erase and len(rows):
        return _beside(rows, columns, mask.shape, choice)
    return _around(rows, columns, mask.shape, cuts) if crop else None


def _beside(
    rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...], choice: float
) -> tuple[slice, slice] | None:
    """The tissue left of the lesions, right of them, or above; each as likely as it is large."""
    height, width = shape
    away = round(MARGIN * max(shape))
    windows = [
        (slice(0, height), slice(0, max(0, int(columns[0]) - away))),
        (slice(0, height), slice(min(width, int(columns[-1]) + 1 + away), width)),
        (slice(0, max(0, int(rows[0]) - away)), slice(0, width)),
    ]
    areas = np.array([(r.stop - r.start) * (c.stop - c.start) for r, c in windows], dtype=float)
    areas[areas < LEAST * height * width] = 0
    if not areas.any():
        return None
    return windows[int(np.searchsorted(np.cumsum(areas) / areas.sum(), choice, side="right"))]


def _around(
    rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...], cuts: NDArray[np.float64]
) -> tuple[slice, slice]:
    """Up to a third cut off each side, but no lesion."""
    spans = []
    for seen, side, (low, high) in zip((rows, columns), shape, cuts.reshape(2, 2) / 3, strict=True):
        first, last = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (side, 0)
        spans.append(slice(min(first, round(low * side)), max(last, side - round(high * side))))
    return spans[0], spans[1]
