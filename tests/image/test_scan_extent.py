"""Where a scan is seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.image import scan_extent
from sonoseg.image.calibration import Box
from sonoseg.image.scan_extent import scan_box


def test_the_policy() -> None:
    assert (scan_extent.BLACK, scan_extent.LEAST_SHARE, scan_extent.GAP) == (16, 0.15, 0.05)


def test_a_black_frame_has_no_scan() -> None:
    assert scan_box(np.zeros((20, 30), np.uint8)) is None
    assert scan_box(np.full((20, 30), 16, np.uint8)) is None


@given(st.integers(0, 30), st.integers(0, 40), st.integers(70, 120), st.integers(70, 140))
def test_the_box_of_a_scan_on_black(top: int, left: int, height: int, width: int) -> None:
    pixels = np.full((160, 200), 9, np.uint8)
    pixels[top : top + height, left : left + width] = 60
    assert scan_box(pixels) == Box(top, left, height, width)


def test_a_ruler_and_text_beside_it_are_left_out() -> None:
    pixels = np.zeros((200, 300), np.uint8)
    pixels[20:140, 60:260] = 80
    pixels[20:140:20, 50:53] = 255  # ticks of the depth ruler
    pixels[180:188, 10:30] = 255  # a line of text
    pixels[60:140, 100:104] = 0  # an acoustic shadow
    assert scan_box(pixels) == Box(20, 60, 120, 200)
