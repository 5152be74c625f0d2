"""Shape: known values, ranges that hold for every mask, and lobes that lower it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sonoseg.lesions.outline import outline, smooth_outline
from sonoseg.lesions.shape import ShapeMeasures, shape_of

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)).filter(np.any)


def shape(mask: np.ndarray) -> ShapeMeasures:
    return shape_of(smooth_outline(outline(mask)))


def star(lobes: int, height: float, radius: float = 60) -> np.ndarray:
    rows, columns = np.indices((161, 161)) - 80.0
    return np.asarray(
        np.hypot(rows, columns) <= radius * (1 + height * np.cos(lobes * np.arctan2(rows, columns)))
    )


def test_known_shapes() -> None:
    square = shape_of(np.array([[0.0, 0.0], [0.0, 5.0], [5.0, 5.0], [5.0, 0.0]]))
    assert square == pytest.approx((20, math.pi / 4, 1, 1))
    # A square with a square corner bitten out: area 3 of 4, hull 3.5, hull's perimeter 6 + the root of 2.
    bitten = shape_of(np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 2.0], [2.0, 1.0], [1.0, 1.0], [1.0, 0.0]]))
    assert bitten == pytest.approx((8, 4 * math.pi * 3 / 64, 3 / 3.5, (6 + math.sqrt(2)) / 8))


def test_a_disc_is_round_smooth_and_solid() -> None:
    disc = shape(star(0, 0))
    assert disc.perimeter == pytest.approx(2 * math.pi * 60, rel=0.01)
    assert all(value > 0.98 for value in disc[1:])


def test_lobes_and_spicules_lower_each_number() -> None:
    for higher, lower in ((star(0, 0), star(8, 0.05)), (star(8, 0.05), star(8, 0.15))):
        one, other = shape(higher), shape(lower)
        assert other.circularity < one.circularity - 0.03
        assert other.solidity < one.solidity - 0.01
        assert other.margin_smoothness < one.margin_smoothness - 0.005
    # Many small lobes roughen the margin though the lesion stays solid.
    fine = shape(star(24, 0.03))
    assert fine.solidity > 0.95
    assert fine.margin_smoothness < 0.95


@pytest.mark.process
@settings(max_examples=80, deadline=None)
@given(MASKS, st.floats(0.05, 2), st.floats(0.05, 2))
def test_the_ratios_keep_their_range_for_every_mask(mask: np.ndarray, down: float, right: float) -> None:
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    points = smooth_outline(outline(labels == labels[mask][0])) * (down, right)
    found = shape_of(points)
    assert all(0 < value <= 1 for value in found[1:])
    larger = shape_of(points * 3.7)
    assert larger.perimeter == pytest.approx(3.7 * found.perimeter)
    assert larger[1:] == pytest.approx(found[1:])
