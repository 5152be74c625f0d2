"""What is known of a frame's scale: its scan regions, each with its spacing or the reason why it has none."""

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
"""Who says the spacing: the file itself, a person (--spacing), a table of spacings, or nobody."""


class Scale(NamedTuple):
    """The spacing that holds at one place, who says so, and why there is none where there is none."""

    spacing: Spacing | None
    origin: Origin
    reason: str


@dataclass(frozen=True)
class Region:
    """One region of a frame: its box in pixels, and its spacing or the reason why it has none."""

    box: Box
    spacing: Spacing | None
    reason: str = ""


UNKNOWN = "the file carries no calibration"


@dataclass(frozen=True)
class Calibration:
    """The scale of one frame.

    spacing: mm per pixel of the whole frame, or None where it has none or differs from region to region.
    origin: who says so.
    reason: why there is no spacing for the whole frame; "" where there is one.
    regions: the scan regions that a file describes; empty for a plain image.
    """

    spacing: Spacing | None = None
    origin: Origin = "none"
    reason: str = UNKNOWN
    regions: tuple[Region, ...] = ()

    @classmethod
    def of(cls, spacing: Spacing | None, origin: Origin = "given", reason: str = UNKNOWN) -> Calibration:
        """One spacing for the whole frame, or none for the stated reason. Raises InputError for a bad one."""
        if spacing is None:
            return cls(reason=reason)
        if not all(np.isfinite(value) and value > 0 for value in spacing):
            raise InputError(
                f"a spacing of {tuple(spacing)} mm per pixel",
                remedy="Give two positive numbers, or None where the spacing is unknown",
            )
        return cls(Spacing(*spacing), origin, "")

    def at(self, box: Box) -> Scale:
        """The scale of a lesion with this box.

        What a person gave holds everywhere. Else the region that holds the lesion says it; a lesion across
        regions has a spacing only where they agree, and one that leaves every region has none.
        """
        if self.origin in ("given", "table") or not self.regions:
            return Scale(self.spacing, self.origin if self.spacing else "none", self.reason)
        met = [region for region in self.regions if region.box.meets(box)]
        inside = [region for region in met if region.box.holds(box)]
        if len(inside) == 1:
            met = inside
        elif not _covered(box, [region.box for region in met]):
            return Scale(None, "none", "the lesion leaves the calibrated region")
        for region in met:
            if region.spacing is None:
                return Scale(None, "none", region.reason)
        first = met[0].spacing
        assert first is not None
        if all(
            region.spacing is not None and np.allclose(region.spacing, first, rtol=1e-3) for region in met
        ):
            return Scale(first, "file", "")
        return Scale(None, "none", "the lesion lies across regions of different spacing")


UNCALIBRATED = Calibration()


def _covered(box: Box, boxes: list[Box]) -> bool:
    seen = np.zeros((box.height, box.width), dtype=bool)
    for other in boxes:
        top, left = max(0, other.top - box.top), max(0, other.left - box.left)
        bottom = max(0, other.top + other.height - box.top)
        right = max(0, other.left + other.width - box.left)
        seen[top:bottom, left:right] = True
    return bool(seen.all())
