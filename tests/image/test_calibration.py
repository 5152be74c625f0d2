"""What scale holds where."""

import pytest

from sonoseg.errors import InputError
from sonoseg.image.calibration import Box, Calibration, Region, Spacing, parse_spacing

FINE, COARSE = Spacing(0.1, 0.1), Spacing(0.2, 0.2)
LEFT, RIGHT = Box(0, 0, 100, 50), Box(0, 50, 100, 50)


def two(left: Spacing | None, right: Spacing | None) -> Calibration:
    return Calibration(regions=(Region(LEFT, left, "its delta is 0"), Region(RIGHT, right, "other units")))


def test_a_spacing_for_the_whole_frame_holds_everywhere() -> None:
    scale = Calibration.of(FINE).at(Box(900, 900, 5, 5))
    assert scale == (FINE, "given", "")


def test_nothing_known_says_so() -> None:
    scale = Calibration().at(Box(0, 0, 5, 5))
    assert scale.spacing is None
    assert scale.origin == "none"
    assert "no calibration" in scale.reason


def test_the_region_that_holds_the_lesion_says_the_spacing() -> None:
    assert two(FINE, COARSE).at(Box(10, 10, 5, 5)) == (FINE, "file", "")
    assert two(FINE, COARSE).at(Box(10, 60, 5, 5)) == (COARSE, "file", "")


def test_a_lesion_across_regions_has_a_spacing_only_where_they_agree() -> None:
    across = Box(10, 40, 5, 20)
    assert two(FINE, FINE).at(across) == (FINE, "file", "")
    assert two(FINE, COARSE).at(across).spacing is None
    assert "different spacing" in two(FINE, COARSE).at(across).reason


def test_a_region_without_a_spacing_gives_its_reason() -> None:
    assert two(None, FINE).at(Box(0, 0, 5, 5)) == (None, "none", "its delta is 0")
    assert two(FINE, None).at(Box(10, 40, 5, 20)) == (None, "none", "other units")


def test_a_lesion_that_leaves_the_regions_has_no_spacing() -> None:
    assert "leaves" in two(FINE, FINE).at(Box(95, 10, 10, 5)).reason
    assert "leaves" in two(FINE, FINE).at(Box(200, 10, 10, 5)).reason


def test_what_a_person_gave_goes_before_the_regions() -> None:
    given = Calibration(COARSE, "given", "", two(FINE, FINE).regions)
    assert given.at(Box(10, 10, 5, 5)) == (COARSE, "given", "")


@pytest.mark.parametrize("bad", [(0.0, 0.1), (0.1, -1.0), (float("nan"), 0.1), (float("inf"), 1.0)])
def test_an_impossible_spacing_is_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="spacing"):
        Calibration.of(Spacing(*bad))


@pytest.mark.parametrize("text", ["", "a", "0", "-1", "nan", "inf", "0.1,0", "0.1,0.1,0.1", "0.1,"])
def test_what_is_not_a_spacing_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - float's own or ours
        parse_spacing(text)


def test_a_spacing_is_one_number_or_row_and_column() -> None:
    assert parse_spacing("0.08") == Spacing(0.08, 0.08)
    assert parse_spacing(" 0.08, 0.1 ") == Spacing(0.08, 0.1)
