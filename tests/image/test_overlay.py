"""Overlays: only what should change changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sonoseg.errors import ShapeError
from sonoseg.image.overlay import AMBER, heatmap, overlay

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)


@st.composite
def images(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(SHAPES)
    return draw(hnp.arrays(np.uint8, shape)), draw(hnp.arrays(np.bool_, shape))


def grey(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(pixels[:, :, None], 3, axis=2)


@given(images())
def test_without_outline_only_the_inside_changes(pair: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, mask = pair
    shown = overlay(pixels, mask, fill=0.5, outline=False)
    assert shown.dtype == np.uint8
    assert np.array_equal(shown[~mask], grey(pixels)[~mask])
    expected = grey(pixels)[mask] * 0.5 + np.array(AMBER) * 0.5
    assert np.abs(shown[mask] - expected).max(initial=0) <= 0.5


@settings(deadline=None)
@given(images())
def test_the_outline_lies_inside_and_the_halo_outside(pair: tuple[np.ndarray, np.ndarray]) -> None:
    pixels, mask = pair
    shown = overlay(pixels, mask, fill=0.0)
    wide = np.pad(mask, 1)
    touches_outside = ~(wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:])
    edge = mask & touches_outside
    assert (shown[edge] == AMBER).all()
    assert np.array_equal(shown[mask & ~edge], grey(pixels)[mask & ~edge])
    near = (wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]) & ~mask
    assert np.array_equal(shown[~mask & ~near], grey(pixels)[~mask & ~near])
    assert (shown[near] <= grey(pixels)[near]).all()


def test_an_empty_mask_leaves_the_image_grey() -> None:
    pixels = np.arange(200, dtype=np.uint8).reshape(10, 20)
    assert np.array_equal(overlay(pixels, np.zeros((10, 20), dtype=bool)), grey(pixels))


def test_the_outline_grows_with_the_image() -> None:
    mask = np.zeros((1600, 1200), dtype=bool)
    mask[400:800, 400:800] = True
    shown = overlay(np.zeros((1600, 1200), dtype=np.uint8), mask, fill=0.0)
    assert (shown[600, 400:404] == AMBER).all()
    assert (shown[600, 404] == 0).all()


def test_the_inputs_are_not_touched() -> None:
    pixels, mask = np.full((20, 20), 9, dtype=np.uint8), np.eye(20, dtype=bool)
    overlay(pixels, mask)
    heatmap(pixels, mask.astype(np.float32))
    assert (pixels == 9).all()
    assert np.array_equal(mask, np.eye(20, dtype=bool))


def test_heatmap_runs_from_dark_blue_to_yellow_and_gets_lighter_all_the_way() -> None:
    values = np.linspace(0, 1, 64)[None, :]
    shown = heatmap(np.zeros((1, 64), dtype=np.uint8), values, strength=1.0)[0].astype(int)
    assert shown[0].tolist() == [0, 34, 78]
    assert shown[-1].tolist() == [254, 232, 56]
    lightness = shown @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()


def test_heatmap_takes_values_out_of_range_and_nan_as_the_ends() -> None:
    pixels = np.full((1, 4), 100, dtype=np.uint8)
    shown = heatmap(pixels, np.array([[-3.0, np.nan, 0.0, 7.0]]))
    assert np.array_equal(shown[0, 0], shown[0, 2])
    assert np.array_equal(shown[0, 1], shown[0, 2])
    assert np.array_equal(shown[0, 3], heatmap(pixels, np.ones((1, 4)))[0, 0])


@pytest.mark.parametrize("paint", [overlay, heatmap])
def test_shapes_must_agree(paint: object) -> None:
    assert callable(paint)
    with pytest.raises(ShapeError, match="same grid"):
        paint(np.zeros((3, 4), dtype=np.uint8), np.zeros((4, 3), dtype=bool))
