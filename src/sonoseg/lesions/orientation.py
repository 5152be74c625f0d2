"""The angle of a lesion's longest axis to the skin line, and whether it lies parallel to it."""

from __future__ import annotations

import math

from sonoseg.lesions.birads import Orientation
from sonoseg.lesions.geometry import Points

OBLIQUE = 30.0
"""Degrees from the skin line above which a lesion is oblique. The atlas names no angle; it lets a slightly
oblique lesion count as parallel. For comparison, Chen and Wu (Scientific Reports 2024, doi
10.1038/s41598-024-55298-w) measured 15.3 (standard deviation 8.4) degrees for benign and 36.5 (14.9) for
malignant masses."""

ROUND = 0.9
"""Perpendicular over longest axis from which a lesion is round, so that its longest axis has no clear
direction. Our choice: the digital mask of a disc from 20 pixels on is above it."""


def angle_to_skin(ends: Points) -> float:
    """The acute angle between an axis and the image's rows, which stand for the skin line: degrees, 0..90.

    ends: float (2, 2) as (row, column), in mm where they are known, so that unequal spacings do not rotate
    it. Defined as by Chen and Wu (2024). A curved or tilted probe face is not considered.
    """
    down, right = abs(float(ends[1, 0] - ends[0, 0])), abs(float(ends[1, 1] - ends[0, 1]))
    return math.degrees(math.atan2(down, right))


def orientation_of(
    width: float, height: float, longest_axis: float, perpendicular: float, angle: float
) -> Orientation:
    """Classify as parallel or not parallel, as in the BI-RADS atlas (ultrasound, 2013).

    Not parallel where any of these holds, else parallel: the lesion is at least as high as wide; it is round
    (perpendicular >= ROUND * longest axis); it is oblique (angle > OBLIQUE degrees).
    Lengths in any one unit; angle in degrees.
    """
    if height >= width or perpendicular >= ROUND * longest_axis or angle > OBLIQUE:
        return Orientation.NOT_PARALLEL
    return Orientation.PARALLEL
