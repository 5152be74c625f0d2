"""Echo level of a lesion relative to the tissue around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.image.calibration import Box
from sonoseg.image.components import grow_box
from sonoseg.lesions.birads import EchoLevel
from sonoseg.lesions.surroundings import Surroundings

ANECHOIC, ISOECHOIC = 0.2, 0.15
"""Limits of the ratio of the lesion's grey to the ring's: anechoic up to the first; isoechoic within the
second of 1. Our choice: displays differ in gain and dynamic range, and the atlas compares with fat, where
this rule compares with the surrounding tissue."""


def echo_of(
    around: Surroundings, mask: NDArray[np.bool_], box: Box, reach: tuple[float, float]
) -> tuple[float | None, EchoLevel | None]:
    """Measure the echo level against the ring around the lesion: contrast in grey levels, and BI-RADS
    category.

    The contrast is the median grey of the lesion minus that of the ring, -255..255. The ring is the tissue
    within a quarter of the equivalent diameter beside and above the lesion, along rows and columns, without
    the innermost tenth of that (at least one pixel), where the margin is blurred; the tissue below the lesion
    is excluded, since it shows enhancement or shadowing. The category follows the ratio of the medians: up to
    ANECHOIC anechoic, then hypoechoic; within ISOECHOIC of 1 isoechoic; above hyperechoic.

    mask: bool (h, w), the lesion within its box. reach: its equivalent diameter in pixels (rows, columns).
    None and None where the ring has less than a quarter of the lesion's pixels, or is black.
    """
    steps = [max(3, round(length / 4)) for length in reach]
    gaps = [max(1, round(length / 40)) for length in reach]
    width = around.pixels.shape[1]
    top, left = max(0, box.top - steps[0]), max(0, box.left - steps[1])
    bottom, right = box.top + box.height, min(width, box.left + box.width + steps[1])
    window = np.s_[top:bottom, left:right]
    lesion = np.zeros((bottom - top, right - left), dtype=bool)
    lesion[box.top - top :, box.left - left : box.left - left + box.width] = mask
    ring = grow_box(lesion, *steps) & ~grow_box(lesion, *gaps) & around.tissue[window]
    outside = around.pixels[window][ring]
    pixels = int(mask.sum())
    if len(outside) < max(8, pixels / 4):
        return None, None
    inside = around.pixels[window][lesion.astype(bool)]
    lesion_grey, ring_grey = float(np.median(inside)), float(np.median(outside))
    return lesion_grey - ring_grey, _category(lesion_grey, ring_grey)


def _category(lesion_grey: float, ring_grey: float) -> EchoLevel | None:
    if ring_grey < 1:
        return None
    ratio = lesion_grey / ring_grey
    if ratio <= ANECHOIC:
        return EchoLevel.ANECHOIC
    if ratio < 1 - ISOECHOIC:
        return EchoLevel.HYPOECHOIC
    return EchoLevel.ISOECHOIC if ratio <= 1 + ISOECHOIC else EchoLevel.HYPERECHOIC
