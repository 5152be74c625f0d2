"""Echo level and posterior features on images whose grey levels are known."""

from __future__ import annotations

import numpy as np
import pytest

from sonoseg.image.calibration import Box, Calibration, Region, Spacing
from sonoseg.image.frame import Frame
from sonoseg.lesions.birads import EchoLevel, Posterior
from sonoseg.lesions.measurement import Lesion, measure_mask
from sonoseg.lesions.surroundings import BLACK, surroundings, top_of

ROWS, COLUMNS = np.indices((200, 240))
DISC = (ROWS - 80) ** 2 + (COLUMNS - 120) ** 2 <= 30**2


def scan(lesion: int = 40, ring: int = 100, below: tuple[int, int] | None = None) -> np.ndarray:
    """A disc in even tissue; `below` gives the grey of the left and the right half of what lies below it."""
    pixels = np.full(ROWS.shape, ring, dtype=np.uint8)
    if below:
        pixels[111:, 90:120], pixels[111:, 120:151] = below
    pixels[DISC] = lesion
    return pixels


def measured(pixels: np.ndarray, mask: np.ndarray = DISC, **frame: object) -> Lesion:
    return measure_mask(Frame(pixels, **frame), mask).lesions[0]


@pytest.mark.parametrize(
    ("lesion", "word"),
    [
        (0, EchoLevel.ANECHOIC),
        (20, EchoLevel.ANECHOIC),
        (21, EchoLevel.HYPOECHOIC),
        (84, EchoLevel.HYPOECHOIC),
        (86, EchoLevel.ISOECHOIC),
        (114, EchoLevel.ISOECHOIC),
        (120, EchoLevel.HYPERECHOIC),
    ],
)
def test_the_echo_level(lesion: int, word: EchoLevel) -> None:
    found = measured(scan(lesion))
    assert found.echo_contrast == lesion - 100
    assert found.echo_level is word


@pytest.mark.parametrize(
    ("below", "word"),
    [
        ((100, 100), Posterior.NONE),
        ((120, 120), Posterior.NONE),
        ((130, 130), Posterior.ENHANCEMENT),
        ((60, 60), Posterior.SHADOWING),
        ((50, 150), Posterior.COMBINED),
        ((150, 50), Posterior.COMBINED),
    ],
)
def test_what_lies_below(below: tuple[int, int], word: Posterior) -> None:
    found = measured(scan(below=below))
    assert found.posterior is word
    assert found.posterior_contrast == pytest.approx(sum(below) / 2 - 100, abs=1.5)
    # The ring leaves out what lies below, so that a shadow does not make the lesion brighter.
    assert found.echo_contrast == -60


def test_the_other_lesions_are_no_tissue() -> None:
    pixels, mask = scan(), DISC.copy()
    for left in (60, 152):
        pixels[70:140, left : left + 26], mask[70:140, left : left + 26] = 0, True
    assert measured(pixels, mask).echo_contrast == -60
    assert measured(pixels, mask).posterior_contrast == 0


def test_anisotropic_spacing_takes_the_same_millimetres() -> None:
    mask = ((ROWS - 80) * 2) ** 2 + (COLUMNS - 120) ** 2 <= 60**2  # a disc, rows twice as far apart
    pixels = np.full(ROWS.shape, 100, dtype=np.uint8)
    pixels[mask] = 40
    # Tissue beyond a quarter of the diameter above and beside is never looked at.
    pixels[: 80 - 30 - 16] = 255
    pixels[:, : 120 - 60 - 31] = pixels[:, 120 + 60 + 32 :] = 255
    found = measured(pixels, mask, spacing=Spacing(0.2, 0.1))
    assert found.echo_contrast == -60


def test_too_little_tissue_gives_no_word() -> None:
    everywhere = np.zeros(ROWS.shape, dtype=bool)
    everywhere[5:195, 5:235] = True
    found = measured(scan(), everywhere)
    assert (found.echo_contrast, found.echo_level) == (None, None)
    assert (found.posterior_contrast, found.posterior) == (None, None)
    at_the_bottom = np.zeros(ROWS.shape, dtype=bool)
    at_the_bottom[160:200, 100:140] = True
    found = measured(scan(), at_the_bottom)
    assert found.posterior is None
    assert found.echo_level is EchoLevel.ISOECHOIC
    black = measured(np.where(DISC, 5, 0).astype(np.uint8))
    assert black.echo_level is None


def test_a_mask_without_a_image_has_no_echoes_and_no_probability() -> None:
    found = measure_mask(Frame(scan()), DISC, image=False).lesions[0]
    assert found.echo_contrast is found.echo_level is found.posterior is None
    assert np.isnan([found.mean_probability, found.peak_probability, found.uncertainty]).all()


def test_the_black_frame_around_a_scan_is_no_tissue() -> None:
    pixels = np.pad(scan(), 30, constant_values=BLACK - 1)
    around = surroundings(Frame(pixels), np.pad(DISC, 30))
    assert (around.tissue == np.pad(~DISC, 30)).all()
    assert not surroundings(Frame(np.zeros((20, 20), dtype=np.uint8)), np.zeros((20, 20), bool)).tissue.any()


def test_tissue_and_depth_are_those_of_the_scan_region() -> None:
    regions = (
        Region(Box(40, 20, 150, 200), Spacing(0.1, 0.2)),
        Region(Box(0, 0, 30, 240), None, "no tissue region"),
    )
    frame = Frame(scan(), calibration=Calibration(None, "none", "two regions", regions))
    around = surroundings(frame, DISC)
    assert around.tissue[40:190, 20:220].sum() == 150 * 200 - DISC.sum()
    assert not around.tissue[190:].any()
    assert top_of(frame, Box(50, 90, 61, 61)) == 40
    assert top_of(frame, Box(10, 90, 61, 61)) == 0  # meets both: the upper one
    assert top_of(Frame(scan()), Box(10, 90, 61, 61)) == 0
    assert top_of(frame, Box(192, 230, 5, 5)) == 0  # outside every region: the frame's top
    lesion = measure_mask(frame, DISC).lesions[0]
    assert (lesion.unit, lesion.depth) == ("mm", pytest.approx((50 - 40) * 0.1))
    assert lesion.local_spacing.origin == "file"
