"""Boundary distances: by hand, by brute force, by their properties, and on empty masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from sonoseg.errors import ShapeError
from sonoseg.metrics import boundary
from sonoseg.metrics.boundary import average_surface_distance, hd95, nsd, surface_distances

SPACINGS = st.tuples(st.floats(0.05, 3.0), st.floats(0.05, 3.0))
KINDS = st.sampled_from(["pixels", "contour"])


@st.composite
def lesions(draw: st.DrawFn, max_side: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Two masks of one shape, neither empty."""
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=max_side))
    masks = []
    for _ in range(2):
        mask = draw(arrays(np.bool_, shape))
        mask[draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))] = True
        masks.append(mask)
    return masks[0], masks[1]


def box(shape: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def brute_force(true: np.ndarray, predicted: np.ndarray, spacing: tuple[float, float]) -> tuple[float, float]:
    """HD95 and average of the pixel boundaries, from the full table of distances."""
    edges = [np.argwhere(m ^ binary_erosion(m)) * np.array(spacing) for m in (true, predicted)]
    table = cdist(*edges)
    there, back = table.min(axis=1), table.min(axis=0)
    return (
        max(np.percentile(there, 95), np.percentile(back, 95)),
        float(np.concatenate([there, back]).mean()),
    )


def test_a_square_moved_by_three_pixels() -> None:
    true, moved = box((40, 40), 10, 10, 12, 12), box((40, 40), 10, 13, 12, 12)
    assert hd95(true, moved) == pytest.approx(3.0)
    assert surface_distances(true, moved).hausdorff(100) == pytest.approx(3.0)
    assert hd95(true, moved, spacing=(9.0, 0.5)) == pytest.approx(1.5)
    assert nsd(true, moved, tolerance=3.0) == 1.0
    assert nsd(true, moved, tolerance=0.0) < 0.6
    assert 0.0 < average_surface_distance(true, moved) < 3.0


def test_two_single_pixels_are_as_far_apart_as_they_are() -> None:
    true, predicted = box((9, 9), 1, 1, 1, 1), box((9, 9), 4, 5, 1, 1)
    assert hd95(true, predicted) == pytest.approx(5.0)
    assert average_surface_distance(true, predicted) == pytest.approx(5.0)
    assert hd95(true, predicted, spacing=(2.0, 0.25)) == pytest.approx(math.hypot(6.0, 1.0))
    assert nsd(true, predicted, tolerance=4.999) == 0.0
    assert nsd(true, predicted, tolerance=5.0) == 1.0


def test_the_tolerance_forgives_rounding_of_the_distance() -> None:
    true, predicted = box((9, 9), 1, 1, 1, 1), box((9, 9), 1, 4, 1, 1)
    assert nsd(true, predicted, tolerance=0.3, spacing=(0.1, 0.1)) == 1.0


@pytest.mark.parametrize("kind", ["pixels", "contour"])
def test_a_missed_lesion_counts_with_the_diagonal(kind: boundary.Boundary) -> None:
    true, empty = box((30, 40), 3, 3, 5, 5), np.zeros((30, 40), dtype=bool)
    assert hd95(true, empty, boundary=kind) == pytest.approx(50.0)
    assert hd95(true, empty, (0.1, 0.2), kind) == pytest.approx(math.hypot(3.0, 8.0))
    assert average_surface_distance(true, empty, boundary=kind) == pytest.approx(50.0)
    assert nsd(true, empty, 1000.0, boundary=kind) == 0.0


@pytest.mark.parametrize("kind", ["pixels", "contour"])
@pytest.mark.parametrize("predicted", [np.zeros((30, 40), dtype=bool), box((30, 40), 3, 3, 5, 5)])
def test_without_a_true_lesion_there_is_no_distance(kind: boundary.Boundary, predicted: np.ndarray) -> None:
    empty = np.zeros((30, 40), dtype=bool)
    assert math.isnan(hd95(empty, predicted, boundary=kind))
    assert math.isnan(average_surface_distance(empty, predicted, boundary=kind))
    assert math.isnan(nsd(empty, predicted, 2.0, boundary=kind))


@given(lesions(), SPACINGS)
def test_it_is_what_brute_force_finds(
    pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float]
) -> None:
    expected = brute_force(*pair, spacing)
    assert hd95(*pair, spacing) == pytest.approx(expected[0])
    assert average_surface_distance(*pair, spacing) == pytest.approx(expected[1])


@given(lesions(), SPACINGS)
def test_both_ways_to_the_nearest_point_agree(
    pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float]
) -> None:
    tree, transform = boundary._by_tree(*pair, spacing), boundary._by_transform(*pair, spacing)
    np.testing.assert_allclose(tree, transform, atol=1e-12)


def test_smooth_and_speckled_masks_take_different_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    for name in ("_by_tree", "_by_transform"):
        way = getattr(boundary, name)
        monkeypatch.setattr(boundary, name, lambda *a, name=name, way=way: (taken.append(name), way(*a))[1])
    smooth = box((200, 200), 20, 20, 150, 150)
    hd95(smooth, smooth)
    assert set(taken) == {"_by_tree"}
    taken.clear()
    hd95(smooth, np.random.default_rng(0).random((200, 200)) > 0.5)
    assert set(taken) == {"_by_transform"}


@given(lesions(), SPACINGS, KINDS)
def test_symmetric_bounded_and_zero_on_itself(
    pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float], kind: boundary.Boundary
) -> None:
    there, back = surface_distances(*pair, spacing, kind), surface_distances(*pair[::-1], spacing, kind)
    assert there.hausdorff() == pytest.approx(back.hausdorff())
    assert there.average == pytest.approx(back.average)
    assert there.nsd(1.0) == pytest.approx(back.nsd(1.0))
    assert 0.0 <= there.average <= there.hausdorff(100) + 1e-9
    assert there.hausdorff(95) <= there.hausdorff(100) < there.diagonal
    assert 0.0 <= there.nsd(0.5) <= there.nsd(1.5) <= there.nsd(there.diagonal) == 1.0
    itself = surface_distances(pair[0], pair[0], spacing, kind)
    assert itself.hausdorff(100) == itself.average == 0.0
    assert itself.nsd(0.0) == 1.0


@given(lesions(), st.floats(0.01, 20.0), KINDS)
def test_distances_scale_with_the_spacing(
    pair: tuple[np.ndarray, np.ndarray], factor: float, kind: boundary.Boundary
) -> None:
    pixels, mm = surface_distances(*pair, (1, 1), kind), surface_distances(*pair, (factor, factor), kind)
    again = pixels.scaled(factor)
    for distances in (mm, again):
        assert distances.hausdorff() == pytest.approx(factor * pixels.hausdorff())
        assert distances.average == pytest.approx(factor * pixels.average)
        assert distances.nsd(1.3 * factor) == pytest.approx(pixels.nsd(1.3))
        assert distances.diagonal == pytest.approx(factor * pixels.diagonal)


@given(st.integers(1, 50), st.floats(0.01, 20.0), st.sampled_from([1.0, 0.5, math.sqrt(2.0)]))
def test_a_percentile_on_a_step_is_the_step_whatever_the_unit(
    twenties: int, factor: float, length: float
) -> None:
    n = 20 * twenties
    parts = boundary.Directed(np.arange(1.0, n + 1), np.full(n, length * factor))
    assert boundary._weighted_percentile(parts, 95.0) == 19 * twenties


def test_a_miss_scales_too() -> None:
    missed = surface_distances(box((30, 40), 3, 3, 5, 5), np.zeros((30, 40), dtype=bool)).scaled(0.1)
    assert missed.hausdorff() == pytest.approx(5.0)
    assert missed.nsd(100.0) == 0.0


@pytest.mark.process
@given(lesions(), st.integers(0, 7), st.integers(0, 7), KINDS)
def test_moving_both_masks_changes_nothing(
    pair: tuple[np.ndarray, np.ndarray], down: int, right: int, kind: boundary.Boundary
) -> None:
    moved = [np.pad(mask, ((down, 7 - down), (right, 7 - right))) for mask in pair]
    here, there = surface_distances(*pair, boundary=kind), surface_distances(*moved, boundary=kind)
    assert here.hausdorff() == there.hausdorff()
    assert here.average == pytest.approx(there.average)
    assert here.nsd(1.0) == pytest.approx(there.nsd(1.0))


@settings(max_examples=25)
@given(lesions(), SPACINGS, KINDS)
def test_turning_the_image_turns_the_spacing(
    pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float], kind: boundary.Boundary
) -> None:
    turned = surface_distances(pair[0].T, pair[1].T, (spacing[1], spacing[0]), kind)
    assert turned.hausdorff() == pytest.approx(surface_distances(*pair, spacing, kind).hausdorff())


def test_the_contour_of_a_rectangle_has_its_length() -> None:
    # 4 x 6 pixels of 0.5 x 2 mm; the four corners are cut, half a diagonal for two half sides each.
    weights = boundary._contour_weights(box((10, 10), 2, 2, 4, 6), (0.5, 2.0))
    assert weights.sum() == pytest.approx(2 * (3 * 0.5 + 5 * 2.0) + 4 * 0.5 * math.hypot(0.5, 2.0))


@pytest.mark.parametrize("spacing", [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_a_spacing_must_be_two_positive_numbers(spacing: tuple[float, float]) -> None:
    mask = box((5, 5), 1, 1, 2, 2)
    with pytest.raises(ShapeError, match="positive"):
        hd95(mask, mask, spacing)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ShapeError, match="grid"):
        hd95(box((5, 5), 1, 1, 2, 2), box((5, 6), 1, 1, 2, 2))
