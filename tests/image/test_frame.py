"""Frame: what it accepts, what it is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sonoseg.errors import InputError, ShapeError
from sonoseg.image.calibration import Box, Calibration, Region, Spacing
from sonoseg.image.frame import MIN_CONTRAST, NO_CONTRAST, Frame

PIXELS = np.zeros((4, 6), dtype=np.uint8)


def test_shape_is_height_then_width() -> None:
    assert Frame(PIXELS).shape == (4, 6)


def test_name_comes_from_the_source_unless_given() -> None:
    assert Frame(PIXELS).name == "image"
    assert Frame(PIXELS, source=Path("ward/scan 1.png")).name == "scan 1"
    assert Frame(PIXELS, source=Path("ward/scan 1.png"), name="other").name == "other"


@given(
    hnp.arrays(
        dtype=st.sampled_from([np.uint8, np.uint16, np.int8, np.float32, np.bool_]),
        shape=hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
    )
)
def test_only_grey_uint8_with_pixels_is_accepted(pixels: np.ndarray) -> None:
    if pixels.ndim == 2 and pixels.dtype == np.uint8 and pixels.size:
        assert Frame(pixels).shape == pixels.shape
    else:
        with pytest.raises(ShapeError, match="uint8 pixels of shape"):
            Frame(pixels)


@given(st.floats() | st.floats(0.0005, 11), st.floats() | st.floats(0.0005, 11))
def test_spacing_is_plausible_or_refused(row: float, column: float) -> None:
    if all(0.001 <= s <= 10 for s in (row, column)):
        assert Frame(PIXELS, Spacing(row, column)).spacing == (row, column)
    else:
        with pytest.raises(InputError, match="spacing"):
            Frame(PIXELS, Spacing(row, column), Path("scan.png"))


def test_a_refused_frame_names_its_file() -> None:
    with pytest.raises(ShapeError, match=r"scan\.png"):
        Frame(np.zeros((4, 6, 3), dtype=np.uint8), source=Path("scan.png"))


def test_contrast_is_that_of_the_scan() -> None:
    """Text, noise, and what lies outside of the regions do not count."""
    pixels = np.random.default_rng(4).integers(0, 4, (60, 80)).astype(np.uint8)
    assert not Frame(pixels).has_contrast
    assert not Frame(np.full((60, 80), 40, np.uint8)).has_contrast
    pixels[:3, :10] = 255
    assert Frame(pixels).warnings == (NO_CONTRAST,)
    pixels[20:40] += 16
    assert Frame(pixels).has_contrast
    outside = Calibration(regions=(Region(Box(0, 20, 20, 60), None, "none"),))
    assert not Frame(pixels, calibration=outside).has_contrast
    both = Calibration(regions=(*outside.regions, Region(Box(10, 0, 40, 80), None, "none")))
    assert Frame(pixels, calibration=both).warnings == ()


def test_irregularities_come_before_a_lack_of_contrast() -> None:
    frame = Frame(np.zeros((20, 20), np.uint8), irregularities=("odd",))
    assert frame.warnings == ("odd", NO_CONTRAST)
    assert MIN_CONTRAST == 16
