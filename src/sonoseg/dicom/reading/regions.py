"""Ultrasound regions: which show tissue, their pixel spacing, and blanking of all pixels outside of them.

Source: the US Region Calibration module, PS3.3 C.8.5.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoseg.image.calibration import (
    MAX_SPACING,
    MIN_SPACING,
    Box,
    Calibration,
    Origin,
    Region,
    Spacing,
    plausible,
    region_origin,
)

MAX_DEPTH = 400.0
"""Height of a region in mm above which its calibration is implausible: ultrasound does not reach deeper."""

CONFIRMED = 0.01
"""Relative difference up to which PixelSpacing and the seen scan confirm the region of a cropped frame."""

MIN_REGION_SIDE = 16
"""Smallest side in pixels of a region's part within the frame; a smaller region is ignored."""


class SpatialFormat(IntEnum):
    """(0018,6012) RegionSpatialFormat, PS3.3 C.8.5.5.1.1: images, and other content."""

    TWO_D = 1
    M_MODE = 2
    SPECTRAL = 3
    WAVEFORM = 4
    GRAPHICS = 5


class DataType(IntEnum):
    """(0018,6014) RegionDataType, PS3.3 C.8.5.5.1.2: the values for B-mode, and for colour flow over it."""

    TISSUE = 1
    COLOUR_FLOW = 2


NAMES: dict[int, str] = {
    SpatialFormat.M_MODE: "M-mode",
    SpatialFormat.SPECTRAL: "spectral Doppler",
    SpatialFormat.WAVEFORM: "waveforms",
    SpatialFormat.GRAPHICS: "graphics",
}
"""What a region shows that is not a 2D image."""

MAX_COLOUR_FLOW = 0.5
"""Share of the scan regions, 0..1, that colour flow covers at most without a warning: a colour box about a
lesion is usual, one over most of the scan hides the tissue."""

SPLIT_SCREEN = (
    "a split screen: {count} images side by side or one above the other; they are segmented together, and a "
    "lesion that several show counts several times. Export each image by itself to assess one"
)

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
    """An item of SequenceOfUltrasoundRegions as written in the file; None for missing or invalid values."""

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
    """The usable regions of a file.

    scan: the 2D tissue regions, cropped to the frame, each with its spacing or the reason why it has none.
    leaving: messages about regions that leave the frame, whose location is therefore unreliable.
    reason: why there is no scan region; "" if there is one.
    cropped: the scan region as written, where it is the only one and leaves the frame, but its deltas are
        sound: `confirm` may find that the frame was cropped.
    """

    scan: tuple[Region, ...]
    leaving: tuple[str, ...]
    reason: str
    cropped: Region | None = None

    def confirm(self, pixel_spacing: Spacing | None, seen: Box | None) -> Regions:
        """Return the regions with the spacing of a cropped frame, where it is confirmed; else themselves.

        Cropping leaves a region's deltas valid, resampling does not. They are confirmed where PixelSpacing
        (0028,0030) agrees with them, and the scan that is seen in the frame is as high or as wide as the
        region, both within CONFIRMED. The region then lies where the scan is seen.

        pixel_spacing: (row, column) mm. seen: the box of the scan, as `scan_box` finds it.
        """
        region = self.cropped
        if region is None or region.spacing is None or pixel_spacing is None or seen is None:
            return self
        agree = all(
            math.isclose(a, b, rel_tol=CONFIRMED) for a, b in zip(pixel_spacing, region.spacing, strict=True)
        )
        if not agree or not (
            math.isclose(seen.height, region.box.height, rel_tol=CONFIRMED)
            or math.isclose(seen.width, region.box.width, rel_tol=CONFIRMED)
        ):
            return self
        rules = ("confirmed by PixelSpacing (cropped frame)", *region.rules)
        return Regions((Region(seen, region.spacing, rules=rules),), (), "")

    def calibration(self, given: Spacing | None = None, origin: Origin = "given") -> Calibration:
        """Return the frame's Calibration. A `given` spacing (row, column) overrides that of the regions.

        Raises InputError if the given spacing is not positive.
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
        return Calibration(first, region_origin(self.scan), "", self.scan)


def read_regions(raw: Sequence[RawRegion], shape: tuple[int, int]) -> Regions:
    """Select and calibrate the scan regions of a frame of `shape` (height, width) in pixels.

    A scan region has RegionSpatialFormat 1 (2D), RegionDataType 1 (tissue), and at least MIN_REGION_SIDE x
    MIN_REGION_SIDE pixels within the frame. Where no region shows tissue, those of colour flow (2) are taken.
    Its spacing is 10 x PhysicalDelta mm per pixel, separately for rows (Y) and columns (X); of a negative
    delta, which some scanners write, the absolute value. It has no spacing, but a reason, if it leaves the
    frame (it then describes another pixel grid), a unit is not cm, or a delta is missing, 0 or implausible.
    A last column or row one beyond the frame, the size in place of the index, is clipped.
    """
    if not raw:
        return Regions((), (), "the file describes no ultrasound region")
    images = [item for item in raw if item.spatial_format == SpatialFormat.TWO_D]
    tissue = _scan_regions([item for item in images if item.data_type == DataType.TISSUE], shape)
    if tissue is not None and tissue.scan:
        return tissue
    flow = _scan_regions([item for item in images if item.data_type == DataType.COLOUR_FLOW], shape)
    if flow is not None and flow.scan:
        return flow
    if tissue is not None:
        return tissue
    if len(raw) == 1:
        return Regions((), (), "its only ultrasound region is not 2D tissue")
    return Regions((), (), f"none of its {len(raw)} ultrasound regions is 2D tissue")


def other_content(raw: Sequence[RawRegion]) -> str:
    """Return what a frame shows whose regions are all M-mode, spectral Doppler, waveforms or graphics.

    "" if any region shows or may show a 2D image, or there is none.
    """
    names = [NAMES.get(item.spatial_format or 0, "") for item in raw]
    return " and ".join(dict.fromkeys(names)) if all(names) else ""


def is_no_b_mode(raw: Sequence[RawRegion]) -> bool:
    """Return whether a frame can be no B-mode image: its regions are M-mode or spectral Doppler.

    Waveforms and graphics may stand beside them, but alone prove nothing: an ECG or a grey bar is calibrated
    beside an image that is not.
    """
    formats = {item.spatial_format for item in raw}
    return bool(other_content(raw)) and bool(formats & {SpatialFormat.M_MODE, SpatialFormat.SPECTRAL})


def region_warnings(raw: Sequence[RawRegion], scan: Sequence[Region], shape: tuple[int, int]) -> list[str]:
    """Return what the regions say against one B-mode image: other content, split screens, colour flow.

    scan: the scan regions, as `read_regions` gives them. shape: (height, width) of the frame in pixels.
    """
    found = []
    if content := other_content(raw):
        found.append(f"its regions are {content} only: it may not be a B-mode image")
    boxes = [region.box for region in scan]
    apart = [box for box in boxes if all(box is other or _are_apart(box, other) for other in boxes)]
    if len(apart) > 1:
        found.append(SPLIT_SCREEN.format(count=len(apart)))
    shown = np.zeros(shape, dtype=bool)
    flow = np.zeros(shape, dtype=bool)
    for box in boxes:
        shown[box.top : box.top + box.height, box.left : box.left + box.width] = True
    for item in raw:
        if item.spatial_format == SpatialFormat.TWO_D and item.data_type == DataType.COLOUR_FLOW:
            box_of_flow = _box(item, shape)[0]
            if box_of_flow is not None:
                top, left, height, width = box_of_flow
                flow[top : top + height, left : left + width] = True
    if shown.any() and (share := (shown & flow).sum() / shown.sum()) > MAX_COLOUR_FLOW:
        found.append(f"colour flow (Doppler) covers {share:.0%} of the scan: its colours hide the tissue")
    return found


def _are_apart(one: Box, other: Box) -> bool:
    return (
        one.top + one.height <= other.top
        or other.top + other.height <= one.top
        or one.left + one.width <= other.left
        or other.left + other.width <= one.left
    )


def _scan_regions(chosen: Sequence[RawRegion], shape: tuple[int, int]) -> Regions | None:
    """Calibrate regions of one data type; None without any."""
    scan: dict[Box, Region] = {}
    leaving: list[str] = []
    unusable: list[str] = []
    cropped: list[Region] = []
    for item in chosen:
        box, reason, clipped = _box(item, shape)
        if box is None:
            unusable.append(reason)
            continue
        rules = ("clipped by one pixel",) * clipped
        if item.data_type == DataType.COLOUR_FLOW:
            rules += ("colour flow",)
        region = _calibrated(item, box, rules)
        if reason:
            leaving.append(reason)
            cropped.append(_calibrated(item, _whole_box(item), rules))
            region = Region(box, None, reason)
        # Some scanners write one item per probe for the same box: the items must agree.
        known = scan.get(box)
        if known is not None and known.spacing != region.spacing:
            reason = known.reason or region.reason or "two regions of the same box differ in spacing"
            region = Region(box, None, reason)
        scan[box] = region
    if scan:
        only = len(scan) == 1 and len(cropped) > 0 and all(one == cropped[0] for one in cropped)
        return Regions(tuple(scan.values()), tuple(leaving), "", cropped[0] if only else None)
    return Regions((), (), unusable[0]) if unusable else None


def blank_outside(pixels: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
    """Return a copy of uint8 (H, W) that is 0 outside of the boxes, where names and dates may be burned in.

    The shape stays, so masks lie on the source's pixel grid.
    """
    blanked = np.zeros_like(pixels)
    for top, left, height, width in boxes:
        inside = (slice(max(0, top), top + height), slice(max(0, left), left + width))
        blanked[inside] = pixels[inside]
    return blanked


def _whole_box(item: RawRegion) -> Box:
    """Return the region's box as it is written, which may leave the frame."""
    assert item.x0 is not None
    assert item.y0 is not None
    assert item.x1 is not None
    assert item.y1 is not None
    return Box(item.y0, item.x0, item.y1 - item.y0 + 1, item.x1 - item.x0 + 1)


def _box(item: RawRegion, shape: tuple[int, int]) -> tuple[Box | None, str, bool]:
    """Return the region's box within the frame, how it leaves the frame, and whether it was clipped by one.

    None and why without a box.
    """
    height, width = shape
    if item.x0 is None or item.y0 is None or item.x1 is None or item.y1 is None:
        return None, "the tissue region has no location", False
    corners = f"({item.x0}, {item.y0})-({item.x1}, {item.y1})"
    if item.x1 < item.x0 or item.y1 < item.y0:
        return None, f"the corners of the tissue region {corners} are in the wrong order", False
    top, left = max(item.y0, 0), max(item.x0, 0)
    bottom, right = min(item.y1 + 1, height), min(item.x1 + 1, width)  # the last row and column are inside
    if bottom - top < MIN_REGION_SIDE or right - left < MIN_REGION_SIDE:
        return (
            None,
            f"the tissue region {corners} has less than {MIN_REGION_SIDE} x {MIN_REGION_SIDE} pixels within "
            f"the frame of {width} x {height} pixels",
            False,
        )
    box = Box(top, left, bottom - top, right - left)
    if (top, left) != (item.y0, item.x0) or item.x1 > width or item.y1 > height:
        return box, f"the region {corners} leaves the frame of {width} x {height} pixels", False
    return box, "", item.x1 == width or item.y1 == height


def _calibrated(item: RawRegion, box: Box, rules: tuple[str, ...]) -> Region:
    if item.units_x != CM or item.units_y != CM:
        units = " and ".join(
            "a missing unit" if unit is None else UNITS.get(unit, f"unknown unit {unit}")
            for unit in dict.fromkeys((item.units_x, item.units_y))
        )
        return Region(box, None, f"the region is calibrated in {units}, not in cm")
    if item.delta_x is None or item.delta_y is None:
        return Region(box, None, "the region has no physical delta")
    for delta, axis in ((item.delta_x, "columns"), (item.delta_y, "rows")):
        found = f"the region's physical delta along {axis} is {delta:.4g} cm"
        if not 0 < abs(delta) < math.inf:
            return Region(box, None, f"{found}, which is not above 0")
        if not plausible([10 * abs(delta)]):
            return Region(
                box, None, f"{found}, which is not between {MIN_SPACING / 10:g} and {MAX_SPACING / 10:g}"
            )
    if item.delta_x < 0 or item.delta_y < 0:
        rules += ("absolute value of a negative delta",)
    spacing = Spacing(row=10 * abs(item.delta_y), column=10 * abs(item.delta_x))
    if spacing.row * box.height > MAX_DEPTH:
        rules += ("implausible depth",)
    return Region(box, spacing, rules=rules)
