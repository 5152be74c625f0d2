"""Keeping burned-in text out: what lies outside the scan regions becomes black."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonoseg.image.calibration import Box


def blank_outside(pixels: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
    """Copy of uint8 (H, W) with 0 wherever no box is; the grid stays the source's, so masks lie on it."""
    kept = np.zeros_like(pixels)
    for top, left, height, width in boxes:
        place = (slice(top, top + height), slice(left, left + width))
        kept[place] = pixels[place]
    return kept
