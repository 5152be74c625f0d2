"""Shape measures of a lesion, from its smoothed outline."""

from __future__ import annotations

import math
from typing import NamedTuple

from sonoseg.lesions.geometry import Points, convex_hull, polygon_area, polygon_length


class ShapeMeasures(NamedTuple):
    """The shape measures of an outline.

    perimeter: its length, in the points' unit. The others have no unit, lie above 0 and at most at 1:
    circularity: 4 pi area / perimeter^2 (Cox, J Paleontol 1927), 1 for a disc (isoperimetric inequality).
    solidity: area over the hull's area (ISO 9276-6:2008), 1 for a convex outline.
    margin_smoothness: the hull's perimeter over the outline's (convexity in ISO 9276-6:2008), 1 for a convex
        outline; each lobe, notch or spicule lengthens the outline and lowers it.
    """

    perimeter: float
    circularity: float
    solidity: float
    margin_smoothness: float


def shape_of(outline: Points) -> ShapeMeasures:
    """The shape of a smoothed outline.

    outline: float (N, 2), a closed polygon in order, as smooth_outline gives it, scaled to mm or in pixels.
    Area and perimeter here are both the polygon's, so that pixel corners take no ratio out of its range.
    """
    perimeter, area = polygon_length(outline), polygon_area(outline)
    hull = convex_hull(outline)
    return ShapeMeasures(
        perimeter=perimeter,
        circularity=min(4 * math.pi * area / perimeter**2, 1.0),
        solidity=min(area / polygon_area(hull), 1.0),
        margin_smoothness=min(polygon_length(hull) / perimeter, 1.0),
    )
