"""Pixel spacing of a frame, from its ultrasound regions or from outside, with its origin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from sonoseg.errors import InputError


class Spacing(NamedTuple):
    """Millimetres per pixel, kept apart for rows and columns."""

    row: float
    column: float


def parse_spacing(text: str) -> Spacing:
    """Parse "0.08", or "0.08,0.1" (row, column), in millimetres per pixel.

    Raises ValueError unless `text` is one or two positive numbers.
    """
    values = [float(part) for part in text.split(",")]
    if len(values) > 2 or not all(math.isfinite(value) and value > 0 for value in values):
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


Origin = Literal["file", "given", "table", "none"]
"""The source of a spacing: the file, a person (--spacing), a table of spacings, or none."""


class LocalSpacing(NamedTuple):
    """The pixel spacing at a position, its origin, and the reason where it is unknown."""

    spacing: Spacing | None
    origin: Origin
    reason: str


@dataclass(frozen=True)
class Region:
    """An ultrasound region of a frame: its box in pixels, and its spacing or the reason without one."""

    box: Box
    spacing: Spacing | None
    reason: str = ""


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
        """One spacing for the whole frame, or none with a reason. Raises InputError for an invalid one."""
        if spacing is None:
            return cls(reason=reason)
        if not all(np.isfinite(value) and value > 0 for value in spacing):
            raise InputError(
                f"invalid pixel spacing {tuple(spacing)} mm",
                remedy="Give two positive numbers, or None where the spacing is unknown",
            )
        return cls(Spacing(*spacing), origin, "")

    def at(self, box: Box) -> LocalSpacing:
        """The pixel spacing of a lesion with this box.

        A spacing given by a person applies everywhere. Otherwise that of the region around the lesion
        applies; a lesion across regions has a spacing only where theirs agree, one outside every region has
        none.
        """
        if self.origin in ("given", "table") or not self.regions:
            return LocalSpacing(self.spacing, self.origin if self.spacing else "none", self.reason)
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
            return LocalSpacing(first, "file", "")
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
