"""Lesion detection: the rule of a hit, FROC, false positives on normal images."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from sonoseg.errors import ShapeError
from sonoseg.metrics.constants import SPECK_SHARE
from sonoseg.metrics.lesion_detection import (
    Candidates,
    Froc,
    area_share,
    candidates,
    components,
    froc,
    is_false_positive,
    match_lesions,
)


def image(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (100, 100)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    return mask


MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=10))


def test_pixels_that_touch_by_a_corner_are_one_component() -> None:
    labels, n = components(np.array([[1, 0, 0, 1], [0, 1, 0, 0]], dtype=bool))
    assert n == 2
    assert labels.tolist() == [[1, 0, 0, 2], [0, 1, 0, 0]]


def test_specks_are_left_out_but_never_the_largest() -> None:
    labels, n = components(image((0, 0, 1, 1), (10, 10, 20, 20), (50, 50, 1, 3)), min_share=5e-4)
    assert n == 1
    assert labels[15, 15] == 1
    assert labels[0, 0] == labels[50, 50] == 0
    assert components(image((5, 5, 1, 1)), min_share=0.5)[1] == 1
    assert components(image())[1] == components(image(), min_share=0.5)[1] == 0


@given(MASKS, st.floats(0.0, 0.6))
def test_components_partition_what_they_keep(mask: np.ndarray, min_share: float) -> None:
    labels, n = components(mask, min_share)
    assert set(np.unique(labels)) <= set(range(n + 1))
    assert not (labels[~mask] != 0).any()
    areas = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    assert (areas > 0).all()
    if min_share == 0.0:
        assert ((labels > 0) == mask).all()
    elif n > 1:
        assert (areas >= min_share * mask.size).all()


def test_found_missed_and_false() -> None:
    true = image((10, 10, 20, 20), (60, 60, 20, 20))
    match = match_lesions(true, image((12, 12, 20, 20), (10, 70, 10, 10), (90, 5, 5, 5)))
    assert match.found.tolist() == [True, False]
    assert (match.n_lesions, match.n_found, match.n_false_positives) == (2, 1, 2)
    assert match.sensitivity == 0.5


def test_the_rule_of_a_hit_is_a_dice_of_a_tenth_or_any_pixel() -> None:
    true, sliver = image((10, 10, 20, 20)), image((10, 10, 2, 10))  # Dice 2 * 20 / 420 = 0.095
    assert match_lesions(true, sliver).n_found == 0
    assert match_lesions(true, sliver).n_false_positives == 1
    assert match_lesions(true, sliver, rule="any").n_found == 1
    assert match_lesions(true, sliver, rule="any").n_false_positives == 0
    enough = image((10, 10, 2, 11))  # Dice 2 * 22 / 422 = 0.104
    assert match_lesions(true, enough).n_found == 1


def test_a_dice_of_exactly_the_minimum_is_a_hit() -> None:
    true, part = image((0, 0, 10, 19)), image((0, 0, 1, 10))  # Dice 2 * 10 / (190 + 10) = 0.1
    assert match_lesions(true, part).n_found == 1
    assert match_lesions(true, part, minimum=0.1001).n_found == 0
    half = image((0, 0, 10, 5)), image((0, 0, 5, 10))  # Dice 2 * 25 / 100 = 0.5
    assert match_lesions(*half, minimum=0.5).n_found == 1
    assert match_lesions(*half, minimum=0.51).n_found == 0
    apart = image((0, 0, 5, 5)), image((50, 50, 5, 5))
    assert match_lesions(*apart, minimum=0.0).n_found == 0  # without a shared pixel nothing is hit


def test_a_component_of_exactly_the_least_share_stays() -> None:
    mask = image((0, 0, 10, 10), (50, 50, 1, 10))  # the smaller is 10 of 10,000 pixels
    assert components(mask, min_share=0.001)[1] == 2
    assert components(mask, min_share=0.0011)[1] == 1


def test_one_component_may_hit_two_lesions_and_two_one() -> None:
    two = image((10, 10, 20, 20), (10, 35, 20, 20))
    bridge = image((10, 10, 20, 45))
    assert match_lesions(two, bridge).n_found == 2
    assert match_lesions(bridge, two).n_found == 1
    assert match_lesions(bridge, two).n_false_positives == 0


def test_an_annotation_speck_is_no_lesion() -> None:
    match = match_lesions(image((10, 10, 20, 20), (80, 80, 1, 1)), image((10, 10, 20, 20)), min_share=5e-4)
    assert (match.n_lesions, match.n_found) == (1, 1)


@pytest.mark.real
@pytest.mark.parametrize("name", ["benign (156)", "malignant (19)", "malignant (28)"])
def test_busis_specks_are_no_lesions(real_busi: Path, name: str) -> None:
    mask = np.asarray(Image.open(real_busi / name.split()[0] / f"{name}_mask.png").convert("L")) > 127
    assert components(mask)[1] > 1
    assert components(mask, SPECK_SHARE)[1] == 1


def test_empty_masks_by_the_policy() -> None:
    empty, lesion = image(), image((10, 10, 20, 20))
    missed = match_lesions(lesion, empty)
    assert (missed.n_found, missed.n_false_positives, missed.sensitivity) == (0, 0, 0.0)
    normal = match_lesions(empty, lesion)
    assert (normal.n_lesions, normal.n_false_positives) == (0, 1)
    assert math.isnan(normal.sensitivity)


@given(MASKS)
def test_a_mask_finds_all_of_itself(mask: np.ndarray) -> None:
    match = match_lesions(mask, mask, min_share=0.0)
    assert match.n_found == match.n_lesions == components(mask)[1]
    assert match.n_false_positives == 0


def test_candidates_carry_their_highest_probability() -> None:
    probability = np.zeros((100, 100), dtype=np.float32)
    probability[10:30, 10:30] = 0.4
    probability[15, 15] = 0.8
    probability[60:70, 60:70] = 0.3
    probability[90, 90] = 0.95
    true = image((10, 10, 20, 20), (40, 80, 15, 15))
    found = candidates(true, probability)
    assert found.lesions == pytest.approx([0.8, 0.0])
    assert sorted(found.false) == pytest.approx([0.3, 0.95])
    assert candidates(true, probability, min_area=2).false == pytest.approx([0.3])
    assert candidates(true, probability, threshold=0.35).false == pytest.approx([0.95])


def test_candidates_on_their_boundaries() -> None:
    probability = np.zeros((100, 100))
    probability[10, 10:15] = 0.5
    normal = image()
    assert candidates(normal, probability, threshold=0.5).false.tolist() == [0.5]
    assert candidates(normal, probability, threshold=0.51).false.size == 0
    assert candidates(normal, probability, min_area=5).false.tolist() == [0.5]
    assert candidates(normal, probability, min_area=5.5).false.size == 0
    assert candidates(normal, image((0, 0, 1, 1)).astype(float), threshold=1.0).false.tolist() == [1.0]


def test_candidates_on_empty_masks() -> None:
    nothing = candidates(image((1, 1, 5, 5)), np.zeros((100, 100)))
    assert nothing.lesions.tolist() == [0.0]
    assert nothing.false.size == 0
    normal = candidates(image(), image((1, 1, 5, 5)).astype(np.float32))
    assert normal.lesions.size == 0
    assert normal.false.tolist() == [1.0]


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1])
def test_a_candidate_threshold_lies_in_its_range(threshold: float) -> None:
    with pytest.raises(ShapeError, match="above 0"):
        candidates(image(), np.zeros((100, 100)), threshold=threshold)


def test_a_froc_by_hand() -> None:
    curve = froc([0.9, 0.5, 0.0, 0.7], [0.6, 0.9], n_images=4)
    assert curve.threshold.tolist() == [math.inf, 0.9, 0.7, 0.6, 0.5]
    assert curve.sensitivity.tolist() == [0.0, 0.25, 0.5, 0.5, 0.75]
    assert curve.fp_per_image.tolist() == [0.0, 0.25, 0.25, 0.5, 0.5]
    assert curve.sensitivity_at(0.25) == 0.5
    assert curve.sensitivity_at(10.0) == 0.75
    assert curve.sensitivity_at(0.0) == 0.0


FALSE = st.lists(st.floats(0.0, 1.0, exclude_min=True), max_size=12)
LESIONS = st.lists(st.just(0.0) | st.floats(0.0, 1.0), max_size=12)  # 0: no candidate hits it


@given(LESIONS, FALSE, st.integers(1, 5))
def test_a_froc_only_rises(lesions: list[float], false: list[float], n_images: int) -> None:
    curve = froc(lesions, false, n_images)
    assert curve.threshold.shape == curve.sensitivity.shape == curve.fp_per_image.shape
    assert (np.diff(curve.fp_per_image) >= 0).all()
    assert (np.diff(curve.threshold[1:]) < 0).all()
    assert curve.fp_per_image[-1] == pytest.approx(len(false) / n_images)
    if lesions:
        assert (np.diff(curve.sensitivity) >= 0).all()
        assert curve.sensitivity[-1] == pytest.approx(np.mean(np.array(lesions) > 0))
    else:
        assert np.isnan(curve.sensitivity).all()
        assert math.isnan(curve.sensitivity_at(1.0))


def test_a_froc_needs_images() -> None:
    with pytest.raises(ShapeError, match="one image or more"):
        froc([0.5], [], 0)


def test_a_false_positive_is_above_a_thousandth_of_the_area() -> None:
    assert area_share(image((0, 0, 2, 5))) == pytest.approx(0.001)
    assert not is_false_positive(image((0, 0, 2, 5)))
    assert is_false_positive(image((0, 0, 1, 11)))
    assert not is_false_positive(image())
    assert not is_false_positive(image((0, 0, 1, 11)), share=0.01)


def test_candidates_of_two_images_are_joined_by_concatenation() -> None:
    parts = [Candidates(np.array([0.9]), np.array([])), Candidates(np.array([]), np.array([0.95]))]
    curve = froc(
        np.concatenate([p.lesions for p in parts]), np.concatenate([p.false for p in parts]), len(parts)
    )
    assert curve.sensitivity_at(0.0) == 0.0
    assert curve.sensitivity_at(0.5) == 1.0


def test_one_shared_pixel_is_a_hit_of_any_pixel() -> None:
    true, touching = image((10, 10, 20, 20)), image((29, 29, 20, 20))
    assert match_lesions(true, touching, rule="any").n_found == 1
    assert match_lesions(true, touching).n_found == 0
    probability = np.where(touching, 0.9, 0.0)
    assert candidates(true, probability, rule="any").lesions.tolist() == [0.9]
    assert candidates(true, probability).lesions.tolist() == [0.0]


def test_a_speck_is_no_lesion_of_a_candidate() -> None:
    true = image((10, 10, 20, 20), (80, 80, 1, 3))
    probability = np.where(image((10, 10, 20, 20)), 0.9, 0.0)
    assert candidates(true, probability, min_share=5e-4).lesions.tolist() == [0.9]
    assert candidates(true, probability, min_share=0.0).lesions.tolist() == [0.9, 0.0]


def test_no_point_of_a_curve_within_the_allowed_false_positives() -> None:
    curve = Froc(np.array([0.5]), np.array([1.0]), np.array([2.0]))
    assert curve.sensitivity_at(1.0) == 0.0
    assert curve.sensitivity_at(2.0) == 1.0
