"""Smart click: clicked pixels get their value, and lesions without a click nearby do not change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from sonoseg.errors import ShapeError, UsageError
from sonoseg.inference.smart_click import Point, smart_click

Mask = NDArray[np.bool_]


def disc(shape: tuple[int, int], row: float, column: float, down: float, right: float = 0) -> Mask:
    rows, columns = np.indices(shape)
    return np.asarray(((rows - row) / down) ** 2 + ((columns - column) / (right or down)) ** 2 <= 1)


def speckled(lesion: Mask, seed: int = 0) -> NDArray[np.uint8]:
    """A dark lesion in brighter tissue, both speckled."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=lesion.shape), 1.2) * 60
    return np.asarray(np.clip(np.where(lesion, 45, 120) + noise, 0, 255).astype(np.uint8))


def dice(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def middle(wrong: Mask) -> tuple[int, int]:
    """Return the pixel farthest from the border."""
    depth = distance_transform_edt(np.pad(wrong, 1))
    row, column = np.unravel_index(np.argmax(depth), depth.shape)
    return int(row) - 1, int(column) - 1


SHAPE = (300, 400)
LESION = disc(SHAPE, 140, 200, 45, 70)
PIXELS = speckled(LESION)
EMPTY = np.zeros(SHAPE, dtype=bool)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("at", [(140, 200), (130, 225), (155, 170)])
def test_one_click_segments_a_simple_lesion(known: bool, at: tuple[int, int]) -> None:
    probability = gaussian_filter(LESION.astype(np.float32), 6) if known else None
    found = smart_click(PIXELS, probability, EMPTY, [Point(*at, True)])
    assert dice(found, LESION) > 0.9


def test_the_probability_decides_where_the_image_is_uniform() -> None:
    grey = np.full(SHAPE, 90, dtype=np.uint8)
    probability = gaussian_filter(LESION.astype(np.float32), 6)
    assert dice(smart_click(grey, probability, EMPTY, [Point(140, 200, True)]), LESION) > 0.85


def test_a_click_moves_the_contour_past_it() -> None:
    small = disc(SHAPE, 140, 200, 45, 50)  # the lesion is 20 wider on both sides
    moved = smart_click(PIXELS, None, small, [Point(140, 260, True)])
    right = np.flatnonzero(moved[140]).max()
    assert abs(right - 270) <= 3
    assert np.flatnonzero(moved[140]).min() == 150  # the other side stays
    drawn_in = smart_click(PIXELS, None, LESION, [Point(140, 260, False)])
    assert abs(np.flatnonzero(drawn_in[140]).max() - 250) <= 3


def test_clicks_in_the_middle_of_errors_converge_to_the_lesion() -> None:
    truth = disc(SHAPE, 140, 200, 40, 60) | disc(SHAPE, 170, 240, 25, 45)
    points: list[Point] = []
    mask, reached = EMPTY, [0.0]
    while reached[-1] < 0.95 and len(points) < 12:
        missed, false = truth & ~mask, mask & ~truth
        inside = bool(missed.sum() >= false.sum())
        points.append(Point(*middle(missed if inside else false), inside))
        mask = smart_click(speckled(truth), None, mask, points)
        reached.append(dice(mask, truth))
    assert reached[-1] >= 0.95
    assert len(points) <= 8


def test_a_click_outside_in_the_middle_removes_only_that_lesion() -> None:
    other = disc(SHAPE, 60, 60, 20)
    cleared = smart_click(PIXELS, None, LESION | other, [Point(140, 200, False)])
    assert np.array_equal(cleared, other)
    # One that was clicked inside is only cut into.
    cut = smart_click(PIXELS, None, LESION, [Point(140, 240, True), Point(140, 190, False)])
    assert cut[140, 240]
    assert not cut[140, 190]


def test_a_click_outside_at_the_end_of_a_leak_removes_the_leak() -> None:
    leak = np.zeros(SHAPE, dtype=bool)
    leak[130:150, 260:330] = True
    mask = smart_click(PIXELS, None, LESION | leak, [Point(140, 300, False)])
    assert not mask[:, 285:].any()
    assert dice(mask, LESION) > 0.93


def test_a_click_far_away_adds_a_separate_lesion() -> None:
    two = LESION | disc(SHAPE, 240, 70, 25)
    mask = smart_click(speckled(two), None, LESION, [Point(240, 70, True)])
    assert np.array_equal(mask & (np.indices(SHAPE)[1] > 115), LESION)
    assert dice(mask, two) > 0.93


def test_a_click_where_the_mask_is_right_changes_nothing() -> None:
    points = [Point(140, 200, True), Point(20, 20, False)]
    assert np.array_equal(smart_click(PIXELS, None, LESION, points), LESION)
    assert np.array_equal(smart_click(PIXELS, None, LESION, []), LESION)


def test_full_and_empty_masks() -> None:
    full = ~EMPTY
    assert smart_click(PIXELS, None, full, [Point(140, 200, True)]).all()
    assert not smart_click(PIXELS, None, full, [Point(150, 200, False)]).any()
    at_the_side = smart_click(PIXELS, None, full, [Point(150, 3, False)])
    assert not at_the_side[150, 3]
    assert at_the_side[150, 350]
    assert not smart_click(PIXELS, None, EMPTY, [Point(150, 3, False)]).any()


@st.composite
def scenes(draw: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None, Mask, list[Point]]:
    """Any image, with or without a prediction, with lesions, and clicks anywhere."""
    shape = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    seed = draw(st.integers(0, 99))
    random = np.random.default_rng(seed)
    pixels = np.asarray(random.integers(0, 256, shape).astype(np.uint8))
    if draw(st.booleans()):
        pixels[:] = draw(st.integers(0, 255))
    mask = np.zeros(shape, dtype=bool)
    for _ in range(draw(st.integers(0, 3))):
        row, column = random.random(2) * shape
        mask |= disc(shape, row, column, 1 + 20 * random.random(), 1 + 20 * random.random())
    if draw(st.integers(0, 5)) == 0:
        mask = random.random(shape) > 0.7  # dust
    probability = gaussian_filter(random.random(shape), 3).astype(np.float32) if draw(st.booleans()) else None
    places = st.tuples(st.integers(0, shape[0] - 1), st.integers(0, shape[1] - 1))
    clicked = draw(st.lists(places, max_size=5, unique=True))
    return pixels, probability, mask, [Point(*at, draw(st.booleans())) for at in clicked]


@pytest.mark.process
@settings(max_examples=150)
@given(scenes())
def test_every_click_is_applied_deterministically(
    scene: tuple[NDArray[np.uint8], NDArray[np.float32] | None, Mask, list[Point]],
) -> None:
    pixels, probability, mask, points = scene
    before = mask.copy()
    found = smart_click(pixels, probability, mask, points)
    assert found.dtype == np.bool_
    assert found.shape == mask.shape
    for point in points:
        assert found[point.row, point.column] == point.inside
    assert np.array_equal(mask, before)
    assert np.array_equal(found, smart_click(pixels, probability, mask, points))
    # The page applies one click at a time, on the mask after the one before.
    assert np.array_equal(found, smart_click(pixels, probability, found, points))


@pytest.mark.process
@settings(max_examples=40)
@example(60, 130, True)  # a uniform area, where the region grows large
@given(st.integers(60, 220), st.integers(130, 270), st.booleans())
def test_a_far_lesion_is_untouched(row: int, column: int, inside: bool) -> None:
    far = disc(SHAPE, 30, 30, 18) | disc(SHAPE, 275, 375, 15)
    near = disc(SHAPE, 140, 200, 45)
    found = smart_click(PIXELS, None, near | far, [Point(row, column, inside)])
    around = disc(SHAPE, 30, 30, 24) | disc(SHAPE, 275, 375, 20)
    assert np.array_equal(found & around, far)


def test_of_clicks_on_one_pixel_the_last_counts() -> None:
    both = [Point(140, 200, True), Point(140, 200, False)]
    assert not smart_click(PIXELS, None, EMPTY, both)[140, 200]
    assert smart_click(PIXELS, None, EMPTY, both[::-1])[140, 200]


@pytest.mark.parametrize("at", [(-1, 5), (5, -1), (300, 5), (5, 400)])
def test_a_click_outside_of_the_image_is_refused(at: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="300 x 400"):
        smart_click(PIXELS, None, EMPTY, [Point(*at, True)])


def test_different_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="mask"):
        smart_click(PIXELS, None, EMPTY[1:], [])
    with pytest.raises(ShapeError, match="probability"):
        smart_click(PIXELS, np.zeros((3, 3), np.float32), EMPTY, [])
    with pytest.raises(ShapeError, match="uint8"):
        smart_click(PIXELS.astype(np.float32), None, EMPTY, [])  # type: ignore[arg-type]
