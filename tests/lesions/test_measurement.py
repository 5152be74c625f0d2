"""Findings: sizes of known shapes, order, units, and how they behave when the image is turned."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sonoseg.image.calibration import Box, Calibration, Region, Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import UNLIKE_TRAINING, Findings, measure, measure_mask

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=16))


def found(
    mask: np.ndarray, spacing: Spacing | None = None, probability: np.ndarray | None = None
) -> Findings:
    values = mask.astype(np.float32) if probability is None else probability
    frame = Frame(np.zeros(mask.shape, dtype=np.uint8), spacing, name="scan")
    return measure(Segmentation(frame, values, mask, mask, 0.5, None, "m", "r"))


def test_a_rectangle_in_pixels() -> None:
    mask = np.zeros((40, 50), dtype=bool)
    mask[10:20, 5:29] = True
    findings = found(mask)
    assert findings.name == "scan"
    assert findings.unit == "px"
    assert findings.share == 240 / 2000
    (lesion,) = findings.lesions
    assert lesion.number == 1
    assert (lesion.width, lesion.height, lesion.area, lesion.pixels) == (24, 10, 240, 240)
    assert lesion.box == (10, 5, 10, 24)
    assert lesion.centroid == (14.5, 16.5)
    assert lesion.longest_axis == pytest.approx(math.hypot(24, 10), abs=1)
    assert lesion.equivalent_diameter == pytest.approx(2 * math.sqrt(240 / math.pi))
    (r0, c0), (r1, c1) = lesion.longest_axis_ends
    assert math.hypot(r1 - r0, c1 - c0) == pytest.approx(lesion.longest_axis)


@pytest.mark.parametrize(("top", "depth"), [(5, 0.0), (19, 0.0), (20, 0.0), (23, 3.0)])
def test_depth_is_never_negative(top: int, depth: float) -> None:
    regions = (Region(Box(20, 0, 80, 100), Spacing(0.5, 0.5)),)
    mask = np.zeros((100, 100), dtype=bool)
    mask[top : top + 30, 40:60] = True  # a reader may draw above the scan region
    for person, down in ((None, 0.5), (Spacing(2.0, 1.0), 2.0)):
        calibration = Calibration(person, "given" if person else "none", "", regions)
        frame = Frame(np.full(mask.shape, 90, np.uint8), calibration=calibration)
        assert measure_mask(frame, mask).lesions[0].depth == depth * down


def test_millimetres_with_rows_and_columns_kept_apart() -> None:
    rows, columns = np.indices((120, 200))
    # A disc of 8 mm on a grid of 0.1 mm by 0.05 mm.
    disc = ((rows - 60) * 0.1) ** 2 + ((columns - 100) * 0.05) ** 2 <= 4.0**2
    findings = found(disc, Spacing(0.1, 0.05))
    assert findings.unit == "mm"
    (lesion,) = findings.lesions
    for size in (lesion.width, lesion.height, lesion.longest_axis, lesion.perpendicular):
        assert size == pytest.approx(8.0, abs=0.1001)  # one pixel of the coarser side
    assert lesion.equivalent_diameter == pytest.approx(8.0, abs=0.05)
    assert lesion.area == pytest.approx(math.pi * 16, rel=0.01)
    (r0, c0), (r1, c1) = lesion.longest_axis_ends
    assert math.hypot((r1 - r0) * 0.1, (c1 - c0) * 0.05) == pytest.approx(lesion.longest_axis)
    assert lesion.box[2:] == (81, 161)  # pixels, whatever the unit


def test_several_lesions_the_largest_first_with_their_own_probability() -> None:
    mask = np.zeros((30, 30), dtype=bool)
    mask[2:5, 2:5] = True
    mask[10:20, 10:20] = True
    mask[25, 25] = mask[26, 26] = True  # joined at a corner: one
    probability = np.zeros((30, 30), dtype=np.float32)
    probability[2:5, 2:5] = 0.6
    probability[10:20, 10:20] = 0.8
    probability[15, 15] = 0.95
    findings = found(mask, probability=probability)
    assert [lesion.pixels for lesion in findings.lesions] == [100, 9, 2]
    assert [lesion.number for lesion in findings.lesions] == [1, 2, 3]
    large, small, _ = findings.lesions
    assert large.mean_probability == pytest.approx((99 * 0.8 + 0.95) / 100)
    assert large.peak_probability == pytest.approx(0.95)
    assert small.mean_probability == small.peak_probability == pytest.approx(0.6)


@pytest.mark.parametrize(("distance", "warned"), [(None, False), (0.5, False), (1.0, False), (1.001, True)])
def test_an_image_unlike_the_training_data_is_warned_of(distance: float | None, warned: bool) -> None:
    mask = np.zeros((40, 50), dtype=bool)
    frame = Frame(np.tile(np.arange(50, dtype=np.uint8) * 5, (40, 1)), name="scan")
    one = Segmentation(
        frame, mask.astype(np.float32), mask, mask, 0.5, None, "m", "r", training_distance=distance
    )
    assert measure(one).warnings == ((UNLIKE_TRAINING,) if warned else ())


@pytest.mark.parametrize(("largest", "warned"), [(None, False), (0.2, False), (0.1999, True)])
def test_a_lesion_larger_than_any_in_training_is_warned_of(largest: float | None, warned: bool) -> None:
    mask = np.zeros((40, 50), dtype=bool)
    mask[:10, :40] = True  # a fifth
    frame = Frame(np.tile(np.arange(50, dtype=np.uint8) * 5, (40, 1)), name="scan")
    one = Segmentation(
        frame, mask.astype(np.float32), mask, mask, 0.5, None, "m", "r", largest_training_lesion=largest
    )
    texts = measure(one).warnings
    assert len(texts) == warned
    assert not warned or "lesion 1 covers 20%" in texts[0]


def test_no_lesion() -> None:
    findings = found(np.zeros((20, 20), dtype=bool), Spacing(1, 1))
    assert findings.lesions == ()
    assert findings.share == 0
    assert findings.unit == "mm"


@settings(max_examples=50, deadline=None)
@given(MASKS, st.floats(0.02, 0.5), st.floats(0.02, 0.5))
def test_bounds_and_sums(mask: np.ndarray, down: float, right: float) -> None:
    findings = found(mask, Spacing(down, right))
    assert sum(lesion.pixels for lesion in findings.lesions) == mask.sum()
    assert sum(lesion.area for lesion in findings.lesions) == pytest.approx(mask.sum() * down * right)
    areas = [lesion.pixels for lesion in findings.lesions]
    assert areas == sorted(areas, reverse=True)
    for lesion in findings.lesions:
        top, left, height, width = lesion.box
        assert mask[top : top + height, left : left + width].any(axis=1).all()
        assert max(lesion.width, lesion.height) <= lesion.longest_axis + 1e-9
        assert lesion.longest_axis <= math.hypot(lesion.width, lesion.height) + 1e-9
        assert 0 < lesion.perpendicular <= lesion.longest_axis + 1e-9
        assert top - 0.5 <= lesion.centroid[0] <= top + height - 0.5
        assert left - 0.5 <= lesion.centroid[1] <= left + width - 0.5


@pytest.mark.process
@settings(max_examples=50, deadline=None)
@given(MASKS)
def test_flips_and_quarter_turns_keep_the_sizes(mask: np.ndarray) -> None:
    def sizes(turned: np.ndarray) -> list[tuple[float, ...]]:
        return sorted(
            (one.pixels, round(one.longest_axis, 9), *sorted((one.width, one.height)))
            for one in found(turned).lesions
        )

    for turned in (np.fliplr(mask), np.flipud(mask), np.rot90(mask), mask.T):
        assert sizes(np.ascontiguousarray(turned)) == sizes(mask)


@pytest.mark.process
@settings(max_examples=50, deadline=None)
@given(MASKS, st.floats(0.01, 10))
def test_sizes_grow_with_the_spacing(mask: np.ndarray, scale: float) -> None:
    ones, scaled = found(mask, Spacing(1, 1)), found(mask, Spacing(scale, scale))
    for one, other in zip(ones.lesions, scaled.lesions, strict=True):
        assert other.longest_axis == pytest.approx(one.longest_axis * scale)
        assert other.area == pytest.approx(one.area * scale**2)
        assert other.equivalent_diameter == pytest.approx(one.equivalent_diameter * scale)
        assert other.box == one.box
