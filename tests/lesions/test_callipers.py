"""Callipers on an image: where lines and labels go, and where they never go."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoseg.errors import ShapeError
from sonoseg.lesions.callipers import SKY, WHITE, draw_callipers, length_text

Ends = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class One:
    """An upright ellipse's callipers."""

    number: int
    unit: str
    longest_axis: float
    perpendicular: float
    longest_axis_ends: Ends
    perpendicular_ends: Ends
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Several:
    """What draw_callipers takes."""

    lesions: tuple[One, ...]


def one(row: int, column: int, high: int, wide: int, number: int = 1, unit: str = "mm") -> One:
    """The callipers of an ellipse with whole half axes: its middle and its half axes, wide >= high."""
    across: Ends = ((row, column - wide), (row, column + wide))
    upright: Ends = ((row - high, column), (row + high, column))
    box = (row - high, column - wide, 2 * high + 1, 2 * wide + 1)
    return One(number, unit, 0.2 * wide, 0.2 * high, across, upright, box)


def plain(height: int = 300, width: int = 400, grey: int = 90) -> np.ndarray:
    return np.full((height, width, 3), grey, dtype=np.uint8)


def mask_of(lesion: One, shape: tuple[int, int]) -> np.ndarray:
    rows, columns = np.indices(shape)
    top, left, height, width = lesion.box
    down, right = (rows - top - height // 2) / (height / 2), (columns - left - width // 2) / (width / 2)
    return np.asarray(down**2 + right**2 <= 1)


def of_colour(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((image == colour).all(axis=2))


def test_the_axes_are_drawn_where_they_are() -> None:
    lesion = one(150, 200, 40, 80)
    image = plain()
    drawn = draw_callipers(image, Several((lesion,)))
    assert (image == 90).all()  # a copy
    white, sky = of_colour(drawn, WHITE), of_colour(drawn, SKY)
    for column in (120, 280):
        assert white[150 - 3 : 150 + 4, column].all()  # the upright stroke of the end's cross
        assert white[150, column - 3 : column + 4].all()
    row = white[150, 130:271]
    assert 0.3 < row.mean() < 0.8  # dashed
    for down in (110, 190):
        assert sky[down - 2, 198]
        assert sky[down + 2, 202]
        assert sky[down, 200]  # the cross is turned
    assert 0.3 < sky[120:181, 200].mean() < 0.8
    # A halo beside every line.
    assert (drawn[149, 130:271][row] == 0).all()


def test_lines_stand_out_on_white_and_on_black() -> None:
    for grey in (0, 255):
        drawn = draw_callipers(plain(grey=grey), Several((one(150, 200, 40, 80),)))
        assert (drawn != grey).any(axis=2).sum() > 200


@pytest.mark.process
@settings(max_examples=30, deadline=None)
@given(st.integers(3, 60), st.integers(0, 60), st.integers(60, 240), st.integers(80, 320), st.booleans())
def test_a_label_is_inside_beside_the_lesion_and_whole(
    high: int, more: int, row: int, column: int, masked: bool
) -> None:
    lesion = one(row, column, high, high + more)
    wide = high + more
    inside = row - high >= 0 and row + high < 300 and column - wide >= 0 and column + wide < 400
    if not inside:
        return
    mask = mask_of(lesion, (300, 400))
    image = plain()
    label = label_of(lesion, image, mask if masked else None)
    assert label.any()
    assert not (label & mask).any()
    rows, columns = np.flatnonzero(label.any(axis=1)), np.flatnonzero(label.any(axis=0))
    assert 15 < np.ptp(rows) < 40  # two lines
    assert 40 < np.ptp(columns) < 90
    assert rows[0] > 0
    assert columns[0] > 0
    assert rows[-1] < 299
    assert columns[-1] < 399


def label_of(lesion: One, image: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The pixels of the label's figures: those that change with them."""
    several = [draw_callipers(image, Several((changed,)), mask=mask) for changed in variants(lesion)]
    return np.asarray((several[0] != several[1]).any(axis=2) | (several[0] != several[2]).any(axis=2))


def variants(lesion: One) -> list[One]:
    """The same callipers with other figures of the same breadth in the label."""
    return [
        replace(lesion, number=1, longest_axis=88.8, perpendicular=88.8),
        replace(lesion, number=1, longest_axis=44.4, perpendicular=44.4),
        replace(lesion, number=4, longest_axis=88.8, perpendicular=88.8),
    ]


def test_labels_of_several_lesions_do_not_meet() -> None:
    lesions = tuple(one(60 + 60 * k, 200, 20, 40, k + 1) for k in range(4))
    image = plain()
    mask = np.any([mask_of(lesion, (300, 400)) for lesion in lesions], axis=0)
    whole = draw_callipers(image, Several(lesions), mask=mask)
    for k in range(4):
        without = draw_callipers(image, Several(lesions[:k]), mask=mask)
        more = draw_callipers(image, Several(lesions[: k + 1]), mask=mask)
        before = (without != image).any(axis=2)
        assert (more[before] == without[before]).all()  # what was drawn stays
    assert not ((whole != image).any(axis=2) & mask).all()


def test_a_tiny_lesion_is_marked_outside_it() -> None:
    lesion = one(150, 200, 2, 4)
    drawn = draw_callipers(plain(), Several((lesion,)))
    assert (drawn[149:152, 198:203] == 90).all()
    assert (drawn[150, 185:196] != 90).any()
    assert (drawn[150, 205:216] != 90).any()


def test_a_lesion_that_fills_the_image_still_has_its_figures() -> None:
    lesion = one(150, 200, 149, 199)
    everywhere = np.ones((300, 400), dtype=bool)
    assert label_of(lesion, plain(), everywhere).any()


@pytest.mark.parametrize("size", [(16, 16), (20, 300), (64, 48)])
def test_small_images_with_lesions_at_the_border(size: tuple[int, int]) -> None:
    height, width = size
    across, upright = ((0, -0.5), (0, width - 0.5)), ((-0.5, 0), (height - 0.5, 0))
    lesion = One(1, "px", width, height, across, upright, (0, 0, height, width))
    drawn = draw_callipers(plain(*size), Several((lesion,)))
    assert drawn.shape == (*size, 3)
    assert (drawn != 90).any()


def test_no_lesion_changes_nothing() -> None:
    assert (draw_callipers(plain(), Several(())) == plain()).all()


def test_figures() -> None:
    assert length_text(17.26, "mm") == "17.3 mm"
    assert length_text(140.7, "px") == "141 px"


@pytest.mark.parametrize(
    "image", [np.zeros((20, 20), np.uint8), np.zeros((20, 20, 4), np.uint8), np.zeros((20, 20, 3), float)]
)
def test_another_kind_of_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"\(H, W, 3\)"):
        draw_callipers(image, Several(()))


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match="same grid"):
        draw_callipers(plain(), Several(()), mask=np.zeros((3, 3), dtype=bool))
