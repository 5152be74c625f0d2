"""Plane geometry of one lesion: its hull, the longest axis, the perpendicular, polygons.

Points are float (N, 2), (row, column) or any other pair of equal units.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def edge_points(mask: NDArray[np.bool_]) -> Points:
    """Points that span a mask's hull: the middles of the outer sides of each row's first and last pixel.

    Pixel centres lie at whole numbers, so a lesion n pixels wide measures n, not n - 1; and unlike the
    pixels' corners, the middles of their sides do not lengthen a slanting axis (a disc of radius r measures
    2 r within a pixel at every angle).

    mask: bool (H, W). Returns float (N, 2) as (row, column); (0, 2) for an empty mask.
    """
    rows = np.flatnonzero(mask.any(axis=1))
    inside = mask[rows]
    first = inside.argmax(axis=1)
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    sides = [(0.0, -0.5, first), (0.0, 0.5, last)]
    sides += [(up, 0.0, columns) for up in (-0.5, 0.5) for columns in (first, last)]
    return np.concatenate(
        [np.stack([rows + down, columns + right], axis=1) for down, right, columns in sides]
    ).astype(np.float64)


def convex_hull(points: Points) -> Points:
    """The hull's corners in turning order, without points on its sides (Andrew's monotone chain, 1979).

    points: float (N, 2), N >= 1. Returns float (K, 2); K is 1 for one place, 2 for places on one line.
    """
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    ordered = ordered[np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]]
    if len(ordered) <= 2:
        return ordered
    half = _chain(_thinned(ordered))[:-1] + _chain(_thinned(ordered[::-1]))[:-1]
    return np.array(half)


def longest_axis(hull: Points) -> tuple[Points, float]:
    """The two corners farthest apart and their distance, by rotating callipers (Shamos, 1978).

    hull: float (K, 2) as convex_hull gives it. Returns the ends, float (2, 2), and the length.
    """
    corners: list[tuple[float, float]] = [(float(p), float(q)) for p, q in hull]
    count = len(corners)
    best, ends = 0.0, (0, 0)
    opposite = 1 % count
    for here in range(count):
        after = (here + 1) % count
        side = _between(corners[here], corners[after])
        # Walk on while the next corner lies no nearer to this side.
        for _ in range(count):
            step = _between(corners[opposite], corners[(opposite + 1) % count])
            gain = side[0] * step[1] - side[1] * step[0]
            if gain < 0 or (gain == 0 and opposite != here):
                break
            opposite = (opposite + 1) % count
        # Where two corners lie equally far (parallel sides) both are opposite, and both are measured.
        for one in (here, after):
            for other in (opposite, (opposite + 1) % count):
                length = math.dist(corners[one], corners[other])
                if length > best:
                    best, ends = length, (one, other)
    return hull[list(ends)], best


def perpendicular(hull: Points, ends: Points) -> tuple[Points, float]:
    """The longest chord of a hull at right angles to the axis between `ends`: its two ends and its length.

    This is where a person puts the second pair of callipers (WHO, 1979: the greatest perpendicular diameter).
    The chord's length is concave along the axis, so the longest passes through a corner; of several equal
    ones (parallel sides) the middle one is taken.

    hull: float (K, 2) as convex_hull gives it. ends: float (2, 2), of any axis. Returns the ends, float (2,
    2), and the length; zero across an axis without a length.
    """
    along = ends[1] - ends[0]
    length = float(np.hypot(*along))
    if length == 0:
        return ends.copy(), 0.0
    along = along / length
    across = np.array([-along[1], along[0]])
    corners = np.stack([(hull - ends[0]) @ along, (hull - ends[0]) @ across], axis=1)
    low, high = _chords(corners, corners[:, 0])
    best = float((high - low).max())
    equal = corners[high - low >= best * (1 - 1e-9), 0]
    at = (float(equal.min()) + float(equal.max())) / 2
    low, high = _chords(corners, np.array([at]))
    both = np.array([low[0], high[0]])
    return ends[0] + at * along + np.outer(both, across), float(high[0] - low[0])


def _chords(corners: Points, places: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where lines at `places` (N,) of the first axis enter and leave a polygon, on the second: (N,) each."""
    start, stop = corners, np.roll(corners, -1, axis=0)
    run = stop[:, 0] - start[:, 0]
    share = (places[:, None] - start[None, :, 0]) / np.where(run == 0, 1, run)[None, :]
    met = (share >= -1e-12) & (share <= 1 + 1e-12) & (run != 0)[None, :]
    second = start[None, :, 1] + share * (stop[:, 1] - start[:, 1])[None, :]
    # Corners themselves are always met: those of sides along the line, and all of a mere point.
    on = np.isclose(places[:, None], start[None, :, 0], rtol=0, atol=1e-12)
    second = np.where(met, second, start[None, :, 1])
    low, high = np.where(met | on, second, np.inf), np.where(met | on, second, -np.inf)
    return low.min(axis=1), high.max(axis=1)


def polygon_length(corners: Points) -> float:
    """The length of a closed polygon. corners: float (N, 2) in order, N >= 1."""
    steps = np.roll(corners, -1, axis=0) - corners
    return float(np.hypot(steps[:, 0], steps[:, 1]).sum())


def polygon_area(corners: Points) -> float:
    """The area that a closed polygon encloses, whichever way it turns (the shoelace formula)."""
    moved = corners - corners[0]  # near zero, where products lose the fewest digits
    after = np.roll(moved, -1, axis=0)
    return abs(float((moved[:, 0] * after[:, 1] - after[:, 0] * moved[:, 1]).sum())) / 2


def _thinned(ordered: Points) -> Points:
    """Without most points that one half of the hull passes over: the same half, found many times quicker.

    A point on the inner side of the line between any two others is no corner, so all may go at once.
    """
    for _ in range(12):
        before, here, after = ordered[:-2], ordered[1:-1], ordered[2:]
        side, step = here - before, after - before
        outer = np.r_[True, side[:, 0] * step[:, 1] - side[:, 1] * step[:, 0] > 0, True]
        if outer.all():
            break
        ordered = ordered[outer]
    return ordered


def _chain(ordered: Points) -> list[tuple[float, float]]:
    chain: list[tuple[float, float]] = []
    for p, q in ordered.tolist():
        while len(chain) > 1:
            (a, b), (c, d) = chain[-2], chain[-1]
            if (c - a) * (q - b) - (d - b) * (p - a) > 0:
                break
            chain.pop()
        chain.append((p, q))
    return chain


def _between(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return other[0] - one[0], other[1] - one[1]
