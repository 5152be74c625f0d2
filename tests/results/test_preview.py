"""Previews: their size, and their outlines as SVG paths that give the mask when filled again."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sonoseg.results.preview import SIDE, make_preview, rings, svg_path


def test_a_large_image_becomes_small_and_its_outline_with_it(make: SimpleNamespace) -> None:
    found = make.segmentation("big", (200, 300, 400, 500), shape=(1000, 1200))
    view = make_preview(found)
    with Image.open(io.BytesIO(view.jpeg)) as image:
        assert image.format == "JPEG"
        assert image.mode == "L"
        assert image.size == (view.width, view.height) == (SIDE, round(SIDE / 1.2))
        assert np.asarray(image)[view.height * 4 // 10, view.width * 45 // 100] < 40  # in the lesion
    assert view.scale == (view.height / 1000, view.width / 1200)
    assert view.outline.startswith("M")
    assert len(view.jpeg) < 20_000


def test_a_small_image_keeps_its_size(make: SimpleNamespace) -> None:
    view = make_preview(make.segmentation("small", (10, 10, 20, 20)))
    assert (view.width, view.height, view.scale) == (80, 60, (1.0, 1.0))


def test_the_band_is_where_the_border_may_lie(make: SimpleNamespace) -> None:
    found = make.segmentation("sure", (10, 10, 20, 20))
    sure = replace(found, probability=np.where(found.mask, 0.99, 0.01).astype(np.float32))
    assert make_preview(sure).band == ""
    assert make_preview(sure).outline == make_preview(found).outline
    assert make_preview(found).band == make_preview(found).outline  # 0.75 everywhere: all in the band


def test_without_a_lesion_nothing_is_drawn(make: SimpleNamespace) -> None:
    view = make_preview(make.segmentation("none"))
    assert (view.outline, view.band) == ("", "")


SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))


def area(ring: NDArray[np.int64]) -> float:
    """What a closed line encloses, in pixels: above 0 with the inside on the right hand."""
    rows, columns = ring[:, 0] / 2, ring[:, 1] / 2
    return float((columns * np.roll(rows, -1) - np.roll(columns, -1) * rows).sum() / 2)


def points(path: str) -> list[list[tuple[int, int]]]:
    """The corners (column, row) of each closed line of a path, read as a browser would."""
    found = []
    for part in re.findall(r"M([^z]+)z", path):
        start, _, steps = part.partition("l")
        numbers = [int(number) for number in re.findall(r"-?\d+", steps)]
        line = [tuple(int(number) for number in start.split())]
        for right, down in zip(numbers[::2], numbers[1::2], strict=True):
            line.append((line[-1][0] + right, line[-1][1] + down))
        found.append(line)
    return found  # type: ignore[return-value]


@given(arrays(bool, SHAPES))
def test_every_pixel_centre_is_on_its_side(mask: NDArray[np.bool_]) -> None:
    height, width = mask.shape
    canvas = np.zeros((2 * height + 1, 2 * width + 1), dtype=int)
    for line in points(svg_path(mask)):
        image = Image.new("1", (2 * width + 1, 2 * height + 1))
        ImageDraw.Draw(image).polygon(line, fill=1, outline=1)
        inside = np.asarray(image).astype(int)
        canvas += inside  # even and odd, as fill-rule evenodd counts
    centres = canvas[1::2, 1::2] % 2
    assert np.array_equal(centres == 1, mask)


@given(arrays(bool, SHAPES))
def test_the_rings_enclose_the_mask_but_for_cut_corners(mask: NDArray[np.bool_]) -> None:
    enclosed = [area(ring) for ring in rings(mask)]
    # A corner cuts an eighth off or adds one; a closed line has four more of one kind than of the other.
    outer, holes = sum(one > 0 for one in enclosed), sum(one < 0 for one in enclosed)
    assert outer + holes == len(enclosed)
    assert sum(enclosed) == mask.sum() - (outer - holes) / 2


def test_a_rectangle_is_eight_points() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:5, 3:8] = True
    (ring,) = rings(mask)
    assert len(ring) == 8
    assert area(ring) == 15 - 4 / 8
    assert (ring.min(axis=0) == (4, 6)).all()
    assert (ring.max(axis=0) == (10, 16)).all()


def test_a_hole_is_a_ring_of_its_own_and_touching_corners_are_one() -> None:
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 2] = False
    assert len(rings(mask)) == 2
    assert len(rings(np.eye(3, dtype=bool))) == 1


def test_nothing_is_no_path() -> None:
    assert svg_path(np.zeros((4, 4), dtype=bool)) == ""


def test_a_disc_is_short() -> None:
    rows, columns = np.mgrid[:300, :400]
    path = svg_path((rows - 150) ** 2 + (columns - 200) ** 2 < 80**2)
    assert len(path) < 1000
    assert set(path) <= set("0123456789Mlz -")


def test_a_pixel_of_which_half_is_lesion_is_lesion(make: SimpleNamespace) -> None:
    assert SIDE == 400
    found = make.segmentation("half", shape=(40, 40))
    for columns, drawn in ((2, True), (1, False)):
        mask = np.zeros((40, 40), dtype=bool)
        mask[10, 10 : 10 + columns] = True  # a half, and a quarter, of one block of 2 x 2 pixels
        assert bool(make_preview(replace(found, mask=mask), side=20).outline) == drawn
