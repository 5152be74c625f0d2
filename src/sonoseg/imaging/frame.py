"""A Frame: one grey ultrasound picture with what is known of its geometry and origin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import InputError, ShapeError


class Spacing(NamedTuple):
    """Millimetres per pixel, kept apart for rows and columns."""

    row: float
    column: float


@dataclass(frozen=True, eq=False)
class Frame:
    """One grey picture.

    pixels: uint8 (H, W), display values, 0 black.
    spacing: mm per pixel along rows and columns, or None where the file carries none (never a guess).
    source: the file it came from, or None.
    name: how results name it; the file's stem by default, "image" without a file.
    index: the frame's number in a clip, from 0; None for a still.
    """

    pixels: NDArray[np.uint8]
    spacing: Spacing | None = None
    source: Path | None = None
    name: str = ""
    index: int | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype != np.uint8 or 0 in self.pixels.shape:
            raise ShapeError(
                f"a Frame needs uint8 pixels of shape (H, W), got {self.pixels.dtype} {self.pixels.shape}",
                where=self.source,
                remedy="Read pictures with sonoseg.read_frame, or convert to 8-bit grey",
            )
        if self.spacing is not None and not all(np.isfinite(s) and s > 0 for s in self.spacing):
            raise InputError(
                f"a spacing of {tuple(self.spacing)} mm per pixel",
                where=self.source,
                remedy="Give two positive numbers, or None where the spacing is unknown",
            )
        if not self.name:
            object.__setattr__(self, "name", self.source.stem if self.source else "image")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape
        return height, width
