"""Pixel spacing of a frame, from its ultrasound regions or from outside, with its origin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sonoseg.errors import InputError

MIN_SPACING, MAX_SPACING = 0.001, 10.0
"""Plausible millimetres per pixel of an ultrasound image; other values are damaged, or in another unit."""

SPACING_RANGE = f"a pixel spacing lies between {MIN_SPACING:g} and {MAX_SPACING:g} mm per pixel"
"""For the error messages about a spacing that is not plausible."""

SPACING_REMEDY = "Give the pixel spacing with --spacing 0.105, or calibrate on the page."
"""What to do where sizes are in pixels."""


def pixels_note(reason: str, count: str = "") -> str:
    """Format why sizes are in pixels, and what to do. count: of what, such as "2 lesions"."""
    return f"Sizes are in pixels: {reason}{f' ({count})' if count else ''}. {SPACING_REMEDY}"


class Spacing(NamedTuple):
    """Millimetres per pixel, kept apart for rows and columns."""

    row: float
    column: float


def plausible(values: Iterable[float]) -> bool:
    """Return whether all values can be a pixel spacing in mm: MIN_SPACING to MAX_SPACING."""
    return all(MIN_SPACING <= value <= MAX_SPACING for value in values)


def parse_spacing(text: str) -> Spacing:
    """Parse "0.08", or "0.08,0.1" (row, column), in millimetres per pixel.

    Raises ValueError unless `text` is one or two numbers from MIN_SPACING to MAX_SPACING.
    """
    values = [float(part) for part in text.split(",")]
    if len(values) > 2 or not plausible(values):
        raise ValueError(text)
    return Spacing(values[0], values[-1])


class Box(NamedTuple):
    """An upright rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int

    def meets(self, other: Box) -> bool:
        """Whether the two share a pixel."""
        return (
            self.top < other.top + other.height
            and other.top < self.top + self.height
            and self.left < other.left + other.width
            and other.left < self.left + self.width
        )

    def holds(self, other: Box) -> bool:
        """Whether every pixel of the other is in this one."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and other.top + other.height <= self.top + self.height
            and other.left + other.width <= self.left + self.width
        )


Origin = str
"""The source of a spacing: "file", "given" (by a person, --spacing), "table" (of spacings) or "none";
"region, " and the RULES by which a region that breaks the standard was used nevertheless; or CALIBRATED."""

CALIBRATED = "calibrated by "
"""Beginning of the origin of a spacing that a reader measured on the page; then come who, and for what."""


def by_person(origin: Origin) -> bool:
    """Return whether a person gave the spacing: it overrides the file's, and applies to the whole frame."""
    return origin in ("given", "table") or origin.startswith(CALIBRATED)


RULES = {
    "clipped by one pixel": "the region ends one pixel beyond the frame and was clipped",
    "absolute value of a negative delta": "the physical delta is negative, its absolute value was used",
    "colour flow": "no region shows tissue, that of the colour flow was used",
    "confirmed by PixelSpacing (cropped frame)": "the region leaves the frame, which was cropped; "
    "PixelSpacing and the size of the scan that is seen confirm its deltas",
    "implausible depth": "the region is more than 400 mm deep, which ultrasound does not reach, so the "
    "calibration may be wrong",
}
"""Rules by which a region's spacing was accepted, each with its caution."""


def cautions(origin: Origin) -> list[str]:
    """Return what to be cautious of in a spacing of this origin, for example "... was clipped"."""
    rules = origin.split(", ")[1:] if origin.startswith("region, ") else []
    return [caution for rule, caution in RULES.items() if rule in rules]


class LocalSpacing(NamedTuple):
    """The pixel spacing at a position, its origin, and the reason where it is unknown."""

    spacing: Spacing | None
    origin: Origin
    reason: str


@dataclass(frozen=True)
class Region:
    """An ultrasound region of a frame: its box in pixels, and its spacing or the reason without one.

    rules: of RULES, by which the spacing was accepted.
    """

    box: Box
    spacing: Spacing | None
    reason: str = ""
    rules: tuple[str, ...] = ()


def region_origin(regions: Iterable[Region]) -> Origin:
    """Return the origin of a spacing in which these regions agree."""
    rules = dict.fromkeys(rule for region in regions for rule in region.rules)
    return ", ".join(("region", *rules)) if rules else "file"


UNKNOWN = "the file carries no calibration"


@dataclass(frozen=True)
class Calibration:
    """The pixel spacing of one frame and its regions (DICOM PS3.3, C.8.5.5).

    spacing: mm per pixel of the whole frame, or None where it is unknown or differs between regions.
    origin: of the spacing. reason: why there is no spacing for the whole frame; "" where there is one.
    regions: the ultrasound regions that a file describes; empty for a raster image.
    """

    spacing: Spacing | None = None
    origin: Origin = "none"
    reason: str = UNKNOWN
    regions: tuple[Region, ...] = ()

    @classmethod
    def of(cls, spacing: Spacing | None, origin: Origin = "given", reason: str = UNKNOWN) -> Calibration:
        """One spacing for the whole frame, or none with a reason. Raises InputError if implausible."""
        if spacing is None:
            return cls(reason=reason)
        if not plausible(spacing):
            raise InputError(
                f"invalid pixel spacing {tuple(spacing)} mm: {SPACING_RANGE}",
                remedy="Give two such numbers (row, column), or None where the spacing is unknown",
            )
        return cls(Spacing(*spacing), origin, "")

    @property
    def whole(self) -> LocalSpacing:
        """The pixel spacing of the whole frame."""
        return LocalSpacing(self.spacing, self.origin if self.spacing else "none", self.reason)

    def at(self, box: Box) -> LocalSpacing:
        """The pixel spacing of a lesion with this box.

        A spacing given by a person applies everywhere. Otherwise that of the region around the lesion
        applies; a lesion across regions has a spacing only where theirs agree, one outside every region has
        none.
        """
        if by_person(self.origin) or not self.regions:
            return self.whole
        met = [region for region in self.regions if region.box.meets(box)]
        inside = [region for region in met if region.box.holds(box)]
        if len(inside) == 1:
            met = inside
        elif not _covered(box, [region.box for region in met]):
            return LocalSpacing(None, "none", "the lesion leaves the calibrated region")
        for region in met:
            if region.spacing is None:
                return LocalSpacing(None, "none", region.reason)
        first = met[0].spacing
        assert first is not None
        if all(
            region.spacing is not None and np.allclose(region.spacing, first, rtol=1e-3) for region in met
        ):
            return LocalSpacing(first, region_origin(met), "")
        return LocalSpacing(None, "none", "the lesion lies across regions of different spacing")


UNCALIBRATED = Calibration()


def _covered(box: Box, boxes: list[Box]) -> bool:
    seen = np.zeros((box.height, box.width), dtype=bool)
    for other in boxes:
        top, left = max(0, other.top - box.top), max(0, other.left - box.left)
        bottom = max(0, other.top + other.height - box.top)
        right = max(0, other.left + other.width - box.left)
        seen[top:bottom, left:right] = True
    return bool(seen.all())
