"""Tissue around lesions, with which their echoes are compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoseg.image.calibration import Box
from sonoseg.image.frame import Frame

BLACK = 8
"""Grey level below which a whole row or column is the frame around the scan, and not tissue."""


class Surroundings(NamedTuple):
    """The pixels that echo.py and posterior_features.py compare a lesion with.

    pixels: uint8 (H, W), the frame's.
    tissue: bool (H, W), tissue outside all lesions.
    """

    pixels: NDArray[np.uint8]
    tissue: NDArray[np.bool_]


def surroundings(frame: Frame, lesions: NDArray[np.bool_]) -> Surroundings:
    """The tissue of a frame: its scan without the lesions.

    The scan is the scan regions that the file describes, or the whole frame where it describes none, without
    the outer rows and columns that are black throughout (no pixel reaches BLACK).

    lesions: bool (H, W), all lesions of the frame.
    """
    tissue = np.zeros(frame.shape, dtype=bool)
    for box in [region.box for region in frame.calibration.regions] or [Box(0, 0, *frame.shape)]:
        window = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
        shown = frame.pixels[window]
        rows = np.flatnonzero(shown.max(axis=1, initial=0) >= BLACK)
        columns = np.flatnonzero(shown.max(axis=0, initial=0) >= BLACK)
        if len(rows):
            tissue[window][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return Surroundings(frame.pixels, tissue & ~lesions)


def top_of(frame: Frame, lesion: Box) -> int:
    """The first row of the scan region that holds a lesion (the topmost it meets), or of the frame: row 0."""
    met = [region.box for region in frame.calibration.regions if region.box.meets(lesion)]
    inside = [box for box in met if box.holds(lesion)]
    return min((box.top for box in inside or met), default=0)
