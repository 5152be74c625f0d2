"""The depth ruler beside a scan: its ticks found and counted, as a proposal of the pixel spacing.

A proposal is shown to a person, who confirms what a tick means; it is never used by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoseg.image.components import boxes, label
from sonoseg.image.scan_extent import scan_box

BRIGHT = 90
"""Lowest grey level of a tick."""

MIN_TICKS = 5
"""Fewest ticks of a ruler: four equal distances are hardly a coincidence of text."""

SCAN_SHARE = 0.4
"""As `scan_box` takes it: dense ticks fill up to a third of their columns."""

TICK_SIDE = 16
"""Largest side of a tick in pixels; the ruler's own line or a letter row is longer."""

EVEN = 0.04
"""Relative deviation of a tick from its place on an even ruler, of the distance, or one pixel."""

TICK_MM = (10.0, 5.0, 2.5, 2.0, 1.0)
"""What the distance of two ticks may be in mm, as scanners draw them."""

PER_CENTIMETRE = (2, 4, 5, 10)
"""How many ticks there may be from one large tick to the next, which is taken for a centimetre."""

DEPTHS = (15.0, 120.0)
"""Depths in mm that breast scans show; a proposal outside of them is left out."""


class Proposal(NamedTuple):
    """A pixel spacing that the ruler may mean: millimetres from tick to tick, and per pixel."""

    tick: float
    spacing: float


@dataclass(frozen=True)
class DepthRuler:
    """A vertical row of evenly spaced ticks beside the scan.

    column: of the ticks. first, last: rows of the outer ticks, pixels. count: of the ticks.
    longer: every how many-th tick is larger than the others; 0 where all are equal.
    proposals: pixel spacings, the likeliest first.
    """

    column: float
    first: float
    last: float
    count: int
    longer: int
    proposals: tuple[Proposal, ...]

    @property
    def distance(self) -> float:
        """Pixels from tick to tick."""
        return (self.last - self.first) / (self.count - 1)


def find_depth_ruler(pixels: NDArray[np.uint8]) -> DepthRuler | None:
    """Find the depth ruler in uint8 (H, W); None where there is none that is plain.

    Ticks are bright spots left or right of the scan, one below the other, evenly spaced over at least half of
    the scan's height. Where every second, fourth, fifth or tenth is larger, those are
    taken for centimetres.
    """
    scan = scan_box(pixels, share=SCAN_SHARE)
    if scan is None:
        return None
    outside = pixels >= BRIGHT
    outside[:, scan.left : scan.left + scan.width] = False
    numbers, count = label(outside)
    if not count:
        return None
    spots = []
    areas = np.bincount(numbers.ravel())[1:]
    for (rows, columns), area in zip(boxes(numbers, count), areas.tolist(), strict=True):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if height <= TICK_SIDE and width <= TICK_SIDE:
            middle = rows.start + (height - 1) / 2, columns.start + (width - 1) / 2
            spots.append((*middle, columns.start, width, area))
    rulers = [_ruler(column, scan.height) for column in _columns(spots)]
    found = [ruler for ruler in rulers if ruler is not None]
    return max(found, key=lambda ruler: ruler.count) if found else None


_Spot = tuple[float, float, int, int, int]
"""Row, column, left, width, area."""


def _columns(spots: list[_Spot]) -> list[list[_Spot]]:
    """Spots below each other: of one middle, of one left end, or of one right end."""
    groups: dict[tuple[int, int], list[_Spot]] = {}
    for spot in spots:
        _, middle, left, width, _ = spot
        for kind, place in enumerate((middle, left, left + width)):
            for near in {round(place), round(place - 0.5), round(place + 0.5)}:
                groups.setdefault((kind, near), []).append(spot)
    return [sorted(group) for group in groups.values() if len(group) >= MIN_TICKS]


def _ruler(spots: list[_Spot], height: int) -> DepthRuler | None:
    """The evenly spaced run of these spots, where there is one."""
    rows = np.array([spot[0] for spot in spots])
    steps = np.diff(rows)
    step = float(np.median(steps))
    if step < 4:
        return None
    if not (np.rint(steps / step) == 1).all():
        return None  # a spot too many, or a tick that is missing
    places = np.arange(len(rows))
    slope, start = np.polyfit(places, rows, 1)
    off = np.abs(rows - (start + slope * places)).max()
    if off > max(1.0, EVEN * slope) or rows[-1] - rows[0] < height / 2:
        return None
    longer = _larger(np.array([spot[4] for spot in spots], dtype=float))
    first, last = float(start), float(start + slope * (len(rows) - 1))
    proposals = _proposals(float(slope), longer, height)
    if not proposals:
        return None
    column = float(np.mean([spot[1] for spot in spots]))
    return DepthRuler(column, first, last, len(rows), longer, proposals)


def _larger(areas: NDArray[np.float64]) -> int:
    """Every how many-th area is larger, of PER_CENTIMETRE; 0 where none are, or not regularly."""
    large = areas > (areas.min() + areas.max()) / 2
    if areas.max() < 1.3 * areas.min():
        return 0
    places = np.flatnonzero(large)
    if len(places) < 2 or large.all():
        return 0
    gaps = set(np.diff(places).tolist())
    (gap,) = gaps if len(gaps) == 1 else (0,)
    return gap if gap in PER_CENTIMETRE else 0


def _proposals(distance: float, longer: int, height: int) -> tuple[Proposal, ...]:
    likely = 10 / longer if longer else 10.0
    ticks = sorted(TICK_MM, key=lambda tick: tick != likely)
    return tuple(
        Proposal(tick, tick / distance)
        for tick in ticks
        if DEPTHS[0] <= height * tick / distance <= DEPTHS[1]
    )
