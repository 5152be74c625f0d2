"""Overlap: the formulas, their bounds and the policy for empty masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sonoseg.errors import ShapeError
from sonoseg.metrics import overlap
from sonoseg.metrics.overlap import ConfusionCounts, best_threshold, confusion, dice_at_thresholds, pooled


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))
    return draw(arrays(np.bool_, shape)), draw(arrays(np.bool_, shape))


TRUE = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], dtype=bool)
PREDICTED = np.array([[0, 1, 1, 0], [0, 1, 0, 0]], dtype=bool)
EMPTY = np.zeros((2, 4), dtype=bool)


def test_a_pair_counted_by_hand() -> None:
    counts = confusion(TRUE, PREDICTED)
    assert counts == ConfusionCounts(tp=2, fp=1, fn=2, tn=3)
    assert counts.dice == pytest.approx(4 / 7)
    assert counts.iou == pytest.approx(2 / 5)
    assert counts.precision == pytest.approx(2 / 3)
    assert counts.recall == pytest.approx(2 / 4)
    assert counts.pixel_accuracy == pytest.approx(5 / 8)


@pytest.mark.parametrize("name", ["dice", "iou", "precision", "recall", "pixel_accuracy"])
def test_each_function_is_the_counts_property(name: str) -> None:
    assert getattr(overlap, name)(TRUE, PREDICTED) == getattr(confusion(TRUE, PREDICTED), name)


@pytest.mark.parametrize("name", ["dice", "iou", "precision", "recall"])
def test_a_missed_lesion_scores_zero(name: str) -> None:
    assert getattr(overlap, name)(TRUE, EMPTY) == 0.0


@pytest.mark.parametrize("name", ["dice", "iou", "precision", "recall"])
@pytest.mark.parametrize("predicted", [EMPTY, PREDICTED])
def test_without_a_true_lesion_there_is_no_score(name: str, predicted: np.ndarray) -> None:
    assert math.isnan(getattr(overlap, name)(EMPTY, predicted))


def test_pixel_accuracy_is_defined_on_a_normal_image() -> None:
    assert overlap.pixel_accuracy(EMPTY, EMPTY) == 1.0
    assert overlap.pixel_accuracy(EMPTY, PREDICTED) == pytest.approx(5 / 8)


@given(pairs())
def test_counts_add_up_and_scores_stay_in_bounds(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, predicted = pair
    counts = confusion(true, predicted)
    assert counts.tp + counts.fp + counts.fn + counts.tn == true.size
    assert counts.tp + counts.fn == true.sum()
    assert counts.tp + counts.fp == predicted.sum()
    assert 0.0 <= counts.pixel_accuracy <= 1.0
    if true.any():
        for score in (counts.dice, counts.iou, counts.precision, counts.recall):
            assert 0.0 <= score <= 1.0
        assert counts.iou <= counts.dice
        assert counts.dice == pytest.approx(2 * counts.iou / (1 + counts.iou))


@given(pairs())
def test_dice_and_iou_are_symmetric_between_lesions(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, predicted = pair
    assume(true.any() and predicted.any())
    assert overlap.dice(true, predicted) == overlap.dice(predicted, true)
    assert overlap.iou(true, predicted) == overlap.iou(predicted, true)
    assert overlap.precision(true, predicted) == overlap.recall(predicted, true)


@given(pairs())
def test_a_mask_agrees_with_itself(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, _ = pair
    assume(true.any())
    assert overlap.dice(true, true) == overlap.iou(true, true) == 1.0


@pytest.mark.process
@given(st.lists(pairs(), min_size=1, max_size=4))
def test_pooling_is_scoring_the_pixels_side_by_side(many: list[tuple[np.ndarray, np.ndarray]]) -> None:
    true = np.concatenate([t.ravel() for t, _ in many])[None]
    predicted = np.concatenate([p.ravel() for _, p in many])[None]
    assert pooled(confusion(t, p) for t, p in many) == confusion(true, predicted)


def test_pooling_nothing_has_no_dice() -> None:
    assert math.isnan(pooled([]).dice)


def test_masks_of_any_kind_are_read_as_not_zero() -> None:
    assert confusion(TRUE.astype(np.uint8) * 255, PREDICTED.astype(float)) == confusion(TRUE, PREDICTED)


@pytest.mark.parametrize("shape", [(2, 5), (8,), (1, 2, 4), (0, 4)])
def test_shapes_that_differ_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"has shape"):
        confusion(TRUE, np.zeros(shape, dtype=bool))


@given(
    pairs(),
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.7, 0.9]), min_size=1, unique=True).map(sorted),
)
def test_dice_at_thresholds_is_dice_at_each(
    pair: tuple[np.ndarray, np.ndarray], seed: int, thresholds: list[float]
) -> None:
    true, _ = pair
    # Steps of 0.1 put many probabilities exactly on a threshold.
    probability = np.random.default_rng(seed).integers(0, 11, true.shape).astype(np.float32) / np.float32(10)
    found = dice_at_thresholds(true, probability, np.array(thresholds))
    for threshold, score in zip(thresholds, found, strict=True):
        expected = overlap.dice(true, probability >= np.float32(threshold))
        assert score == pytest.approx(expected, nan_ok=True)


def test_thresholds_must_rise_and_probabilities_be_probabilities() -> None:
    with pytest.raises(ShapeError, match="ascending"):
        dice_at_thresholds(TRUE, np.zeros((2, 4)), np.array([0.5, 0.4]))
    with pytest.raises(ShapeError, match="sigmoid"):
        dice_at_thresholds(TRUE, np.full((2, 4), 3.0), np.array([0.5]))
    with pytest.raises(ShapeError, match="without NaN"):
        dice_at_thresholds(TRUE, np.full((2, 4), np.nan), np.array([0.5]))
    with pytest.raises(ShapeError, match="grid"):
        dice_at_thresholds(TRUE, np.zeros((4, 4)), np.array([0.5]))


def test_the_best_threshold_is_the_nearest_to_one_half_of_equals() -> None:
    thresholds = np.array([0.2, 0.4, 0.7, 0.9])
    assert best_threshold(thresholds, np.array([0.8, 0.7, 0.8, 0.1])) == 0.7
    assert best_threshold(thresholds, np.array([0.8, 0.8 - 1e-9, 0.3, 0.1])) == 0.4  # equal but for rounding


def test_the_thresholds_of_a_sweep() -> None:
    assert overlap.THRESHOLDS.tolist() == [step / 100 for step in range(10, 95, 5)]


def test_the_best_threshold_is_of_equal_scores_the_nearest_to_a_half() -> None:
    steps = np.array([0.1, 0.45, 0.6, 0.9])
    assert best_threshold(steps, np.array([0.8, 0.8, 0.8, 0.8])) == 0.45
    assert best_threshold(steps, np.array([0.8, 0.8, 0.8 + 4e-7, 0.7])) == 0.45  # equal to six decimals
    assert best_threshold(steps, np.array([0.8, 0.8, 0.8 + 6e-6, 0.7])) == 0.6


@pytest.mark.parametrize("steps", [[0.5, 0.5], [0.6, 0.5], [[0.5, 0.6]]])
def test_thresholds_ascend_each_once(steps: list[Any]) -> None:
    with pytest.raises(ShapeError):
        dice_at_thresholds(np.ones((2, 2)), np.ones((2, 2)), np.array(steps))
