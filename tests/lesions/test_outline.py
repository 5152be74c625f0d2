"""The outline: closed, true to the mask, and as long as the curve it came from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sonoseg.lesions.geometry import convex_hull, edge_points, polygon_area, polygon_length
from sonoseg.lesions.outline import outline, smooth_outline

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)).filter(np.any)


def one_component(mask: np.ndarray) -> np.ndarray:
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    return np.asarray(labels == labels[mask][0])


def without_holes(mask: np.ndarray) -> np.ndarray:
    """Holes filled where no path of side-by-side background leads out: what the outline encloses."""
    return np.asarray(ndimage.binary_fill_holes(mask))


@pytest.mark.process
@settings(max_examples=80, deadline=None)
@given(MASKS)
def test_it_is_closed_and_encloses_the_lesion(mask: np.ndarray) -> None:
    mask = one_component(mask)
    points = outline(mask)
    steps = np.abs(np.roll(points, -1, axis=0) - points)
    assert {tuple(step) for step in steps} <= {(0.5, 0.5), (1, 0), (0, 1)}
    assert len(np.unique(points, axis=0)) == len(points)  # no side twice
    assert convex_hull(points).tolist() == convex_hull(edge_points(mask)).tolist()
    # Cutting a corner takes an eighth of a pixel, and there are four more outer corners than inner ones.
    assert polygon_area(points) == pytest.approx(without_holes(mask).sum() - 0.5)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(3, 50), st.floats(0.35, 1), st.floats(0, math.pi), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)
)
def test_the_perimeter_of_ellipses(
    major: float, aspect: float, angle: float, down: float, right: float
) -> None:
    rows, columns = np.indices((107, 107)) - 53.0
    rows, columns = rows - down, columns - right
    along = columns * math.cos(angle) + rows * math.sin(angle)
    across = -columns * math.sin(angle) + rows * math.cos(angle)
    mask = (along / major) ** 2 + (across / (major * aspect)) ** 2 <= 1
    turn = np.linspace(0, 2 * math.pi, 2001)
    curve = np.stack([major * np.cos(turn), major * aspect * np.sin(turn)], axis=1)[:-1]
    found, true = polygon_length(smooth_outline(outline(mask))), polygon_length(curve)
    allowed = 0.02 if major >= 20 else 0.06 if major >= 8 else 0.25
    assert abs(found / true - 1) < allowed
    if major >= 20:
        assert polygon_length(outline(mask)) > 1.03 * true  # the stairs, had they been left


def test_a_square_keeps_its_sides_and_tiny_lesions_their_size() -> None:
    square = smooth_outline(outline(np.ones((100, 100), dtype=bool)))
    assert polygon_length(square) == pytest.approx(400, rel=0.01)
    assert square.min() == -0.5
    assert square.max() == 99.5
    assert polygon_length(smooth_outline(outline(np.ones((1, 1), dtype=bool)))) == pytest.approx(math.sqrt(8))
    line = outline(np.ones((1, 7), dtype=bool))
    assert smooth_outline(line).tolist() == line.tolist()


def test_a_ring_has_only_its_outer_outline() -> None:
    rows, columns = np.indices((41, 41)) - 20
    far = np.hypot(rows, columns)
    assert outline((far <= 18) & (far > 10)).tolist() == outline(far <= 18).tolist()
