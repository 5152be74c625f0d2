"""The checks of the arrays that metrics take."""

from __future__ import annotations

import numpy as np
import pytest

from sonoseg.errors import ShapeError
from sonoseg.metrics._check import ROUNDING, as_mask, as_probability


def test_a_probability_just_outside_of_its_range_is_clipped() -> None:
    assert ROUNDING == 1e-5
    values = np.array([[-1e-5, 0.25, 1 + 1e-5]])
    assert as_probability(values, (1, 3)).tolist() == [[0.0, 0.25, 1.0]]
    assert as_probability(np.array([[0.25, 1 + 1e-5]]), (1, 2)).tolist() == [[0.25, 1.0]]
    assert as_probability(np.array([[-1e-5, 0.25]]), (1, 2)).tolist() == [[0.0, 0.25]]


@pytest.mark.parametrize("value", [-1.1e-5, 1 + 1.1e-5, 2.0, float("nan")])
def test_a_probability_outside_of_its_range_is_refused(value: float) -> None:
    with pytest.raises(ShapeError):
        as_probability(np.array([[0.5, value]]), (1, 2))


def test_probabilities_of_0_and_1_may_be_integers() -> None:
    values = as_probability(np.array([[0, 1]]), (1, 2))
    assert values.dtype == np.float32
    assert values.tolist() == [[0.0, 1.0]]


def test_a_mask_is_two_dimensional_and_all_but_zero_is_lesion() -> None:
    assert as_mask(np.array([[0, 1, 255, -1]]), "true").tolist() == [[False, True, True, True]]
    for shape in ((3,), (1, 2, 3), (0, 3)):
        with pytest.raises(ShapeError):
            as_mask(np.zeros(shape), "true")
