"""Uncertainty: its range, its order, the band, and referral."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sonoseg.errors import ShapeError, UsageError
from sonoseg.image.frame import Frame
from sonoseg.inference import uncertainty as module
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.uncertainty import (
    image_uncertainty,
    lesion_uncertainty,
    refer,
    uncertainty_band,
)

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
PROBABILITIES = hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32))
THRESHOLDS = st.floats(0.05, 0.95)


def slope(
    top: float, left: float, radius: float, soft: float, shape: tuple[int, int] = (60, 80)
) -> np.ndarray:
    """A round lesion as a probability (H, W) that falls from 1 to 0 over about 4 * soft pixels."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    reach = (np.hypot(rows - top, columns - left) - radius) / soft
    return (1 / (1 + np.exp(np.clip(reach, -60, 60)))).astype(np.float32)


@given(PROBABILITIES, THRESHOLDS)
def test_uncertainty_is_between_0_and_1(probability: np.ndarray, threshold: float) -> None:
    mask = probability >= threshold
    for value in (
        image_uncertainty(probability, mask, threshold),
        lesion_uncertainty(probability, mask, threshold),
    ):
        assert 0 <= value <= 1


def test_uncertainty_is_one_minus_the_dice_of_the_quartile_masks() -> None:
    probability = slope(30, 40, 12, 3)
    inner, outer = probability >= 0.75, probability >= 0.25
    wanted = 1 - 2 * inner.sum() / (inner.sum() + outer.sum())
    for threshold in (0.3, 0.5, 0.7):  # whichever mask lies between them
        assert image_uncertainty(probability, probability >= threshold, threshold) == pytest.approx(wanted)
    wide = image_uncertainty(probability, probability >= 0.05, 0.05)  # a threshold below the quartile
    assert wide > wanted + 0.05


def test_a_blurred_outline_is_more_uncertain_than_a_sharp_one() -> None:
    values = [
        image_uncertainty(p, p >= 0.5, 0.5) for p in (slope(30, 40, 12, soft) for soft in (0.2, 1, 3, 6))
    ]
    assert values == sorted(values)
    assert values[0] < 0.05
    assert values[-1] > 0.4


def test_without_a_lesion_uncertainty_follows_the_highest_probability() -> None:
    nothing = np.zeros((40, 50), bool)
    values = [
        image_uncertainty(np.full((40, 50), p, np.float32), nothing, 0.4) for p in (0.0, 0.1, 0.2, 0.4, 0.9)
    ]
    assert values == pytest.approx([0.5, 0.625, 0.75, 1, 1])


def test_lesion_uncertainty_depends_on_its_surroundings_only() -> None:
    sharp, blurred = slope(30, 18, 9, 0.2), slope(30, 60, 9, 3)
    both = np.maximum(sharp, blurred)
    one, other = (p >= 0.5 for p in (sharp, blurred))
    assert lesion_uncertainty(both, one, 0.5) == pytest.approx(lesion_uncertainty(sharp, one, 0.5), abs=0.02)
    assert lesion_uncertainty(both, other, 0.5) == pytest.approx(
        lesion_uncertainty(blurred, other, 0.5), abs=0.02
    )
    assert lesion_uncertainty(both, one, 0.5) < image_uncertainty(both, one | other, 0.5)


def test_the_uncertainty_of_a_single_lesion_is_the_images() -> None:
    probability = slope(30, 40, 10, 1)
    mask = probability >= 0.5
    assert lesion_uncertainty(probability, mask, 0.5) == pytest.approx(
        image_uncertainty(probability, mask, 0.5), abs=1e-3
    )
    assert lesion_uncertainty(probability, np.zeros_like(mask), 0.5) == 1


@given(PROBABILITIES, THRESHOLDS, st.floats(0.05, 0.5), st.floats(0.5, 0.95))
def test_the_band_encloses_the_mask(
    probability: np.ndarray, threshold: float, low: float, high: float
) -> None:
    mask = probability >= threshold
    inner, outer = uncertainty_band(probability, mask, threshold, low=low, high=high)
    assert inner.dtype == outer.dtype == bool
    assert not (inner & ~mask).any()
    assert not (mask & ~outer).any()
    wider = uncertainty_band(probability, mask, threshold, low=low / 2, high=(1 + high) / 2)
    assert not (wider[0] & ~inner).any()
    assert not (outer & ~wider[1]).any()
    assert mask.any() or not outer.any()


def test_the_band_is_as_wide_as_the_slope() -> None:
    probability = slope(30, 40, 15, 2)
    probability[0, 0] = 0.3  # a faint speck far away is no place for the contour
    inner, outer = uncertainty_band(probability, probability >= 0.5, 0.5)
    across = [int(mask[30].sum()) for mask in (inner, outer)]
    # logit(0.9) = 2.2 on either side, times 2 pixels of softness
    assert across == pytest.approx([2 * (15 - 4.4), 2 * (15 + 4.4)], abs=2)
    assert not outer[0, 0]
    with pytest.raises(UsageError, match="out of range"):
        uncertainty_band(probability, inner, 0.5, low=0.9, high=0.1)


def test_a_segmentation_has_its_uncertainty() -> None:
    probability = slope(30, 40, 12, 2)
    mask = probability >= 0.4
    found = Segmentation(Frame(np.zeros((60, 80), np.uint8)), probability, mask, mask, 0.4, None, "m", "r")
    assert found.uncertainty == image_uncertainty(probability, mask, 0.4)
    inner, outer = found.uncertainty_band()
    assert inner.sum() < mask.sum() < outer.sum()


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=30), st.floats(0, 1))
def test_the_most_uncertain_are_referred(values: list[float], share: float) -> None:
    chosen = refer(values, share)
    assert chosen == refer(values, share)
    assert len(set(chosen)) == len(chosen)
    assert share * len(values) - 1e-6 <= len(chosen) < share * len(values) + 1
    known = [2.0 if value != value else value for value in values]  # NaN: nothing is known
    rest = [known[place] for place in range(len(values)) if place not in chosen]
    assert not chosen or not rest or min(known[place] for place in chosen) >= max(rest)


def test_of_equal_uncertainties_the_first_is_referred() -> None:
    assert refer([0.2, 0.7, 0.2, 0.7, 0.2], 0.2) == [1]
    assert refer([0.2, 0.7, 0.2, 0.7, 0.2], 0.6) == [1, 3, 0]
    assert refer([0.5] * 500, 0.2) == list(range(100))
    assert refer([], 0.5) == []
    assert refer([0.1], 0.0) == []
    with pytest.raises(UsageError, match="share 20"):
        refer([0.1], 20)


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="one grid"):
        image_uncertainty(np.zeros((3, 4)), np.zeros((4, 3), bool), 0.5)


def test_the_levels() -> None:
    assert (module.LOWER, module.UPPER) == (0.25, 0.75)
    assert module.NOTHING_FOUND == 0.5
