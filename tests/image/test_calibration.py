"""What scale holds where."""

import pytest

from sonoseg.errors import InputError
from sonoseg.image.calibration import (
    MAX_SPACING,
    MIN_SPACING,
    RULES,
    Box,
    Calibration,
    Region,
    Spacing,
    cautions,
    parse_spacing,
    pixels_note,
)

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


@pytest.mark.parametrize(
    "bad", [(0.0, 0.1), (0.1, -1.0), (float("nan"), 0.1), (float("inf"), 1.0), (90, 0.1), (0.1, 0.0009)]
)
def test_an_impossible_spacing_is_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="spacing"):
        Calibration.of(Spacing(*bad))


@pytest.mark.parametrize(
    "text", ["", "a", "0", "-1", "nan", "inf", "0.1,0", "0.1,0.1,0.1", "0.1,", "90", "0.1,10.1", "0.0009"]
)
def test_what_is_not_a_spacing_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - float's own or ours
        parse_spacing(text)


def test_the_policy_of_plausible_spacings() -> None:
    assert (MIN_SPACING, MAX_SPACING) == (0.001, 10.0)
    assert parse_spacing("0.001,10") == Spacing(0.001, 10.0)


def test_why_sizes_are_in_pixels_comes_with_the_remedy() -> None:
    remedy = "Give the pixel spacing with --spacing 0.105, or calibrate on the page."
    assert pixels_note("the file has none") == f"Sizes are in pixels: the file has none. {remedy}"
    assert pixels_note("x", "2 lesions") == f"Sizes are in pixels: x (2 lesions). {remedy}"


def test_the_rules_of_regions_that_agree_are_joined() -> None:
    clipped, flow = "clipped by one pixel", "colour flow"
    frame = Calibration(
        regions=(Region(LEFT, FINE, rules=(clipped,)), Region(RIGHT, FINE, rules=(flow, clipped)))
    )
    assert frame.at(Box(10, 10, 5, 5)).origin == f"region, {clipped}"
    across = frame.at(Box(10, 40, 5, 20)).origin
    assert across == f"region, {clipped}, {flow}"
    assert cautions(across) == [RULES[clipped], RULES[flow]]
    assert [cautions(plain) for plain in ("file", "given", "table", "none")] == [[], [], [], []]


def test_a_spacing_is_one_number_or_row_and_column() -> None:
    assert parse_spacing("0.08") == Spacing(0.08, 0.08)
    assert parse_spacing(" 0.08, 0.1 ") == Spacing(0.08, 0.1)


@pytest.mark.parametrize(
    ("box", "meets", "holds"),
    [
        (Box(10, 20, 30, 40), True, True),  # the same
        (Box(10, 20, 1, 1), True, True),
        (Box(39, 59, 1, 1), True, True),
        (Box(39, 59, 2, 1), True, False),
        (Box(39, 59, 1, 2), True, False),
        (Box(9, 20, 2, 1), True, False),
        (Box(10, 19, 1, 2), True, False),
        (Box(40, 20, 1, 1), False, False),  # below
        (Box(10, 60, 1, 1), False, False),  # to the right
        (Box(9, 20, 1, 1), False, False),  # above
        (Box(10, 19, 1, 1), False, False),  # to the left
        (Box(5, 100, 50, 1), False, False),
        (Box(100, 5, 1, 80), False, False),
    ],
)
def test_boxes_meet_where_they_share_a_pixel(box: Box, meets: bool, holds: bool) -> None:
    region = Box(10, 20, 30, 40)
    assert (region.meets(box), region.holds(box)) == (meets, holds)
    assert box.meets(region) == meets


def test_a_lesion_without_a_spacing_has_the_origin_none() -> None:
    regions = two(FINE, COARSE).regions
    assert Calibration(None, "given", "unknown", regions).at(Box(0, 0, 5, 5)) == (None, "none", "unknown")
    assert Calibration(COARSE, "table", "", regions).at(Box(10, 10, 5, 5)) == (COARSE, "table", "")
    assert two(FINE, COARSE).at(Box(10, 40, 5, 20))[:2] == (None, "none")  # across both
    assert two(FINE, FINE).at(Box(95, 10, 10, 5))[:2] == (None, "none")  # leaves them


def test_the_smaller_of_overlapping_regions_needs_no_agreement() -> None:
    inner = Region(Box(10, 10, 20, 20), COARSE)
    frame = Calibration(regions=(Region(Box(0, 0, 25, 25), FINE), inner))
    assert frame.at(Box(20, 20, 8, 8)) == (COARSE, "file", "")  # held by one alone
    assert frame.at(Box(12, 12, 5, 5)).spacing is None  # held by both, which differ


def test_spacings_agree_within_a_thousandth() -> None:
    for factor, agree in ((1.0009, True), (1.0012, False)):
        near = Spacing(0.1 * factor, 0.1 * factor)
        assert (two(FINE, near).at(Box(10, 40, 5, 20)).spacing is not None) == agree


@pytest.mark.parametrize("gap", [Box(0, 45, 100, 55), Box(1, 50, 100, 50), Box(0, 50, 99, 50)])
def test_a_lesion_is_covered_only_by_all_of_its_pixels(gap: Box) -> None:
    frame = Calibration(regions=(Region(Box(0, 0, 100, 45), FINE), Region(gap, FINE)))
    covered = gap.left == 45
    assert (frame.at(Box(0, 40, 100, 20)).spacing is not None) == covered
    shifted = Calibration(regions=(Region(Box(0, 0, 10, 6), FINE), Region(Box(0, 5, 10, 3), FINE)))
    assert shifted.at(Box(0, 2, 10, 6)).spacing == FINE
    assert shifted.at(Box(0, 2, 10, 7)).spacing is None
