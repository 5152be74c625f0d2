"""The angle to the skin line, and the word for it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.lesions.birads import Orientation
from sonoseg.lesions.orientation import OBLIQUE, ROUND, angle_to_skin, orientation_of


@given(st.floats(0, 360), st.floats(0.1, 100))
def test_the_angle_is_acute_and_the_same_from_both_ends(degrees: float, length: float) -> None:
    end = length * np.array([math.sin(math.radians(degrees)), math.cos(math.radians(degrees))])
    ends = np.stack([np.zeros(2), end])
    folded = degrees % 180
    assert angle_to_skin(ends) == pytest.approx(min(folded, 180 - folded), abs=1e-6)
    assert angle_to_skin(ends[::-1]) == pytest.approx(angle_to_skin(ends))


@pytest.mark.parametrize(
    ("width", "height", "longest", "across", "angle", "parallel"),
    [
        (20, 10, 20, 10, 0, True),  # lies along the skin
        (10, 20, 20, 10, 90, False),  # taller than wide
        (15, 15, 20, 10, 20, False),  # as tall as wide
        (20, 18.5, 20, 18.5, 0, False),  # round, though a little wider than tall
        (18, 12, 20, 10, OBLIQUE + 0.1, False),  # oblique, though wider than tall
        (18, 12, 20, 10, OBLIQUE, True),  # slightly oblique
        (20, 17, 20, 20 * ROUND - 0.01, 0, True),
    ],
)
def test_the_word(
    width: float, height: float, longest: float, across: float, angle: float, parallel: bool
) -> None:
    found = orientation_of(width, height, longest, across, angle)
    assert found == (Orientation.PARALLEL if parallel else Orientation.NOT_PARALLEL)


def test_the_limits() -> None:
    assert (OBLIQUE, ROUND) == (30.0, 0.9)
    assert orientation_of(20, 17, 20, 18, 0) == Orientation.NOT_PARALLEL  # round from exactly 0.9
    assert orientation_of(18, 12, 20, 10, 30.0) == Orientation.PARALLEL  # oblique above exactly 30
