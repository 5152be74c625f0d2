"""The ultrasound regions of a file: which are scan, what spacing each has, or why it has none.

Source: the US Region Calibration module, PS3.3 C.8.5.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from sonoseg.image.calibration import Box, Calibration, Origin, Region, Spacing

LEAST, MOST = 0.001, 10.0
"""Millimetres per pixel between which an ultrasound image lies: beyond them a value is damage."""

MIN_PART = 16
"""Pixels a side that a region has at least within the frame; less is no scan."""


class SpatialFormat(IntEnum):
    """(0018,6012) RegionSpatialFormat, PS3.3 C.8.5.5.1.1: the one that holds an image."""

    TWO_D = 1


class DataType(IntEnum):
    """(0018,6014) RegionDataType, PS3.3 C.8.5.5.1.2: the one that holds tissue."""

    TISSUE = 1


UNITS = {
    0: "no unit",
    1: "percent",
    2: "dB",
    3: "cm",
    4: "seconds",
    5: "hertz",
    6: "dB per second",
    7: "cm per second",
    8: "cm\u00b2",
    9: "cm\u00b2 per second",
    10: "cm\u00b3",
    11: "cm\u00b3 per second",
    12: "degrees",
}
"""(0018,6024) and (0018,6026) PhysicalUnits X and Y Direction, PS3.3 C.8.5.5.1.15."""

CM = 3


class RawRegion(NamedTuple):
    """One item of SequenceOfUltrasoundRegions as it is written; None for what is missing or no number."""

    spatial_format: int | None
    data_type: int | None
    x0: int | None
    y0: int | None
    x1: int | None
    y1: int | None
    units_x: int | None
    units_y: int | None
    delta_x: float | None
    delta_y: float | None


class Regions(NamedTuple):
    """What the regions of one file say.

    scan: the 2D tissue regions, cut to the frame, each with its spacing or the reason why it has none.
    leaving: those that leave the frame, as text: their place is not to be trusted.
    reason: why there is no scan region; "" where there is one.
    """

    scan: tuple[Region, ...]
    leaving: tuple[str, ...]
    reason: str

    def calibration(self, given: Spacing | None = None, origin: Origin = "given") -> Calibration:
        """The frame's Calibration. A given spacing (row, column) overrides what the regions say.

        Raises InputError where the given one is not positive.
        """
        if given is not None:
            checked = Calibration.of(given, origin)
            return Calibration(checked.spacing, origin, "", self.scan)
        reasons = list(dict.fromkeys(region.reason for region in self.scan if region.reason))
        if reasons or not self.scan:
            return Calibration(None, "none", "; ".join(reasons) or self.reason, self.scan)
        first = self.scan[0].spacing
        assert first is not None  # a region without a reason has a spacing
        for region in self.scan[1:]:
            assert region.spacing is not None
            if not all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(region.spacing, first, strict=True)):
                return Calibration(None, "none", "the regions differ in spacing", self.scan)
        return Calibration(first, "file", "", self.scan)


def read_regions(raw: Sequence[RawRegion], shape: tuple[int, int]) -> Regions:
    """Judge the regions of a frame of `shape` (height, width) in pixels.

    A region is scan where its RegionSpatialFormat is 1 (2D), its RegionDataType 1 (tissue), and it shares at
    least MIN_PART x MIN_PART pixels with the frame. Its spacing is 10 x PhysicalDelta mm per pixel, kept
    apart for rows (Y) and columns (X), and is refused with a reason where the region leaves the frame (then
    it was written for another grid), a unit is not cm, or a delta is missing, not positive or absurd.
    """
    if not raw:
        return Regions((), (), "the file describes no ultrasound region")
    scan: dict[Box, Region] = {}
    leaving: list[str] = []
    odd: list[str] = []
    tissue = [
        one for one in raw if one.spatial_format == SpatialFormat.TWO_D and one.data_type == DataType.TISSUE
    ]
    for one in tissue:
        box, reason, leaves = _box(one, shape)
        if box is None:
            odd.append(reason)
            continue
        if leaves:
            leaving.append(reason)
        region = _calibrated(one, box, reason)
        # The same place twice (some machines write one item a probe): both must agree.
        known = scan.get(box)
        if known is not None and known.spacing != region.spacing:
            region = Region(box, None, known.reason or region.reason or "two regions at one place differ")
        scan[box] = region
    if scan:
        return Regions(tuple(scan.values()), tuple(leaving), "")
    if odd:
        return Regions((), (), odd[0])
    count = (
        "its only ultrasound region is" if len(raw) == 1 else f"none of its {len(raw)} ultrasound regions is"
    )
    return Regions((), (), f"{count}{' not' if len(raw) == 1 else ''} 2D tissue")


def _box(one: RawRegion, shape: tuple[int, int]) -> tuple[Box | None, str, bool]:
    """The region's box within the frame, what is odd about it, and whether it leaves the frame."""
    height, width = shape
    if one.x0 is None or one.y0 is None or one.x1 is None or one.y1 is None:
        return None, "its tissue region has no place", False
    place = f"({one.x0}, {one.y0})-({one.x1}, {one.y1})"
    if one.x1 < one.x0 or one.y1 < one.y0:
        return None, f"its tissue region {place} is turned inside out", False
    top, left = max(one.y0, 0), max(one.x0, 0)
    bottom, right = min(one.y1 + 1, height), min(one.x1 + 1, width)  # the last row and column belong to it
    if bottom - top < MIN_PART or right - left < MIN_PART:
        what = (
            "is smaller than" if one.x1 < width and one.y1 < height else "leaves the frame but for less than"
        )
        return None, f"its tissue region {place} {what} {MIN_PART} x {MIN_PART} pixels", False
    box = Box(top, left, bottom - top, right - left)
    if (top, left, bottom, right) != (one.y0, one.x0, one.y1 + 1, one.x1 + 1):
        return box, f"the region {place} leaves the frame of {width} x {height} pixels", True
    return box, "", False


def _calibrated(one: RawRegion, box: Box, reason: str) -> Region:
    if reason:
        return Region(box, None, reason)
    if one.units_x != CM or one.units_y != CM:
        units = " and ".join(
            "a missing unit" if unit is None else UNITS.get(unit, f"unknown unit {unit}")
            for unit in dict.fromkeys((one.units_x, one.units_y))
        )
        return Region(box, None, f"the region is calibrated in {units}, not in cm")
    if one.delta_x is None or one.delta_y is None:
        return Region(box, None, "the region has no physical delta")
    for delta, along in ((one.delta_x, "columns"), (one.delta_y, "rows")):
        if not math.isfinite(delta) or delta <= 0:
            return Region(
                box,
                None,
                f"the region's physical delta along {along} is {delta:.4g} cm, which is not above 0",
            )
        if not LEAST <= 10 * delta <= MOST:
            return Region(
                box, None, f"the region's physical delta along {along} is {delta:.4g} cm, which cannot be"
            )
    return Region(box, Spacing(row=10 * one.delta_y, column=10 * one.delta_x))
