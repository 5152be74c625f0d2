"""Blanking."""

from __future__ import annotations

import numpy as np

from sonoseg.dicom.reading.burned_in_text import blank_outside
from sonoseg.image.calibration import Box


def test_only_what_a_box_holds_is_kept() -> None:
    pixels = np.full((10, 12), 7, dtype=np.uint8)
    kept = blank_outside(pixels, [Box(2, 3, 4, 5), Box(5, 6, 3, 2)])
    expected = np.zeros_like(pixels)
    expected[2:6, 3:8] = expected[5:8, 6:8] = 7
    assert np.array_equal(kept, expected)
    assert (pixels == 7).all()  # the frame that was given is untouched
