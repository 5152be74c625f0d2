"""Post-processing: specks, holes, low-probability lesions, the largest; by examples and by properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sonoseg.errors import ShapeError
from sonoseg.inference.postprocessing import postprocess
from sonoseg.model.card import Postprocessing

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
OPTIONS = st.builds(
    Postprocessing,
    min_area=st.floats(0, 0.5),
    fill_holes=st.booleans(),
    min_mean_probability=st.sampled_from([0, 0.6, 0.8]),
    min_relative_probability=st.sampled_from([0, 0.7, 0.9, 1]),
    keep_largest=st.booleans(),
)


def cleaned_of(mask: np.ndarray, options: Postprocessing) -> np.ndarray:
    """Post-processed, with probabilities that differ from column to column."""
    return postprocess(mask, np.linspace(0.5, 1, mask.size, dtype=np.float32).reshape(mask.shape), options)


def drawn(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


RING = drawn("#####..", "#...#..", "#.#.#.#", "#...#..", "#####..")


def test_holes_are_filled_and_specks_removed() -> None:
    cleaned = cleaned_of(RING, Postprocessing(min_area=0.05, fill_holes=True))
    assert np.array_equal(cleaned, drawn(*["#####.."] * 5))


def test_each_step_alone() -> None:
    nothing = Postprocessing(min_area=0, fill_holes=False)
    assert np.array_equal(cleaned_of(RING, nothing), RING)
    specks = cleaned_of(RING, Postprocessing(min_area=2 / 35, fill_holes=False))
    assert np.array_equal(specks, drawn("#####..", "#...#..", "#...#..", "#...#..", "#####.."))
    largest = cleaned_of(RING, Postprocessing(min_area=0, fill_holes=False, keep_largest=True))
    assert np.array_equal(largest, specks)


def test_the_area_limit_is_a_share_of_the_image_and_inclusive() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[0, :3] = True
    assert cleaned_of(mask, Postprocessing(min_area=0.03)).sum() == 3
    assert cleaned_of(mask, Postprocessing(min_area=0.031)).sum() == 0


def test_corners_join_a_lesion_but_let_no_background_out() -> None:
    diagonal = drawn(".#.", "#.#", ".#.")
    filled = cleaned_of(diagonal, Postprocessing(min_area=4 / 9, fill_holes=True))
    assert np.array_equal(filled, drawn(".#.", "###", ".#."))


def test_a_bay_at_the_border_is_not_a_hole() -> None:
    bay = drawn("#.#", "#.#", "###")
    assert np.array_equal(cleaned_of(bay, Postprocessing(min_area=0)), bay)


@given(MASKS, OPTIONS)
def test_properties(mask: np.ndarray, options: Postprocessing) -> None:
    before = mask.copy()
    cleaned = cleaned_of(mask, options)
    assert np.array_equal(mask, before)  # the input is not touched
    assert cleaned.dtype == bool
    assert cleaned.shape == mask.shape
    assert np.array_equal(cleaned_of(cleaned, options), cleaned)  # done twice is done once
    labels, count = ndimage.label(cleaned, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel())[1:]
    assert (areas >= options.min_area * mask.size).all()
    if options.keep_largest:
        assert count <= 1
    if options.fill_holes:
        assert not (ndimage.binary_fill_holes(cleaned) & ~cleaned).any()
    else:
        assert not (cleaned & ~mask).any()  # nothing is added
    if (
        options.min_area == 0
        and not options.keep_largest
        and not options.min_relative_probability
        and not options.min_mean_probability
    ):
        assert not (mask & ~cleaned).any()  # nothing is lost


def test_a_lesion_of_low_relative_probability_is_removed() -> None:
    mask = drawn("##..##", "##..##", "......", "#.....")
    probability = np.where(mask, 0.9, 0.1).astype(np.float32)
    probability[:2, 4:], probability[3, 0] = 0.8, 0.89
    for share, left in ((0, 9), (0.88, 9), (0.9, 5), (0.99, 4), (1, 4)):
        options = Postprocessing(min_area=0, min_relative_probability=share)
        assert postprocess(mask, probability, options).sum() == left
    # By the mean, not by the peak; and a single lesion stays, however low its probability.
    probability[0, 4] = 0.99
    options = Postprocessing(min_area=0, min_relative_probability=0.98)
    assert postprocess(mask, probability, options).sum() == 5
    alone = drawn("......", "......", "......", "#.....")
    assert postprocess(alone, probability, Postprocessing(min_area=0, min_relative_probability=1)).sum() == 1


def test_a_lesion_of_low_mean_probability_is_removed_even_alone() -> None:
    mask = drawn("##..##", "##..##")
    probability = np.where(mask, 0.9, 0.1).astype(np.float32)
    probability[:, 4:] = 0.7
    for least, left in ((0, 8), (0.65, 8), (0.75, 4), (0.95, 0)):
        options = Postprocessing(min_area=0, min_mean_probability=least)
        assert postprocess(mask, probability, options).sum() == left


def test_a_removed_speck_is_no_reference() -> None:
    mask = drawn("##..#", "##...")
    probability = np.where(mask, 0.6, 0.1).astype(np.float32)
    probability[0, 4] = 1
    kept = postprocess(mask, probability, Postprocessing(min_area=0.2, min_relative_probability=0.9))
    assert np.array_equal(kept, drawn("##...", "##..."))


def test_probabilities_of_another_size_are_refused() -> None:
    with pytest.raises(ShapeError, match="differ in shape"):
        postprocess(RING, np.zeros((2, 2), dtype=np.float32), Postprocessing())


@given(MASKS, st.sampled_from([0.5, 0.9, 1.0]))
def test_equally_probable_lesions_stay_together(mask: np.ndarray, share: float) -> None:
    options = Postprocessing(min_area=0, fill_holes=False, min_relative_probability=share)
    assert np.array_equal(postprocess(mask, np.full(mask.shape, 0.7, dtype=np.float32), options), mask)


@given(MASKS, OPTIONS)
def test_rotating_the_image_rotates_the_result(mask: np.ndarray, options: Postprocessing) -> None:
    several = options.model_copy(update={"keep_largest": False})  # of equals, which is kept depends on order
    ramp = np.linspace(0.5, 1, mask.size, dtype=np.float32).reshape(mask.shape)
    turned = postprocess(np.rot90(mask), np.rot90(ramp), several)
    assert np.array_equal(turned, np.rot90(postprocess(mask, ramp, several)))


def test_the_probability_limits_are_inclusive() -> None:
    mask = drawn("##..##", "##..##")
    probability = np.where(mask, 0.75, 0.1).astype(np.float32)
    for least, left in ((0.75, 8), (0.7501, 0)):
        options = Postprocessing(min_area=0, min_mean_probability=least)
        assert postprocess(mask, probability, options).sum() == left
    probability[:, 4:] = 0.375  # exactly half of the other
    for share, left in ((0.5, 8), (0.5001, 4)):
        options = Postprocessing(min_area=0, min_relative_probability=share)
        assert postprocess(mask, probability, options).sum() == left


def test_of_two_largest_the_first_from_the_top_stays() -> None:
    mask = drawn("....##", "......", "##....")
    kept = postprocess(mask, np.ones(mask.shape, np.float32), Postprocessing(min_area=0, keep_largest=True))
    assert np.array_equal(kept, drawn("....##", "......", "......"))
