"""Post-processing: specks, holes, the largest; by examples and by properties."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sonoseg.inference.postprocess import postprocess
from sonoseg.model.card import Postprocessing

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
OPTIONS = st.builds(
    Postprocessing, min_area=st.floats(0, 0.5), fill_holes=st.booleans(), keep_largest=st.booleans()
)


def drawn(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


RING = drawn("#####..", "#...#..", "#.#.#.#", "#...#..", "#####..")


def test_holes_are_filled_and_specks_removed() -> None:
    cleaned = postprocess(RING, Postprocessing(min_area=0.05, fill_holes=True))
    assert np.array_equal(cleaned, drawn(*["#####.."] * 5))


def test_each_step_alone() -> None:
    nothing = Postprocessing(min_area=0, fill_holes=False)
    assert np.array_equal(postprocess(RING, nothing), RING)
    specks = postprocess(RING, Postprocessing(min_area=2 / 35, fill_holes=False))
    assert np.array_equal(specks, drawn("#####..", "#...#..", "#...#..", "#...#..", "#####.."))
    largest = postprocess(RING, Postprocessing(min_area=0, fill_holes=False, keep_largest=True))
    assert np.array_equal(largest, specks)


def test_the_area_limit_is_a_share_of_the_picture_and_inclusive() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[0, :3] = True
    assert postprocess(mask, Postprocessing(min_area=0.03)).sum() == 3
    assert postprocess(mask, Postprocessing(min_area=0.031)).sum() == 0


def test_corners_join_a_lesion_but_let_no_background_out() -> None:
    diagonal = drawn(".#.", "#.#", ".#.")
    filled = postprocess(diagonal, Postprocessing(min_area=4 / 9, fill_holes=True))
    assert np.array_equal(filled, drawn(".#.", "###", ".#."))


def test_a_bay_at_the_border_is_no_hole() -> None:
    bay = drawn("#.#", "#.#", "###")
    assert np.array_equal(postprocess(bay, Postprocessing(min_area=0)), bay)


@given(MASKS, OPTIONS)
def test_properties(mask: np.ndarray, options: Postprocessing) -> None:
    before = mask.copy()
    cleaned = postprocess(mask, options)
    assert np.array_equal(mask, before)  # the input is not touched
    assert cleaned.dtype == bool
    assert cleaned.shape == mask.shape
    assert np.array_equal(postprocess(cleaned, options), cleaned)  # done twice is done once
    labels, count = ndimage.label(cleaned, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel())[1:]
    assert (areas >= options.min_area * mask.size).all()
    if options.keep_largest:
        assert count <= 1
    if options.fill_holes:
        assert not (ndimage.binary_fill_holes(cleaned) & ~cleaned).any()
    else:
        assert not (cleaned & ~mask).any()  # nothing is added
    if options.min_area == 0 and not options.keep_largest:
        assert not (mask & ~cleaned).any()  # nothing is lost


@given(MASKS, OPTIONS)
def test_turning_the_picture_turns_the_answer(mask: np.ndarray, options: Postprocessing) -> None:
    several = options.model_copy(update={"keep_largest": False})  # of equals, which is kept depends on order
    assert np.array_equal(postprocess(np.rot90(mask), several), np.rot90(postprocess(mask, several)))
