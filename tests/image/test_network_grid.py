"""Grid: to the network and back without moving anything."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoseg.image.network_grid import Fit, Grid

FITS = st.sampled_from(["stretch", "letterbox"])
SIDES = st.integers(1, 300)
SIZES = st.integers(1, 96)


def disc(shape: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


@given(SIDES, SIDES, SIZES, FITS)
def test_shapes_and_types_whatever_the_sides(height: int, width: int, size: int, fit: Fit) -> None:
    grid = Grid((height, width), size, fit)
    small = grid.to_network(np.full((height, width), 7, dtype=np.uint8))
    assert small.shape == (size, size)
    assert small.dtype == np.uint8
    mask = grid.mask_to_network(np.ones((height, width), dtype=bool))
    assert mask.shape == (size, size)
    assert mask.dtype == bool
    back = grid.from_network(np.zeros((size, size), dtype=np.float32))
    assert back.shape == (height, width)
    assert back.dtype == np.float32


@given(SIDES, SIDES, SIZES, FITS)
def test_the_box_lies_inside_and_keeps_the_aspect(height: int, width: int, size: int, fit: Fit) -> None:
    top, left, rows, columns = Grid((height, width), size, fit).box
    assert top >= 0
    assert left >= 0
    assert rows >= 1
    assert columns >= 1
    assert top + rows <= size
    assert left + columns <= size
    if fit == "stretch":
        assert (rows, columns) == (size, size)
    else:
        assert max(rows, columns) == size
        scale = size / max(height, width)
        assert abs(rows - max(1, height * scale)) <= 0.5 + 1e-9
        assert abs(columns - max(1, width * scale)) <= 0.5 + 1e-9
        assert abs((size - rows) - 2 * top) <= 1  # centred
        assert abs((size - columns) - 2 * left) <= 1


@given(SIDES, SIDES, SIZES, FITS, st.integers(0, 255))
def test_a_flat_image_stays_flat(height: int, width: int, size: int, fit: Fit, value: int) -> None:
    grid = Grid((height, width), size, fit)
    small = grid.to_network(np.full((height, width), value, dtype=np.uint8))
    top, left, rows, columns = grid.box
    assert (small[top : top + rows, left : left + columns] == value).all()
    border = small.copy()
    border[top : top + rows, left : left + columns] = 0
    assert not border.any()


@given(SIDES, SIDES, SIZES, FITS, st.integers(0, 2**32 - 1))
def test_a_probability_stays_within_its_range(
    height: int, width: int, size: int, fit: Fit, seed: int
) -> None:
    values = np.random.default_rng(seed).random((size, size), dtype=np.float32)
    back = Grid((height, width), size, fit).from_network(values)
    assert back.min() >= values.min() - 1e-6
    assert back.max() <= values.max() + 1e-6


@settings(max_examples=40, deadline=None)
@given(
    st.integers(80, 300),
    st.integers(80, 300),
    FITS,
    st.floats(0.3, 0.7),
    st.floats(0.3, 0.7),
    st.floats(0.1, 0.25),
)
def test_a_disc_comes_back_where_it_was(
    height: int, width: int, fit: Fit, down: float, right: float, radius: float
) -> None:
    grid = Grid((height, width), 128, fit)
    mask = disc((height, width), (down * height, right * width), radius * min(height, width))
    small = grid.mask_to_network(mask)
    back = grid.from_network(small.astype(np.float32)) >= 0.5
    overlap = 2 * (mask & back).sum() / (mask.sum() + back.sum())
    assert overlap > 0.9
    for axis in (0, 1):
        was, now = (np.nonzero(m)[axis].mean() for m in (mask, back))
        assert abs(was - now) < 1.0  # no half-cell drift


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("turn", [np.fliplr, np.flipud])
def test_flips_commute_with_the_way_there_and_back(fit: Fit, turn: object) -> None:
    assert callable(turn)
    # 88 rows become 40: an even rest, so that the letterbox is centred to the pixel
    pixels = np.random.default_rng(1).integers(0, 256, (88, 140), dtype=np.uint8)
    grid = Grid((88, 140), 64, fit)
    there = grid.to_network(pixels)
    assert np.array_equal(grid.to_network(turn(pixels).copy()), turn(there))
    probability = np.random.default_rng(2).random((64, 64), dtype=np.float32)
    back = grid.from_network(probability)
    assert np.allclose(grid.from_network(turn(probability).copy()), turn(back), atol=1e-6)


def test_letterbox_cuts_its_black_borders_away() -> None:
    grid = Grid((50, 100), 64, "letterbox")
    probability = np.full((64, 64), 1.0, dtype=np.float32)
    top, _, rows, _ = grid.box
    probability[top : top + rows] = 0.0  # only the borders are lesion
    assert not grid.from_network(probability).any()


def test_equal_sizes_change_nothing() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64), dtype=np.uint8)
    grid = Grid((64, 64), 64)
    assert np.array_equal(grid.to_network(pixels), pixels)
    probability = pixels.astype(np.float32) / 255
    assert np.array_equal(grid.from_network(probability), probability)


def test_a_cell_is_lesion_where_half_of_it_is() -> None:
    mask = np.zeros((64, 64), dtype=bool)
    mask[:, :32] = True
    small = Grid((64, 64), 8).mask_to_network(mask)
    assert small[:, :4].all()
    assert not small[:, 4:].any()
    shares = [
        Grid((60, 60), 6).mask_to_network(np.arange(60)[None, :].repeat(60, 0) < n).sum() for n in range(61)
    ]
    assert all(a <= b for a, b in pairwise(shares))
