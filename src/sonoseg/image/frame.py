"""A Frame: one grey ultrasound image with its pixel spacing and source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import InputError, ShapeError
from sonoseg.image.calibration import UNCALIBRATED, Calibration, Spacing
from sonoseg.image.grey import grey_range

MIN_CONTRAST = 16
"""Fewest grey levels between the 1st and the 99th percentile of a scan. The flattest of the 780
images of BUSI has 122, of the 1,875 of BUS-BRA 69."""

NO_CONTRAST = "the image has hardly any contrast (black or of one grey): it cannot be assessed"


@dataclass(frozen=True, eq=False)
class Frame:
    """One grey image.

    pixels: uint8 (H, W), display values, 0 black.
    spacing: mm per pixel along rows and columns of the whole frame, or None where the file carries none
        (it is never guessed) or its regions differ: then `calibration` has the spacing at each position.
    source: the file it came from, or None.
    name: its name in results; the file's stem by default, "image" without a file.
    index: the frame's number in a clip, from 0; None for a still.
    calibration: the spacing with its regions and origin; by default made from `spacing`.
    kind: of the source: a raster image (or none), or a DICOM file, whose attributes writers read again.
    irregularities: what is uncertain about how the file was read, as messages.
    """

    pixels: NDArray[np.uint8]
    spacing: Spacing | None = None
    source: Path | None = None
    name: str = ""
    index: int | None = None
    calibration: Calibration = UNCALIBRATED
    kind: Literal["raster", "dicom"] = "raster"
    irregularities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.uint8 or 0 in self.pixels.shape:
            raise ShapeError(
                f"a Frame needs uint8 pixels of shape (H, W), got {self.pixels.dtype} {self.pixels.shape}",
                where=self.source,
                remedy="Read images with sonoseg.read_frame, or convert to 8-bit grey",
            )
        if self.spacing is not None and self.spacing != self.calibration.spacing:
            try:
                object.__setattr__(self, "calibration", Calibration.of(self.spacing))
            except InputError as error:
                raise InputError(error.found, where=self.source, remedy=error.remedy) from None
        object.__setattr__(self, "spacing", self.calibration.spacing)
        if not self.name:
            object.__setattr__(self, "name", self.source.stem if self.source else "image")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape
        return height, width

    @cached_property
    def has_contrast(self) -> bool:
        """Whether the scan is more than black or one grey.

        The scan are the pixels of the ultrasound regions, or all without any.
        """
        boxes = [region.box for region in self.calibration.regions]
        parts = [self.pixels[top : top + height, left : left + width] for top, left, height, width in boxes]
        return any(grey_range(part) >= MIN_CONTRAST for part in parts or [self.pixels])

    @property
    def warnings(self) -> tuple[str, ...]:
        """The messages that results carry: irregularities, and a lack of contrast."""
        return self.irregularities if self.has_contrast else (*self.irregularities, NO_CONTRAST)
