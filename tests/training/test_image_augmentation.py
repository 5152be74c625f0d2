"""Windows and marks: lesions kept whole or left out whole, and the same draws for any number of processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sonoseg.training.drawn_marks import draw_marks
from sonoseg.training.image_augmentation import image_augmentation
from sonoseg.training.random_windows import LEAST, draw_window
from sonoseg.training.recipe import AugmentationOptions

SIDE = 96
SEEDS = st.integers(0, 2**31)


def scene(top: int, left: int, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A grey image and a mask with one box, uint8 (SIDE, SIDE)."""
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    mask[top : top + height, left : left + width] = 1
    return np.full((SIDE, SIDE), 90, dtype=np.uint8), mask


def noise(random: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An image to mix with or to take from, and its mask."""
    return random.integers(1, 256, (SIDE, SIDE), dtype=np.uint8), scene(60, 50, 12, 15)[1]


BOXES = st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(1, 60), st.integers(1, 60))


def large_enough(window: tuple[slice, slice]) -> bool:
    return all(span.stop - span.start >= round(LEAST * SIDE) for span in window)


@given(BOXES, SEEDS)
def test_an_erasing_window_holds_no_lesion_and_enough_tissue(
    box: tuple[int, int, int, int], seed: int
) -> None:
    _, mask = scene(*box)
    window = draw_window(mask, AugmentationOptions(erase=1), np.random.default_rng(seed))
    if window is not None:
        assert not mask[window].any()
        assert large_enough(window)


@given(BOXES, SEEDS)
def test_a_cropping_window_keeps_the_lesion_whole(box: tuple[int, int, int, int], seed: int) -> None:
    _, mask = scene(*box)
    window = draw_window(mask, AugmentationOptions(crop=1), np.random.default_rng(seed))
    if window is not None:
        assert mask[window].sum() == mask.sum()
        assert large_enough(window)


@given(BOXES, SEEDS)
def test_a_shape_says_nothing_about_the_lesion(box: tuple[int, int, int, int], seed: int) -> None:
    _, mask = scene(*box)
    kept, left_out = (
        draw_window(mask, options, np.random.default_rng(seed))
        for options in (AugmentationOptions(crop=1), AugmentationOptions(erase=1))
    )
    assert (kept is None) == (left_out is None)
    if kept is not None and left_out is not None:
        assert [span.stop - span.start for span in kept] == [span.stop - span.start for span in left_out]


def test_a_lesion_that_leaves_no_room_is_not_erased() -> None:
    _, mask = scene(5, 5, 80, 80)
    assert draw_window(mask, AugmentationOptions(erase=1), np.random.default_rng(0)) is None


def test_a_normal_is_cut_down_by_either() -> None:
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for options in (AugmentationOptions(erase=1), AugmentationOptions(crop=1)):
        window = draw_window(mask, options, np.random.default_rng(0))
        assert window is not None
        assert 0 < mask[window].size < mask.size


def test_windows_come_as_often_as_asked() -> None:
    _, mask = scene(40, 12, 10, 10)
    random = np.random.default_rng(3)
    drawn = [draw_window(mask, AugmentationOptions(crop=0.3, erase=0.2), random) for _ in range(2000)]
    shown = [bool(mask[window].any()) for window in drawn if window is not None]
    assert len(shown) / 2000 == pytest.approx(0.5, abs=0.05)
    assert np.mean(shown) == pytest.approx(0.6, abs=0.06)


@pytest.mark.process
def test_windows_lie_on_every_side_of_a_lesion() -> None:
    _, mask = scene(43, 43, 10, 10)
    random = np.random.default_rng(3)
    drawn = [draw_window(mask, AugmentationOptions(erase=1), random) for _ in range(1500)]
    windows = [window for window in drawn if window is not None]
    sides = [
        np.mean([test(rows, columns) for rows, columns in windows])
        for test in (
            lambda rows, columns: rows.stop <= 43,
            lambda rows, columns: rows.start >= 53,
            lambda rows, columns: columns.stop <= 43,
            lambda rows, columns: columns.start >= 53,
        )
    ]
    assert sides == pytest.approx([np.mean(sides)] * 4, rel=0.25)


def test_marks_change_few_pixels_and_no_mask() -> None:
    shares = []
    for seed in range(60):
        pixels, mask = scene(40, 30, 20, 30)
        kept = mask.copy()
        draw_marks(pixels, mask, np.random.default_rng(seed))
        assert np.array_equal(mask, kept)
        shares.append(float((pixels != 90).mean()))
    assert min(shares) > 0
    assert max(shares) < 0.25


def test_marks_fall_on_lesions_and_beside_them() -> None:
    _, mask = scene(40, 30, 20, 30)
    on = off = 0
    for seed in range(40):
        pixels, _ = scene(40, 30, 20, 30)
        draw_marks(pixels, mask, np.random.default_rng(seed))
        changed = pixels != 90
        on += bool(changed[38:62, 28:62].any())
        off += not changed[38:62, 28:62].any()
    assert on > 5
    assert off > 5


def test_nothing_asked_nothing_done() -> None:
    assert image_augmentation(AugmentationOptions(flip=0.5, blur=1), (0, 0, 0), range(4), noise) is None


def test_a_share_of_the_batch_meets_the_same_draws() -> None:
    options = AugmentationOptions(
        crop=0.6, erase=0.4, marks=0.7, mix=0.5, lesion_removal=0.5, lesion_insertion=0.5
    )
    pairs = [scene(10 + 6 * n, 20, 20, 20) for n in range(6)]
    pixels, masks = (np.stack(part) for part in zip(*pairs, strict=True))
    before = pixels.copy()
    own_pixels, own_masks = pixels[1::2].copy(), masks[1::2].copy()
    whole = image_augmentation(options, (7, 1, 2), range(6), noise)
    share = image_augmentation(options, (7, 1, 2), range(1, 6, 2), noise)
    assert whole is not None
    assert share is not None
    whole(pixels, masks)
    share(own_pixels, own_masks)
    assert np.array_equal(own_pixels, pixels[1::2])
    assert np.array_equal(own_masks, masks[1::2])
    assert not np.array_equal(pixels, before)
    assert set(np.unique(masks)) <= {0, 1}
