"""Test-time augmentation: where each view puts the image, and that its answer comes back to its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoseg.errors import UsageError
from sonoseg.image.network_grid import Fit, Grid
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.test_time_augmentation import (
    IDENTITY,
    VIEWS,
    View,
    apply_view,
    average,
    invert_view,
    views_of,
)

FITS = st.sampled_from(["letterbox", "stretch"])
SIDES = st.integers(20, 90)


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An image of slow waves, uint8 (H, W), lopsided in both directions."""
    turn = np.random.default_rng(seed).uniform(0, 6, 2)
    rows, columns = np.mgrid[:height, :width]
    waves = np.sin(3 * rows / height + turn[0]) + np.cos(4 * columns / width + turn[1])
    return (127 + 60 * waves).round().astype(np.uint8)


def inside(grid: Grid) -> tuple[slice, slice]:
    top, left, height, width = grid.box
    return slice(top, top + height), slice(left, left + width)


def test_the_number_of_views() -> None:
    assert {word: len(views) for word, views in VIEWS.items()} == {
        "none": 1,
        "flip": 2,
        "scales": 3,
        "full": 6,
    }
    for views in VIEWS.values():
        assert views[0] == IDENTITY
        assert len(set(views)) == len(views)
    with pytest.raises(UsageError, match="unknown test-time augmentation 'rotate'"):
        views_of("rotate")


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, FITS, st.booleans(), st.sampled_from([0.6, 0.8, 1.0, 1.1, 1.25, 1.5]))
def test_inverting_a_view_restores_the_positions(
    height: int, width: int, fit: Fit, flip: bool, zoom: float
) -> None:
    """A network that answers with its input gives the plain image again, whatever the view."""
    grid, view, pixels = Grid((height, width), 64, fit), View(flip, zoom), smooth(height, width)
    values, weights = invert_view(apply_view(pixels, grid, view).astype(np.float32), grid, view)
    plain = grid.to_network(pixels).astype(np.float32)
    known = weights > 0
    assert known[inside(grid)].mean() > 0.9 / max(zoom, 1) ** 2 - 0.1
    assert np.abs(values - plain)[known & _in_box(grid)].max(initial=0) < 255 * 5 / min(grid.box[2:])


def _in_box(grid: Grid) -> np.ndarray:
    box = np.zeros((grid.size, grid.size), bool)
    box[inside(grid)] = True
    return box


def test_zooming_out_pads_with_black_and_zooming_in_crops() -> None:
    grid, white = Grid((50, 80), 64, "letterbox"), np.full((50, 80), 255, np.uint8)
    far, near = apply_view(white, grid, View(zoom=0.5)), apply_view(white, grid, View(zoom=2.0))
    assert far.sum() / 255 == 32 * 20
    assert far[22:42, 16:48].all()
    assert near.all()
    assert (invert_view(near.astype(np.float32), grid, View(zoom=2.0))[1] > 0).sum() == 32 * 32


def test_weights_fall_towards_cropped_edges() -> None:
    grid = Grid((64, 64), 64)
    _, weights = invert_view(np.ones((64, 64), np.float32), grid, View(zoom=1.25))
    assert weights.max() == 1
    assert 0 < weights[32, np.flatnonzero(weights[32])[0]] < 0.2
    _, whole = invert_view(np.ones((64, 64), np.float32), grid, View(zoom=0.8))
    assert (whole == 1).all()


@settings(max_examples=20, deadline=None)
@given(SIDES, SIDES, FITS, st.sampled_from(sorted(VIEWS)))
def test_the_average_of_equal_outputs_is_that_output(height: int, width: int, fit: Fit, word: str) -> None:
    grid = Grid((height, width), 64, fit)
    answers = [np.full((64, 64), 0.3, np.float32) for _ in VIEWS[word]]
    assert np.allclose(average(answers, grid, VIEWS[word])[inside(grid)], 0.3, atol=1e-6)


@pytest.fixture(scope="module")
def lopsided(make_dark_model: Callable[..., Path]) -> dict[str, Predictor]:
    """One model under each word, on a letterbox whose border it takes for lesion."""
    folder = make_dark_model(fit="letterbox", level=0.4, steepness=8.0)
    return {word: Predictor(folder, tta=word) for word in VIEWS}


@pytest.mark.process
@settings(max_examples=15, deadline=None)
@given(SIDES, SIDES, st.sampled_from(["flip", "full"]), st.integers(0, 99))
def test_the_mirrored_image_gives_the_mirrored_probability(
    lopsided: dict[str, Predictor], height: int, width: int, word: str, seed: int
) -> None:
    """Whatever the network: both images are shown in the same views."""
    pixels = smooth(height, width, seed)
    there = lopsided[word].predict(pixels).probability
    mirrored = lopsided[word].predict(np.ascontiguousarray(pixels[:, ::-1])).probability
    # Resizing rounds to whole greys, and one grey is 8 / 255 / 4 of probability at most here.
    assert np.abs(there - mirrored[:, ::-1]).max() < 0.01


@pytest.mark.parametrize("word", ["flip", "scales", "full"])
def test_a_pointwise_network_gives_the_same_with_augmentation(
    make_dark_model: Callable[..., Path], word: str
) -> None:
    folder = make_dark_model(fit="stretch", level=0.5, steepness=4.0)
    pixels = smooth(120, 160)
    plain = Predictor(folder).predict(pixels).probability
    averaged = Predictor(folder, tta=word).predict(pixels).probability
    assert np.abs(averaged - plain)[8:-8, 8:-8].max() < (0.005 if word == "flip" else 0.03)


def test_batches_and_attention_equal_single_images(make_dark_model: Callable[..., Path]) -> None:
    predictor = Predictor(make_dark_model(fit="letterbox"), tta="full")
    images = [smooth(60 + 5 * n, 70, seed=n) for n in range(5)]
    many = list(predictor.predict_many(images, batch=3, attention=True))
    for pixels, found in zip(images, many, strict=True):
        alone = predictor.predict(pixels, attention=True)
        assert np.allclose(found.probability, alone.probability, atol=1e-6)
        assert found.attention is not None
        assert alone.attention is not None
        assert np.allclose(found.attention["attention_4"], alone.attention["attention_4"], atol=1e-6)


def test_without_augmentation_every_bit_is_the_same(dark_model: Path) -> None:
    pixels = smooth(90, 70)
    plain, named = Predictor(dark_model), Predictor(dark_model, tta="none")
    assert plain.tta == named.tta == "none"
    assert np.array_equal(plain.predict(pixels).probability, named.predict(pixels).probability)
    with pytest.raises(UsageError, match="unknown test-time"):
        Predictor(dark_model, tta="often")
