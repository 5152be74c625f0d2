"""Frame: what it accepts, what it is called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sonoseg.errors import InputError, ShapeError
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame

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
