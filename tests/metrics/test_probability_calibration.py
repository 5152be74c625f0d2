"""Calibration: bins that add up, ECE, Brier, and the regions they are asked over."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.spatial.distance import cdist

from sonoseg.errors import ShapeError
from sonoseg.metrics.probability_calibration import (
    ReliabilityBins,
    boundary_band,
    brier,
    ece,
    foreground,
    reliability_bins,
)


@st.composite
def forecasts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9))
    true = draw(arrays(np.bool_, shape))
    return true, draw(arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))


def test_by_hand() -> None:
    true = np.array([[1, 0, 1, 0]], dtype=bool)
    probability = np.array([[0.9, 0.8, 0.1, 0.1]])
    # two bins: (0.9 + 0.8) / 2 against 1/2, (0.1 + 0.1) / 2 against 1/2
    assert reliability_bins(true, probability, n_bins=2).ece == pytest.approx((0.35 + 0.4) / 2)
    assert brier(true, probability) == pytest.approx((0.01 + 0.64 + 0.81 + 0.01) / 4)


def test_certain_and_right_or_certain_and_wrong() -> None:
    true = np.array([[1, 0], [1, 0]], dtype=bool)
    assert ece(true, true.astype(float)) == brier(true, true.astype(float)) == 0.0
    assert ece(true, (~true).astype(float)) == brier(true, (~true).astype(float)) == 1.0


def test_the_table_of_a_reliability_diagram() -> None:
    bins = reliability_bins(np.array([[1, 0, 1, 0]]), np.array([[1.0, 0.5, 0.75, 0.0]]), n_bins=4)
    table = bins.table()
    assert table["low"].tolist() == [0.0, 0.25, 0.5, 0.75]
    assert table["high"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert table["count"].tolist() == [1, 0, 1, 2]
    assert table["frequency"][[0, 2, 3]].tolist() == [0.0, 0.0, 1.0]
    assert table["confidence"][[0, 2, 3]].tolist() == [0.0, 0.5, 0.875]
    assert np.isnan(table["confidence"][1])
    assert np.isnan(table["frequency"][1])


@given(forecasts())
def test_in_bounds_and_counted_once(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, probability = pair
    bins = reliability_bins(true, probability)
    assert bins.n_pixels == true.size
    assert bins.lesion.sum() == true.sum()
    assert bins.probability.sum() == pytest.approx(probability.sum(dtype=np.float64), abs=1e-4)
    assert 0.0 <= bins.ece <= 1.0
    assert bins.brier == pytest.approx(np.mean((probability.astype(np.float64) - true) ** 2), abs=1e-6)
    # Jensen: the mean absolute gap of the bins is no more than the root of the mean square error.
    assert bins.ece <= math.sqrt(bins.brier) + 1e-6


@pytest.mark.process
@given(st.lists(forecasts(), min_size=1, max_size=4))
def test_bins_of_images_add_up_to_the_bins_of_all_pixels(many: list[tuple[np.ndarray, np.ndarray]]) -> None:
    total = sum((reliability_bins(t, p) for t, p in many), start=ReliabilityBins.empty())
    true = np.concatenate([t.ravel() for t, _ in many])[None]
    probability = np.concatenate([p.ravel() for _, p in many])[None]
    whole = reliability_bins(true, probability)
    assert total.count.tolist() == whole.count.tolist()
    assert total.ece == pytest.approx(whole.ece)
    assert total.brier == pytest.approx(whole.brier)


@given(forecasts())
def test_a_region_is_those_pixels_alone(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, probability = pair
    where = probability > 0.3
    bins = reliability_bins(true, probability, where)
    assert bins.n_pixels == where.sum()
    if where.any():
        alone = reliability_bins(true[where][None], probability[where][None])
        assert bins.ece == pytest.approx(alone.ece)
        assert ece(true, probability, where) == bins.ece


def test_no_pixel_no_figure() -> None:
    nowhere = np.zeros((2, 2), dtype=bool)
    assert math.isnan(ece(nowhere, np.zeros((2, 2)), nowhere))
    assert math.isnan(brier(nowhere, np.zeros((2, 2)), nowhere))
    assert math.isnan(ReliabilityBins.empty().ece)


def test_bins_of_different_number_do_not_add() -> None:
    with pytest.raises(ShapeError, match="15 bins"):
        ReliabilityBins.empty(15) + ReliabilityBins.empty(10)


def test_a_logit_is_refused() -> None:
    with pytest.raises(ShapeError, match="sigmoid"):
        ece(np.zeros((2, 2)), np.full((2, 2), -4.0))


def test_foreground_is_a_box_around_each_lesion() -> None:
    true = np.zeros((40, 40), dtype=bool)
    true[5:8, 10:14] = True
    true[30:32, 38:40] = True
    expected = np.zeros_like(true)
    expected[2:11, 7:17] = True
    expected[27:35, 35:40] = True
    np.testing.assert_array_equal(foreground(true, 3), expected)
    true[20, 20] = True  # a speck
    np.testing.assert_array_equal(foreground(true, 3, min_share=0.001), expected)
    assert foreground(true, 3)[20, 20]
    assert not foreground(np.zeros((4, 4)), 3).any()


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)), st.floats(0, 5))
def test_foreground_holds_the_lesion(true: np.ndarray, margin: float) -> None:
    region = foreground(true, margin)
    assert not (true & ~region).any()
    assert region.any() == true.any()


def test_the_background_swamps_the_plain_figure() -> None:
    """Why three regions: a model that knows nothing about lesions looks calibrated over the whole image."""
    true = np.zeros((100, 100), dtype=bool)
    true[40:60, 40:60] = True
    probability = np.where(true, 0.5, 0.0)
    assert ece(true, probability) < 0.03
    assert ece(true, probability, foreground(true, 2)) > 0.3
    assert ece(true, probability, boundary_band(true, 3)) > 0.2


def brute_force_band(true: np.ndarray, width: float) -> np.ndarray:
    inside, outside = np.argwhere(true), np.argwhere(~true)
    band = np.zeros_like(true)
    if len(inside) == 0 or len(outside) == 0:
        return band
    table = cdist(inside, outside)
    band[tuple(inside[table.min(axis=1) <= width].T)] = True
    band[tuple(outside[table.min(axis=0) <= width].T)] = True
    return band


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)), st.floats(1.0, 6.0))
def test_the_band_is_what_brute_force_finds(true: np.ndarray, width: float) -> None:
    np.testing.assert_array_equal(boundary_band(true, width), brute_force_band(true, width))


def test_no_lesion_no_band() -> None:
    assert not boundary_band(np.zeros((5, 5), dtype=bool), 2).any()
