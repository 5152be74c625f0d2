"""Borders walked along pixel sides: closed, every side once, the lesion on the right hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sonoseg.image.mask_border import STEPS, walks

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(MASKS)
def test_every_side_is_walked_once_with_the_lesion_on_the_right(mask: np.ndarray) -> None:
    padded = np.pad(mask, 1)
    walked = set()
    for corners, ways in walks(mask):
        ends = corners + STEPS[ways]
        assert np.array_equal(ends, np.roll(corners, -1, axis=0))  # closed, without a gap
        for (row, column), way in zip((corners + 1).tolist(), ways.tolist(), strict=True):
            right = [(row, column), (row, column - 1), (row - 1, column - 1), (row - 1, column)][way]
            left = [(row - 1, column), (row, column), (row, column - 1), (row - 1, column - 1)][way]
            assert padded[right]
            assert not padded[left]
            assert (row, column, way) not in walked
            walked.add((row, column, way))
    sides = sum(int((padded ^ np.roll(padded, 1, axis)).sum()) for axis in (0, 1))
    assert len(walked) == sides


@given(MASKS)
def test_the_areas_add_up_to_the_mask(mask: np.ndarray) -> None:
    total = 0.0
    for corners, ways in walks(mask):
        # Twice the area to the left of upward and downward steps (Green), clockwise counting as positive.
        step = STEPS[ways]
        total += float((corners[:, 1] * step[:, 0]).sum())
    assert total == mask.sum()


def test_the_first_walk_is_the_outer_one_from_the_first_pixel() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:7, 3:8] = True
    mask[4, 5] = False
    outer, hole = walks(mask)
    assert outer.corners[0].tolist() == [2, 3]
    assert outer.ways[0] == 0
    assert len(outer.ways) == 20
    assert len(hole.ways) == 4
    assert walks(np.zeros((3, 3), dtype=bool)) == []


def test_pixels_that_touch_at_a_corner_have_one_border() -> None:
    (walk,) = walks(np.eye(2, dtype=bool))
    assert len(walk.ways) == 8
