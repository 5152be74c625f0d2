"""Callipers and text drawn into a phantom, as sonographers leave them in the images they save."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sonoseg.data.phantoms.outline import Outline
from sonoseg.data.phantoms.spec import PhantomSpec

_TEXTS = ("RT BREAST", "LT BREAST", "LEFT 2 OCLOCK", "RIGHT UOQ", "RETROAREOLAR")


def draw_marks(pixels: NDArray[np.uint8], spec: PhantomSpec, outline: Outline | None) -> NDArray[np.uint8]:
    """A copy of `pixels` (H, W) with callipers at the longest axis and a line of text."""
    rng = spec.rng(6)
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    height, width = pixels.shape
    place = (float(rng.uniform(0.03, 0.6)) * width, float(rng.uniform(0.78, 0.93)) * height)
    pen.text(place, str(rng.choice(_TEXTS)), fill=235)
    if outline is not None:
        ends = [_pixel(spec, end) for end in outline.longest_chord()]
        _dots(pen, ends[0], ends[1])
        for end in ends:
            _cross(pen, end)
        length = outline.longest_axis / 10
        pen.text((0.7 * width, 0.94 * height), f"1 L {length:.2f} cm", fill=235)
    return np.asarray(image)


def _pixel(spec: PhantomSpec, place: tuple[float, float]) -> tuple[float, float]:
    top, _, _, left = spec.border
    return place[1] / spec.spacing.column + left, place[0] / spec.spacing.row + top


def _cross(pen: ImageDraw.ImageDraw, place: tuple[float, float], arm: int = 6) -> None:
    x, y = place
    pen.line((x - arm, y, x + arm, y), fill=245)
    pen.line((x, y - arm, x, y + arm), fill=245)


def _dots(
    pen: ImageDraw.ImageDraw, start: tuple[float, float], end: tuple[float, float], gap: float = 5.0
) -> None:
    count = max(2, int(np.hypot(end[0] - start[0], end[1] - start[1]) / gap))
    for t in np.linspace(0, 1, count):
        pen.point((start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])), fill=210)
