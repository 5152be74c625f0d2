"""Borders and run lengths give the mask back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco
from scipy import ndimage

from sonoseg.errors import ShapeError
from sonoseg.image.contours import contours, fill, run_lengths, simplify

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


@settings(deadline=None)
@given(MASKS)
def test_filling_the_borders_gives_the_mask_back(mask: np.ndarray) -> None:
    assert np.array_equal(fill(contours(mask), mask.shape), mask)


@settings(deadline=None)
@given(MASKS)
def test_there_is_one_outer_border_a_lesion_and_one_a_hole(mask: np.ndarray) -> None:
    found = contours(mask)
    assert sum(not one.hole for one in found) == ndimage.label(mask, structure=np.ones((3, 3)))[1]
    outside = np.pad(~mask, 1, constant_values=True)
    assert sum(one.hole for one in found) == ndimage.label(outside)[1] - 1


@settings(deadline=None)
@given(MASKS)
def test_run_lengths_give_the_mask_back(mask: np.ndarray) -> None:
    encoded = coco.frPyObjects({"size": list(mask.shape), "counts": run_lengths(mask)}, *mask.shape)
    assert np.array_equal(coco.decode(encoded), mask)


def test_only_corners_are_kept_clockwise_from_the_outer_corner() -> None:
    mask = np.zeros((6, 8), dtype=bool)
    mask[1:4, 2:7] = True
    (border,) = contours(mask)
    assert border.points.tolist() == [[2, 1], [7, 1], [7, 4], [2, 4]]
    assert not border.hole


def test_a_hole_is_one() -> None:
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 2] = False
    outer, hole = contours(mask)
    assert (outer.hole, hole.hole) == (False, True)
    assert sorted(map(tuple, hole.points.tolist())) == [(2, 2), (2, 3), (3, 2), (3, 3)]


def test_nothing_has_no_border() -> None:
    assert contours(np.zeros((3, 4), dtype=bool)) == []
    assert run_lengths(np.zeros((3, 4), dtype=bool)) == [12]


@settings(deadline=None, max_examples=30)
@given(st.floats(6, 40), st.floats(6, 40), st.floats(0, 3.14), st.sampled_from([0.5, 0.75, 1.0, 2.0]))
def test_a_simplified_border_stays_within_its_tolerance(
    long: float, short: float, turn: float, tolerance: float
) -> None:
    rows, columns = np.mgrid[:100, :100] - 50.3
    u = rows * np.cos(turn) + columns * np.sin(turn)
    v = columns * np.cos(turn) - rows * np.sin(turn)
    mask = (u / long) ** 2 + (v / short) ** 2 < 1
    (exact,), (rough,) = contours(mask), contours(mask, tolerance=tolerance)
    # Stairs of one long tread a row have nothing to give at half a pixel.
    assert 3 <= len(rough.points) <= len(exact.points)
    if tolerance >= 1:
        assert len(rough.points) < len(exact.points)
    # Every corner of the exact border lies near a side of the simplified one.
    begin, end = rough.points, np.roll(rough.points, -1, axis=0)
    along = end - begin
    share = ((exact.points[:, None] - begin) * along).sum(-1) / (along**2).sum(-1)
    near = begin + np.clip(share, 0, 1)[..., None] * along
    distances = np.hypot(*np.moveaxis(exact.points[:, None] - near, -1, 0)).min(axis=1)
    assert distances.max() <= tolerance + 1e-9
    differ = fill([rough], mask.shape) ^ mask
    reach = ndimage.binary_dilation(mask, iterations=3) & ~ndimage.binary_erosion(mask, iterations=3)
    assert not (differ & ~reach).any()


def test_tiny_polygons_are_left_alone() -> None:
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float)
    assert simplify(square, 5).tolist() == square.tolist()
    bar = contours(np.ones((1, 30), dtype=bool) & True, tolerance=3)[0]
    assert len(bar.points) == 4


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError):
        contours(np.zeros((2, 2, 2), dtype=bool))
