"""Checks of an image's content before the network: what is warned of, what is not, and the constants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sonoseg.errors import SonosegWarning
from sonoseg.image import content_checks
from sonoseg.image.content_checks import content_warnings
from sonoseg.image.raster import read_raster

SCAN = np.random.default_rng(1).integers(0, 180, (120, 160), dtype=np.uint8)


def _rgb(grey: NDArray[np.uint8] = SCAN) -> NDArray[np.uint8]:
    return np.repeat(grey[..., None], 3, axis=2)


def _doppler(rows: int) -> NDArray[np.uint8]:
    """Red and blue flow over the first rows of a scan."""
    image = _rgb()
    image[:rows, :80] = (200, 30, 0)
    image[:rows, 80:] = (0, 40, 210)
    return image


def test_the_constants() -> None:
    assert content_checks.MAX_COLOUR == 0.05
    assert content_checks.COLOURED == 32
    assert content_checks.MAX_FLAT == 0.25
    assert content_checks.FLAT_FROM == 200
    assert (content_checks.GAP, content_checks.MAX_IN_GAP, content_checks.MIN_LIT) == (16, 0.02, 0.35)
    assert (content_checks.MIN_WIDTHS, content_checks.MIN_HEIGHTS) == (0.6, 0.8)
    assert content_checks.MIN_SPLIT == 128


@pytest.mark.parametrize("rows", [12, 60, 110])
def test_colour_that_fills_a_part_is_warned_of(rows: int) -> None:
    (text,) = content_warnings(_doppler(rows))
    assert "strongly coloured: it may be colour Doppler or a photograph" in text


def test_a_photograph_is_warned_of() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    assert "strongly coloured" in content_warnings(noise)[0]


@pytest.mark.parametrize("tint", [(1.0, 0.8, 0.5), (0.5, 0.7, 1.0)])
def test_a_tinted_display_is_not_warned_of(tint: tuple[float, float, float]) -> None:
    assert content_warnings((SCAN[..., None] * np.array(tint)).astype(np.uint8)) == ()


@pytest.mark.parametrize("image", [SCAN, _rgb(), _doppler(4), SCAN.astype(np.uint16)])
def test_scans_and_coloured_marks_are_not_warned_of(image: NDArray[np.uint8]) -> None:
    assert content_warnings(image) == ()


@pytest.mark.parametrize(("level", "warned"), [(0, False), (199, False), (200, True), (255, True)])
@pytest.mark.parametrize("colour", [False, True])
def test_paper_is_warned_of(level: int, warned: bool, colour: bool) -> None:
    page = SCAN.copy()
    page[:40] = level  # a third
    found = content_warnings(_rgb(page) if colour else page)
    assert [("document or a screenshot" in text) for text in found] == [True] * warned


def test_a_page_of_one_grey_is_left_to_the_check_of_contrast() -> None:
    assert content_warnings(np.full((40, 40), 255, np.uint8)) == ()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_file_carries_the_warning(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "doppler.png"
    Image.fromarray(_doppler(60)).convert(mode).save(path)
    with pytest.warns(SonosegWarning, match=r"doppler.png: .*% of the image is strongly coloured"):
        frame = read_raster(path)
    assert len(frame.warnings) == 1


def _screen(left: tuple[int, int], right: tuple[int, int], gap: int = 6, top: int = 20) -> NDArray[np.uint8]:
    """A screenshot of two images, each (height, width), with a line of text above both."""
    screen = np.zeros((200, 20 + left[1] + gap + right[1] + 20), np.uint8)
    screen[5:7, ::2] = 220
    rng = np.random.default_rng(3)
    for (height, width), column, row in ((left, 20, 20), (right, 20 + left[1] + gap, top)):
        screen[row : row + height, column : column + width] = rng.integers(0, 180, (height, width))
    return screen


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    ("left", "right", "gap", "top"),
    [
        ((160, 120), (160, 120), 6, 20),
        ((160, 120), (160, 120), 1, 20),
        ((160, 120), (140, 80), 40, 30),
        ((160, 80), (140, 120), 6, 30),
    ],
)
def test_two_images_side_by_side_are_warned_of(
    left: tuple[int, int], right: tuple[int, int], gap: int, top: int, colour: bool
) -> None:
    screen = _screen(left, right, gap, top)
    (text,) = content_warnings(_rgb(screen) if colour else screen)
    assert "a split screen" in text


@pytest.mark.parametrize(
    ("left", "right", "gap", "top"),
    [
        ((160, 240), (160, 0), 6, 20),
        ((160, 120), (160, 120), 0, 20),
        ((160, 120), (160, 60), 6, 20),
        ((160, 120), (100, 120), 6, 20),
        ((130, 120), (130, 120), 6, 65),
    ],
)
def test_parts_of_other_sizes_are_not_two_images(
    left: tuple[int, int], right: tuple[int, int], gap: int, top: int
) -> None:
    assert content_warnings(_screen(left, right, gap, top)) == ()


def test_text_beside_a_scan_is_not_an_image() -> None:
    screen = _screen((160, 120), (160, 120))
    panel = screen[20:180, 146:266]
    panel[:] = 0
    panel[::8, ::2] = panel[1::8, 1::2] = 220
    assert content_warnings(screen) == ()


def test_a_dark_scan_without_content_is_not_two_images() -> None:
    assert content_checks._split_warnings(np.zeros((160, 180), np.uint8)) == ()
    assert content_checks._split_warnings(np.full((160, 180), 90, np.uint8)) == ()
