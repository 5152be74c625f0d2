"""Regions to calibration, refusals with their reasons, and blanking outside of the regions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoseg.dicom.reading.regions import (
    MAX_COLOUR_FLOW,
    RawRegion,
    blank_outside,
    is_no_b_mode,
    other_content,
    read_regions,
    region_warnings,
)
from sonoseg.errors import InputError
from sonoseg.image.calibration import RULES, Box, Spacing, cautions

SHAPE = (100, 200)
GOOD = RawRegion(1, 1, 10, 20, 109, 79, 3, 3, 0.01, 0.02)
"""Columns 10 to 109 and rows 20 to 79, 0.1 mm a column and 0.2 mm a row."""


def test_scan_region_with_spacing() -> None:
    regions = read_regions([GOOD], SHAPE)
    assert regions.scan[0].box == Box(20, 10, 60, 100)  # the last row and column are inside
    assert regions.scan[0].spacing == Spacing(row=0.2, column=0.1)
    calibration = regions.calibration()
    assert (calibration.spacing, calibration.origin, calibration.reason) == (Spacing(0.2, 0.1), "file", "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"x1": 201}, "the region (10, 20)-(201, 79) leaves the frame of 200 x 100 pixels"),
        ({"y1": 101}, "leaves the frame"),
        ({"x1": 200, "y1": 101}, "leaves the frame"),
        ({"x0": -1}, "leaves the frame"),  # an unsigned number: -1 is damage, not a count
        ({"y0": -1}, "leaves the frame"),
        ({"delta_x": -5.0}, "not between 0.0001 and 1"),
        ({"delta_y": -math.inf}, "which is not above 0"),
        ({"delta_y": 0.0}, "physical delta along rows is 0 cm, which is not above 0"),
        ({"delta_y": math.nan}, "which is not above 0"),
        ({"delta_x": math.inf}, "which is not above 0"),
        ({"delta_x": 1e-9}, "not between 0.0001 and 1"),
        ({"delta_x": 5.0}, "not between 0.0001 and 1"),
        ({"delta_x": None}, "no physical delta"),
        ({"units_x": 4}, "calibrated in seconds and cm, not in cm"),
        ({"units_x": 0, "units_y": 0}, "calibrated in no unit, not in cm"),
        ({"units_y": None}, "calibrated in cm and a missing unit"),
        ({"units_y": 77}, "unknown unit 77"),
    ],
)
def test_refused_spacing_has_a_reason(change: dict[str, float | None], reason: str) -> None:
    regions = read_regions([GOOD._replace(**change)], SHAPE)
    assert len(regions.scan) == 1  # still a scan region
    calibration = regions.calibration()
    assert calibration.spacing is None
    assert reason in calibration.reason
    assert reason in calibration.at(regions.scan[0].box).reason


ABSOLUTE, CLIPPED = "absolute value of a negative delta", "clipped by one pixel"


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"x1": 200}, (CLIPPED,)),
        ({"y1": 100}, (CLIPPED,)),
        ({"x1": 200, "y1": 100}, (CLIPPED,)),
        ({"x0": 1, "y0": 1, "x1": 200, "y1": 100}, (CLIPPED,)),  # counted from 1
        ({"delta_x": -0.01}, (ABSOLUTE,)),
        ({"delta_y": -0.02}, (ABSOLUTE,)),
        ({"delta_x": -0.01, "delta_y": -0.02}, (ABSOLUTE,)),
        ({"x1": 200, "delta_y": -0.02}, (CLIPPED, ABSOLUTE)),
        ({"data_type": 2}, ("colour flow",)),
        ({"data_type": 2, "x1": 200, "delta_y": -0.02}, (CLIPPED, "colour flow", ABSOLUTE)),
    ],
)
def test_a_region_that_breaks_the_standard_is_used_by_a_rule(
    change: dict[str, float | None], rules: tuple[str, ...]
) -> None:
    regions = read_regions([GOOD._replace(**change)], SHAPE)
    (region,) = regions.scan
    assert Box(0, 0, *SHAPE).holds(region.box)
    assert regions.leaving == ()
    calibration = regions.calibration()
    assert calibration.spacing == Spacing(row=0.2, column=0.1)
    assert calibration.origin == ", ".join(("region", *rules))
    assert calibration.at(Box(30, 30, 10, 10)) == (Spacing(0.2, 0.1), calibration.origin, "")
    assert len(cautions(calibration.origin)) == len(rules)
    given = regions.calibration(Spacing(0.3, 0.3))
    assert given.at(Box(30, 30, 10, 10)).origin == "given"


def test_colour_flow_is_a_scan_region_only_without_tissue() -> None:
    flow = GOOD._replace(data_type=2, x0=40, x1=80, delta_x=0.05)
    assert read_regions([GOOD, flow], SHAPE) == read_regions([GOOD], SHAPE)
    assert read_regions([flow, GOOD._replace(spatial_format=3)], SHAPE).calibration().spacing is not None
    nowhere = GOOD._replace(x0=None)
    assert read_regions([nowhere, flow], SHAPE).scan[0].box.left == 40


def test_a_depth_beyond_ultrasound_needs_caution() -> None:
    for delta, rules in ((0.66, ()), (0.67, ("implausible depth",))):  # of 60 rows
        (region,) = read_regions([GOOD._replace(delta_y=delta)], SHAPE).scan
        assert region.rules == rules
    assert "more than 400 mm deep" in cautions("region, implausible depth")[0]


def test_a_cropped_frame_is_confirmed_by_pixel_spacing_and_by_the_scan_that_is_seen() -> None:
    regions = read_regions([GOOD._replace(x1=300, delta_y=-0.02)], SHAPE)
    seen, same = Box(5, 40, 60, 100), Spacing(0.2, 0.1)
    confirmed = regions.confirm(same, seen)
    assert confirmed.leaving == ()
    assert confirmed.calibration().at(Box(10, 50, 9, 9)) == (
        same,
        "region, confirmed by PixelSpacing (cropped frame), absolute value of a negative delta",
        "",
    )
    for spacing, box, kept in (
        (Spacing(0.2018, 0.0991), seen, True),
        (Spacing(0.2030, 0.1), seen, False),
        (Spacing(0.1, 0.2), seen, False),
        (None, seen, False),
        (same, None, False),
        (same, seen._replace(height=59), False),  # more than 1 % less than 60 rows
        (same, seen._replace(height=30, width=291), True),
        (same, seen._replace(height=30, width=287), False),
    ):
        assert (regions.confirm(spacing, box) is not regions) == kept
    two = [GOOD._replace(x1=300), GOOD._replace(x0=150, x1=290)]
    assert read_regions(two, SHAPE).confirm(same, seen).calibration().spacing is None
    assert read_regions([GOOD], SHAPE).confirm(same, seen) == read_regions([GOOD], SHAPE)
    implausible = read_regions([GOOD._replace(x1=300, delta_x=0.0)], SHAPE)
    assert implausible.confirm(same, seen) is implausible


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"spatial_format": 2}, "its only ultrasound region is not 2D tissue"),
        ({"data_type": 3}, "its only ultrasound region is not 2D tissue"),
        ({"data_type": 2, "spatial_format": 3}, "its only ultrasound region is not 2D tissue"),
        ({"data_type": None}, "its only ultrasound region is not 2D tissue"),
        ({"x0": None}, "tissue region has no location"),
        ({"x0": 150}, "wrong order"),
        ({"x0": 190, "x1": 300}, "less than 16 x 16 pixels within the frame of 200 x 100"),
        ({"x0": 500, "x1": 600}, "less than 16 x 16 pixels within the frame of 200 x 100"),
        ({"x1": 20}, "less than 16 x 16 pixels"),
    ],
)
def test_not_a_scan_region(change: dict[str, int | None], reason: str) -> None:
    regions = read_regions([GOOD._replace(**change)], SHAPE)
    assert not regions.scan
    assert reason in regions.reason
    assert regions.calibration().reason == regions.reason


def test_adjacent_regions() -> None:
    right = GOOD._replace(x0=110, x1=199)
    calibration = read_regions([GOOD, right], SHAPE).calibration()
    assert calibration.spacing == Spacing(0.2, 0.1)
    assert calibration.at(Box(30, 100, 10, 20)).spacing == Spacing(0.2, 0.1)  # across both, which agree
    calibration = read_regions([GOOD, right._replace(delta_x=0.03)], SHAPE).calibration()
    assert calibration.spacing is None
    assert calibration.reason == "the regions differ in spacing"
    assert calibration.at(Box(30, 20, 10, 20)).spacing == Spacing(0.2, 0.1)
    assert calibration.at(Box(30, 150, 10, 20)).spacing == pytest.approx(Spacing(0.2, 0.3))
    assert "across regions" in calibration.at(Box(30, 100, 10, 20)).reason
    assert "leaves the calibrated region" in calibration.at(Box(0, 20, 30, 20)).reason


def test_two_regions_of_the_same_box() -> None:
    assert len(read_regions([GOOD, GOOD], SHAPE).scan) == 1
    assert read_regions([GOOD, GOOD], SHAPE).calibration().spacing == Spacing(0.2, 0.1)
    differing = read_regions([GOOD, GOOD._replace(delta_x=0.05)], SHAPE).calibration()
    assert differing.spacing is None
    assert "two regions of the same box differ" in differing.reason


def test_given_spacing_overrides_the_file() -> None:
    regions = read_regions([GOOD._replace(delta_x=0.0)], SHAPE)
    calibration = regions.calibration(Spacing(0.3, 0.3), "table")
    assert (calibration.spacing, calibration.origin, calibration.reason) == (Spacing(0.3, 0.3), "table", "")
    assert calibration.at(Box(0, 0, 5, 5)).spacing == Spacing(0.3, 0.3)
    assert calibration.regions == regions.scan
    with pytest.raises(InputError):
        regions.calibration(Spacing(-1, 1))


def test_blank_outside_keeps_only_the_boxes() -> None:
    pixels = np.full((10, 12), 7, dtype=np.uint8)
    kept = blank_outside(pixels, [Box(2, 3, 4, 5), Box(5, 6, 3, 2)])
    expected = np.zeros_like(pixels)
    expected[2:6, 3:8] = expected[5:8, 6:8] = 7
    assert np.array_equal(kept, expected)
    assert (pixels == 7).all()  # the input is unchanged


numbers = st.none() | st.integers(-300, 400)
deltas = st.none() | st.floats() | st.floats(0.001, 0.1)
raw = st.builds(
    RawRegion,
    st.sampled_from([None, 0, 1, 1, 1, 2]),
    st.sampled_from([None, 1, 1, 1, 2]),
    numbers,
    numbers,
    numbers,
    numbers,
    st.sampled_from([None, 3, 3, 3, 0, 4, 99]),
    st.sampled_from([None, 3, 3, 3, 0, 4, 99]),
    deltas,
    deltas,
)


@pytest.mark.process
@given(st.lists(raw, max_size=4))
@settings(max_examples=60, deadline=None)
def test_invariants_for_any_items(items: list[RawRegion]) -> None:
    regions = read_regions(items, SHAPE)
    assert bool(regions.scan) != bool(regions.reason)
    for region in regions.scan:
        assert Box(0, 0, *SHAPE).holds(region.box)
        assert (region.spacing is None) == bool(region.reason)
        if region.spacing is not None:
            assert all(0.001 <= value <= 10 for value in region.spacing)
            same = [one for one in items if (one.x0, one.y0) == (region.box.left, region.box.top)]
            assert any(one.units_x == one.units_y == 3 for one in same)
            assert set(region.rules) <= set(RULES)
    calibration = regions.calibration()
    assert (calibration.spacing is None) == bool(calibration.reason)


M_MODE, SPECTRAL, WAVEFORM, GRAPHICS = (GOOD._replace(spatial_format=kind) for kind in (2, 3, 4, 5))


@pytest.mark.parametrize(
    ("raw", "content", "refused"),
    [
        ([M_MODE], "M-mode", True),
        ([SPECTRAL, SPECTRAL], "spectral Doppler", True),
        ([SPECTRAL, WAVEFORM, GRAPHICS], "spectral Doppler and waveforms and graphics", True),
        ([WAVEFORM], "waveforms", False),
        ([GRAPHICS], "graphics", False),
        ([GOOD, SPECTRAL], "", False),
        ([GOOD._replace(spatial_format=0)], "", False),
        ([GOOD._replace(spatial_format=None), M_MODE], "", False),
        ([], "", False),
    ],
)
def test_regions_that_are_no_b_mode(raw: list[RawRegion], content: str, refused: bool) -> None:
    assert other_content(raw) == content
    assert is_no_b_mode(raw) is refused
    assert any(content in text for text in region_warnings(raw, (), SHAPE)) is bool(content)


LEFT, RIGHT = GOOD._replace(x0=0, x1=99, y0=0, y1=99), GOOD._replace(x0=100, x1=199, y0=0, y1=99)
UPPER, LOWER = GOOD._replace(y0=0, y1=39), GOOD._replace(y0=40, y1=79)


@pytest.mark.parametrize(
    ("raw", "split"),
    [
        ([LEFT, RIGHT], True),
        ([UPPER, LOWER], True),
        ([LEFT], False),
        ([LEFT, LEFT], False),  # an item for each probe
        ([GOOD, UPPER], False),  # they overlap
        ([LEFT, RIGHT._replace(spatial_format=3)], False),
    ],
)
def test_two_images_side_by_side_are_a_split_screen(raw: list[RawRegion], split: bool) -> None:
    found = region_warnings(raw, read_regions(raw, SHAPE).scan, SHAPE)
    assert [text.startswith("a split screen: 2 images") for text in found] == [True] * split


@pytest.mark.parametrize(("x1", "warned"), [(49, False), (50, True), (99, True)])
def test_colour_flow_over_most_of_the_scan_is_warned_of(x1: int, warned: bool) -> None:
    raw = [LEFT, LEFT._replace(data_type=2, x1=x1)]
    found = region_warnings(raw, read_regions(raw, SHAPE).scan, SHAPE)
    assert [text.startswith("colour flow (Doppler) covers") for text in found] == [True] * warned
    assert MAX_COLOUR_FLOW == 0.5
