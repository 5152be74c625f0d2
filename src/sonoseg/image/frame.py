"""A Frame: one grey ultrasound image with its pixel spacing and source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import InputError, ShapeError
from sonoseg.image.calibration import UNCALIBRATED, Calibration, Spacing


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
    """

    pixels: NDArray[np.uint8]
    spacing: Spacing | None = None
    source: Path | None = None
    name: str = ""
    index: int | None = None
    calibration: Calibration = UNCALIBRATED
    kind: Literal["raster", "dicom"] = "raster"

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
