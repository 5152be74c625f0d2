"""The depth ruler: found and counted where it is plain, and nothing where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sonoseg.data.phantoms import make_phantoms
from sonoseg.image import depth_ruler
from sonoseg.image.depth_ruler import find_depth_ruler


def with_ruler(
    mm: float, *, tick: float = 5.0, longer: int = 2, depth: int = 380, side: str = "left", noise: int = 0
) -> NDArray[np.uint8]:
    """A scan on black at `mm` per pixel, with ticks of `tick` mm beside it; every `longer`-th is larger."""
    rng = np.random.default_rng(round(mm * 1000))
    pixels = np.zeros((depth + 60, 640), np.uint8)
    pixels[30 : 30 + depth, 80:560] = rng.integers(20, 200, (depth, 480))
    column = 66 if side == "left" else 574
    for k in range(int(depth * mm / tick) + 1):
        row = round(30 + k * tick / mm)
        half = 3 if longer and k % longer == 0 else 1
        pixels[row - half : row + half, column - half : column + half] = 230
    pixels[5:14, 20:90:7] = 240  # text
    return np.asarray(np.clip(pixels + rng.integers(0, noise + 1, pixels.shape), 0, 255), dtype=np.uint8)


@pytest.mark.parametrize("mm", [0.07, 0.09, 0.10526, 0.1579])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("tick", "longer"), [(5.0, 2), (2.5, 4), (2.0, 5), (10.0, 0)])
def test_the_likeliest_proposal_is_within_one_percent(mm: float, side: str, tick: float, longer: int) -> None:
    ruler = find_depth_ruler(with_ruler(mm, tick=tick, longer=longer, side=side, depth=620, noise=12))
    assert ruler is not None
    assert ruler.longer == longer
    assert ruler.proposals[0].tick == tick
    assert ruler.proposals[0].spacing == pytest.approx(mm, rel=0.01)
    assert ruler.count == int(620 * mm / tick) + 1
    assert ruler.distance == pytest.approx(tick / mm, rel=0.01)


def test_ticks_that_are_all_alike_leave_several_proposals() -> None:
    ruler = find_depth_ruler(with_ruler(0.1, tick=5.0, longer=0))
    assert ruler is not None
    assert ruler.longer == 0
    assert 5.0 in [one.tick for one in ruler.proposals]
    assert len(ruler.proposals) > 1


def test_no_ruler_no_proposal() -> None:
    plain = with_ruler(0.1)
    without = plain.copy()
    without[:, 60:72] = 0
    missing = plain.copy()
    missing[220:235, 60:72] = 0  # one tick
    few = plain.copy()
    few[150:, 60:72] = 0
    for pixels in (without, missing, few, np.zeros((100, 100), np.uint8), np.full((100, 100), 200, np.uint8)):
        assert find_depth_ruler(pixels) is None


@pytest.mark.slow
def test_the_error_on_phantoms_and_none_where_only_callipers_are_drawn() -> None:
    for phantom in make_phantoms(12, 5, marks=True):
        pixels = np.pad(phantom.frame.pixels, ((30, 30), (90, 90)))
        assert find_depth_ruler(pixels) is None
        assert phantom.frame.spacing is not None
        mm, height = phantom.frame.spacing.row, phantom.frame.shape[0]
        for tick, longer in ((5.0, 2), (2.5, 4), (2.0, 5)):
            drawn = pixels.copy()
            for k in range(int(height * mm / tick) + 1):
                row, half = round(30 + k * tick / mm), 3 if k % longer == 0 else 1
                drawn[row - half : row + half, 76 - half : 76 + half] = 230
            ruler = find_depth_ruler(drawn)
            assert ruler is not None
            assert ruler.proposals[0].spacing == pytest.approx(mm, rel=0.005)


def test_the_policy() -> None:
    assert (depth_ruler.MIN_TICKS, depth_ruler.EVEN, depth_ruler.DEPTHS) == (5, 0.04, (15.0, 120.0))
    assert depth_ruler.PER_CENTIMETRE == (2, 4, 5, 10)
