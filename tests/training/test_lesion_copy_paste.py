"""Removed lesions are gone from image and mask, inserted ones are in both; the rest is untouched."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter, label

from sonoseg.training.lesion_copy_paste import (
    DEPTH,
    FEATHER,
    RIM,
    SMALLEST,
    Pair,
    insert_lesions,
    remove_lesions,
)

SIDE = 96
TISSUE, LESION = 140, 40
SEEDS = st.integers(0, 2**31)
BOXES = st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(2, 40), st.integers(2, 40))
REACH = int(np.ceil((RIM[1] + FEATHER) * SIDE)) + 1


def scene(box: tuple[int, int, int, int] | None, seed: int = 0) -> Pair:
    """Grey tissue with a little grain, and one dark box as its lesion."""
    grain = gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE)), 1)
    pixels, mask = TISSUE + 3 * grain / grain.std(), np.zeros((SIDE, SIDE), dtype=np.uint8)
    if box is not None:
        top, left, height, width = box
        mask[top : top + height, left : left + width] = 1
    pixels[mask > 0] = LESION
    return np.rint(pixels).astype(np.uint8), mask


def lender(box: tuple[int, int, int, int] | None) -> Callable[[np.random.Generator], Pair]:
    """Draws the same image each time, read-only as the prepared arrays are."""
    pair = scene(box, seed=1)
    for part in pair:
        part.flags.writeable = False
    return lambda random: pair


def near(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels that pasting this shape may change."""
    return np.asarray(binary_dilation(mask > 0, np.ones((3, 3)), iterations=REACH))


@given(BOXES, SEEDS)
def test_a_lesion_is_removed_whole_or_stays_whole(box: tuple[int, int, int, int], seed: int) -> None:
    pixels, mask = scene(box)
    before, true = pixels.copy(), mask.copy()
    remove_lesions(pixels, mask, lender(None), np.random.default_rng(seed))
    if mask.any():
        assert np.array_equal(mask, true)
        assert (pixels[true > 0] == LESION).all()
    else:
        assert pixels[true > 0].min() > TISSUE - 30
        assert np.array_equal(pixels[~near(true)], before[~near(true)])


@pytest.mark.process
def test_half_of_the_grafts_lie_over_healthy_tissue() -> None:
    ends = []
    for seed in range(400):
        pixels, mask = scene((40, 30, 14, 18))
        before = pixels.copy()
        remove_lesions(pixels, mask, lender(None), np.random.default_rng(seed))
        ends.append("removed" if not mask.any() else "decoy" if (pixels != before).any() else "left")
    assert ends.count("removed") / len(ends) == pytest.approx(0.5, abs=0.07)
    assert ends.count("decoy") / len(ends) == pytest.approx(0.5, abs=0.07)


def test_tissue_keeps_to_its_depth() -> None:
    """Rows of an image whose grey is its depth: what replaces a lesion comes from about as deep."""
    for seed in range(40):
        mask = scene((40, 30, 10, 12))[1]
        true = mask.copy()
        pixels = np.repeat(np.arange(80, 80 + SIDE, dtype=np.uint8)[:, None], SIDE, axis=1)
        before = pixels.astype(int)
        remove_lesions(pixels, mask, lender(None), np.random.default_rng(seed))
        if not mask.any():
            # Brightness is matched along the seam, so what is left of a shift is small.
            assert np.abs(pixels - before)[true > 0].max() <= DEPTH * SIDE + 1


@pytest.mark.parametrize(("change", "own"), [(remove_lesions, (40, 50, 12, 12)), (insert_lesions, None)])
def test_black_is_neither_copied_nor_replaced(
    change: Callable[..., None], own: tuple[int, int, int, int] | None
) -> None:
    for seed in range(60):
        pixels, mask = scene(own)
        pixels[:, :30] = 0
        change(pixels, mask, lender((20, 40, 12, 16)), np.random.default_rng(seed))
        # Pieces may reach a little into the border, by no more than a fiftieth of their area.
        assert (pixels[:, :26] == 0).all()
        assert not mask[:, :26].any()
        assert pixels[:, 32:].min() >= LESION // 2


def test_a_normal_takes_a_graft_and_stays_one() -> None:
    changed = 0
    for seed in range(20):
        pixels, mask = scene(None)
        before = pixels.copy()
        remove_lesions(pixels, mask, lender((30, 30, 15, 20)), np.random.default_rng(seed))
        assert not mask.any()
        changed += bool((pixels != before).any())
    assert changed == 20


@given(BOXES, SEEDS)
@example((0, 1, 3, 2), 5349)  # two pixels made one, half of it tissue
def test_an_inserted_lesion_is_in_image_and_mask(other: tuple[int, int, int, int], seed: int) -> None:
    pixels, mask = scene(None)
    before = pixels.copy()
    insert_lesions(pixels, mask, lender(other), np.random.default_rng(seed))
    assert np.array_equal(pixels[~near(mask)], before[~near(mask)])
    if mask.any():
        # A place counts as lesion from half its area on: those at the border are half tissue.
        assert pixels[mask > 0].mean() < (TISSUE + LESION) / 2 + 30


@given(BOXES, SEEDS)
def test_a_image_with_a_lesion_gets_no_other(own: tuple[int, int, int, int], seed: int) -> None:
    pixels, mask = scene(own)
    before, true = pixels.copy(), mask.copy()
    insert_lesions(pixels, mask, lender((30, 30, 15, 20)), np.random.default_rng(seed))
    assert np.array_equal(pixels, before)
    assert np.array_equal(mask, true)


@pytest.mark.process
def test_inserted_lesions_are_no_larger_than_their_own_size() -> None:
    areas = []
    for seed in range(200):
        pixels, mask = scene(None)
        insert_lesions(pixels, mask, lender((30, 30, 20, 24)), np.random.default_rng(seed))
        if mask.any():
            assert label(mask)[1] == 1
            areas.append(mask.sum() / (20 * 24))
    assert len(areas) > 150
    assert min(areas) >= SMALLEST**2 * 0.8
    assert max(areas) <= 1.05
    assert np.mean(np.array(areas) < 0.5) == pytest.approx(0.62, abs=0.12)  # log-uniform in the side


@pytest.mark.parametrize("change", [remove_lesions, insert_lesions])
def test_without_a_lesion_to_take_nothing_happens(change: Callable[..., None]) -> None:
    pixels, mask = scene(None)
    before = pixels.copy()
    change(pixels, mask, lender(None), np.random.default_rng(0))
    assert np.array_equal(pixels, before)
    assert not mask.any()


@pytest.mark.parametrize("change", [remove_lesions, insert_lesions])
def test_a_lesion_that_fills_the_image_leaves_no_room(change: Callable[..., None]) -> None:
    pixels, mask = scene((2, 2, 92, 92))
    before = pixels.copy()
    change(pixels, mask, lender((2, 2, 92, 92)), np.random.default_rng(0))
    assert np.array_equal(pixels, before)
