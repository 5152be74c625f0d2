"""Arrays become grey by the same rules as files (test_read.py tests the images)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sonoseg.errors import ShapeError
from sonoseg.image.grey import grey_array, grey_image

SIDES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)


@given(hnp.arrays(np.uint8, SIDES))
def test_grey_uint8_is_kept(values: np.ndarray) -> None:
    assert np.array_equal(grey_array(values), values)
    assert np.array_equal(grey_array(values[:, :, None]), values)
    assert np.array_equal(grey_array(np.repeat(values[:, :, None], 3, axis=2)), values)
    assert grey_array(values.T).flags.c_contiguous


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([3, 4]))))
def test_colour_arrays_are_what_pillow_sees(values: np.ndarray) -> None:
    assert np.array_equal(grey_array(values), grey_image(Image.fromarray(values)))


@given(hnp.arrays(st.sampled_from([np.int16, np.uint16, np.int64, np.float32, np.float64]), SIDES))
def test_other_numbers_are_scaled_in_order(values: np.ndarray) -> None:
    grey = grey_array(values)
    assert grey.dtype == np.uint8
    assert grey.shape == values.shape
    real = values.astype(np.float64)
    finite = np.isfinite(real)
    assert not grey[~finite].any()
    order = np.argsort(real[finite], kind="stable")
    assert (np.diff(grey[finite][order].astype(int)) >= 0).all()


def test_the_whole_range_is_used() -> None:
    assert grey_array(np.array([[-1.0, 0.0, 1.0]])).tolist() == [[0, 128, 255]]
    assert grey_array(np.array([[False, True]])).tolist() == [[0, 255]]
    assert grey_array(np.full((2, 2), 3.5)).tolist() == [[0, 0], [0, 0]]


def test_a_range_that_overflows_is_black_not_a_fault() -> None:
    with np.errstate(over="ignore"):
        assert grey_array(np.array([[-1.7e308, 1.7e308]])).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(5, np.uint8),
        np.zeros((0, 5), np.uint8),
        np.zeros((5, 5, 2), np.uint8),
        np.zeros((5, 5, 3), np.float32),
        np.zeros((5, 5), np.complex64),
        np.array([["a"]]),
    ],
)
def test_what_is_no_image_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="is not an image"):
        grey_array(values)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_signalling_nan_becomes_black_without_a_warning() -> None:
    values = np.array([[0.0, 1.0, 2.0]], np.float32)
    values.view(np.uint32)[0, 1] = 0x7F800001
    assert grey_array(values).tolist() == [[0, 0, 255]]
