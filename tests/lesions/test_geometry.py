"""Hull, callipers and perpendicular against brute force and shapes of known size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sonoseg.lesions.geometry import (
    convex_hull,
    edge_points,
    longest_axis,
    perpendicular,
    polygon_area,
    polygon_length,
)

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=15)).filter(np.any)
WHOLE = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=25)
"""Few whole places: many equal distances, parallel sides and points on one line."""


def far_apart(points: np.ndarray) -> float:
    return float(np.hypot(*(points[:, None] - points[None]).T).max())


@given(WHOLE)
def test_the_hull_turns_one_way_and_holds_every_point(places: list[tuple[int, int]]) -> None:
    points = np.array(places, dtype=float)
    hull = convex_hull(points)
    assert {tuple(corner) for corner in hull} <= {tuple(point) for point in points}
    if len(hull) < 3:
        return
    for k in range(len(hull)):
        a, b, c = hull[k], hull[(k + 1) % len(hull)], hull[(k + 2) % len(hull)]
        assert (b - a)[0] * (c - b)[1] - (b - a)[1] * (c - b)[0] > 0  # turns, and always to one side
        side = b - a
        assert (side[0] * (points - a)[:, 1] - side[1] * (points - a)[:, 0] >= -1e-9).all()


@pytest.mark.process
@settings(max_examples=100, deadline=None)
@given(WHOLE, st.floats(0.05, 3), st.floats(0.05, 3))
def test_callipers_find_what_brute_force_finds(
    places: list[tuple[int, int]], down: float, right: float
) -> None:
    points = np.array(places, dtype=float) * (down, right)
    ends, length = longest_axis(convex_hull(points))
    assert length == pytest.approx(far_apart(points), rel=1e-12)
    assert math.dist(*ends.tolist()) == pytest.approx(length)


@pytest.mark.process
@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_callipers_on_masks(mask: np.ndarray) -> None:
    points = edge_points(mask)
    rows, columns = np.nonzero(mask)
    sides = np.concatenate(
        [np.stack([rows + a, columns + b], 1) for a, b in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))]
    )
    _, length = longest_axis(convex_hull(points))
    assert length == pytest.approx(far_apart(sides), rel=1e-12)  # no pixel inside matters


def test_one_pixel_and_a_line_of_pixels() -> None:
    one = convex_hull(edge_points(np.ones((1, 1), dtype=bool)))
    ends, length = longest_axis(one)
    assert length == 1
    assert perpendicular(one, ends)[1] == 1
    line = convex_hull(edge_points(np.ones((1, 7), dtype=bool)))
    ends, length = longest_axis(line)
    assert length == 7
    assert perpendicular(line, ends)[1] == 1


def test_a_point_has_no_length() -> None:
    hull = convex_hull(np.array([[2.0, 3.0], [2.0, 3.0]]))
    ends, length = longest_axis(hull)
    assert length == 0
    assert ends.tolist() == [[2, 3], [2, 3]]
    assert perpendicular(hull, ends)[1] == 0
    assert edge_points(np.zeros((4, 4), dtype=bool)).shape == (0, 2)


@settings(max_examples=60, deadline=None)
@given(st.floats(4, 60), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_disc_measures_its_diameter_within_a_pixel(radius: float, down: float, right: float) -> None:
    rows, columns = np.indices((130, 130)) - 65
    hull = convex_hull(edge_points((rows - down) ** 2 + (columns - right) ** 2 <= radius**2))
    ends, length = longest_axis(hull)
    assert abs(length - 2 * radius) <= 1 + 1e-9
    assert abs(perpendicular(hull, ends)[1] - 2 * radius) <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.floats(10, 40), st.floats(0.3, 0.9), st.floats(0, math.pi))
def test_an_ellipse_at_any_angle(major: float, aspect: float, angle: float) -> None:
    rows, columns = np.indices((100, 100)) - 50.0
    along = columns * math.cos(angle) + rows * math.sin(angle)
    across = -columns * math.sin(angle) + rows * math.cos(angle)
    hull = convex_hull(edge_points((along / major) ** 2 + (across / (major * aspect)) ** 2 <= 1))
    ends, length = longest_axis(hull)
    assert abs(length - 2 * major) <= 1 + 1e-9
    assert abs(perpendicular(hull, ends)[1] - 2 * major * aspect) < 1.5
    turned = math.atan2(*(ends[1] - ends[0])) - angle
    if aspect < 0.8:
        assert abs(math.sin(turned)) < 0.35


@pytest.mark.process
@settings(max_examples=80, deadline=None)
@given(WHOLE, st.floats(0.05, 3), st.floats(0.05, 3))
def test_the_perpendicular_is_the_longest_chord_across(
    places: list[tuple[int, int]], down: float, right: float
) -> None:
    hull = convex_hull(np.array(places, dtype=float) * (down, right))
    ends, longest = longest_axis(hull)
    chord, length = perpendicular(hull, ends)
    assert math.dist(*chord.tolist()) == pytest.approx(length, abs=1e-9)
    assert length <= longest + 1e-9
    if len(hull) < 3:
        assert length == pytest.approx(0, abs=1e-9)
        return
    along = (ends[1] - ends[0]) / longest
    assert (chord[1] - chord[0]) @ along == pytest.approx(0, abs=1e-9)  # at right angles
    # By brute force: the chord at each of many places along the axis, from the polygon's sides.
    across, best = np.array([-along[1], along[0]]), 0.0
    for place in np.linspace(0, longest, 41):
        met = []
        for a, b in zip(hull - ends[0], np.roll(hull - ends[0], -1, axis=0), strict=True):
            if (
                min(a @ along, b @ along) <= place <= max(a @ along, b @ along)
                and abs((b - a) @ along) > 1e-12
            ):
                met.append(((place - a @ along) / ((b - a) @ along) * (b - a) + a) @ across)
        best = max(best, max(met, default=0) - min(met, default=0))
    assert best <= length + 1e-9
    assert length >= polygon_area(hull) / longest - 1e-9  # no strip of that height is smaller than the hull


def test_a_plateau_of_equal_chords_gives_the_middle_one() -> None:
    hull = convex_hull(np.array([[0.0, 0.0], [-2.0, 3.0], [-2.0, 7.0], [0.0, 10.0], [2.0, 7.0], [2.0, 3.0]]))
    ends, length = longest_axis(hull)
    chord, across = perpendicular(hull, ends)
    assert (length, across) == (10, 4)
    assert sorted(chord.tolist()) == [[-2, 5], [2, 5]]


def test_length_and_area_of_a_polygon() -> None:
    corners = np.array([[0.0, 0.0], [0.0, 4.0], [3.0, 4.0]])
    assert polygon_length(corners) == 12
    assert polygon_area(corners) == polygon_area(corners[::-1] + 1e6) == 6
    assert polygon_area(corners[:1]) == polygon_length(corners[:1]) == 0
