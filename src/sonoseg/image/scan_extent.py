"""Where the scan is seen in a frame: the box of what is not black, without a ruler or text beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.image.calibration import Box

BLACK = 16
"""Highest grey level of the surroundings: compression leaves noise around text."""

LEAST_SHARE = 0.15
"""Of the pixels of the fullest row or column, the share from which another belongs to the scan. The ticks of
a ruler fill about 6 % of their column, a line of text less of its rows."""

GAP = 0.05
"""Of the frame's side, the longest gap within the scan, for example an acoustic shadow."""


def scan_box(pixels: NDArray[np.uint8], *, share: float = LEAST_SHARE) -> Box | None:
    """Return the box of the scan in uint8 (H, W); None for a black frame.

    share: of the fullest row or column, from which another belongs to the scan.
    """
    seen = pixels > BLACK
    rows = _longest_run(seen.mean(axis=1), share)
    if rows is None:
        return None
    top, bottom = rows
    columns = _longest_run(seen[top:bottom].mean(axis=0), share)
    if columns is None:
        return None
    left, right = columns
    return Box(top, left, bottom - top, right - left)


def _longest_run(shares: NDArray[np.float64], least: float) -> tuple[int, int] | None:
    """Return start and end (exclusive) of the longest run of full lines, gaps bridged."""
    full = np.flatnonzero(shares >= least * shares.max()) if shares.any() else np.empty(0, np.intp)
    if not len(full):
        return None
    breaks = np.flatnonzero(np.diff(full) > 1 + GAP * len(shares))
    starts, ends = np.r_[full[0], full[breaks + 1]], np.r_[full[breaks], full[-1]] + 1
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])
