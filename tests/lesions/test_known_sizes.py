"""The proof: sizes of phantoms and of ellipses within a pixel, and boxes that agree with BUS-BRA's own."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonoseg.data.mask_reading import read_mask
from sonoseg.data.phantoms import draw_spec
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.lesions.geometry import convex_hull, longest_axis, perpendicular
from sonoseg.lesions.measurement import Lesion, measure_mask

SQUARE = Spacing(1, 1)


def only(mask: np.ndarray, spacing: Spacing | None = None) -> Lesion:
    (lesion,) = measure_mask(Frame(np.zeros(mask.shape, dtype=np.uint8), spacing), mask, image=False).lesions
    return lesion


def ellipse(
    major: float, aspect: float, angle: float, middle: tuple[float, float], pixel: Spacing = SQUARE
) -> np.ndarray:
    """The pixels whose middles lie in an ellipse: half axes in the pixel's unit, angle in radians."""
    reach = math.ceil(major / min(pixel)) + 3
    rows, columns = np.indices((2 * reach + 1, 2 * reach + 1)) - float(reach)
    rows, columns = (rows - middle[0]) * pixel.row, (columns - middle[1]) * pixel.column
    along = columns * math.cos(angle) + rows * math.sin(angle)
    across = -columns * math.sin(angle) + rows * math.cos(angle)
    return np.asarray((along / major) ** 2 + (across / (major * aspect)) ** 2 <= 1)


def sizes(major: float, aspect: float, angle: float) -> tuple[float, float, float, float]:
    """Of an ellipse: longest axis, perpendicular, width, height."""
    a, b, cosine, sine = major, major * aspect, math.cos(angle), math.sin(angle)
    return 2 * a, 2 * b, 2 * math.hypot(a * cosine, b * sine), 2 * math.hypot(a * sine, b * cosine)


def lost(major: float, aspect: float) -> float:
    """What a mask loses at an ellipse's two tips where they lie between two rows of pixels, in pixels.

    Half a pixel from its axis an ellipse ends a / (8 b^2) pixels early: no measure sees more than the mask.
    """
    return 1 / (4 * major * aspect**2)


def found(lesion: Lesion) -> tuple[float, float, float, float]:
    return lesion.longest_axis, lesion.perpendicular, lesion.width, lesion.height


HALF = st.floats(-0.5, 0.5)


@pytest.mark.process
@settings(max_examples=80, deadline=None)
@given(st.floats(4, 60), st.floats(0.4, 1), st.floats(0, math.pi), st.tuples(HALF, HALF))
def test_ellipses_within_a_pixel(
    major: float, aspect: float, angle: float, middle: tuple[float, float]
) -> None:
    lesion = only(ellipse(major, aspect, angle, middle))
    assert found(lesion) == pytest.approx(sizes(major, aspect, angle), abs=1 + lost(major, aspect))
    assert lesion.equivalent_diameter == pytest.approx(2 * major * math.sqrt(aspect), abs=1)
    if aspect < 0.75 and major > 8:
        off = math.radians(lesion.angle) - min(angle, math.pi - angle)
        assert abs(math.degrees(off)) < 20


@pytest.mark.process
@settings(max_examples=60, deadline=None)
@given(st.floats(2, 5), st.floats(0.4, 1), st.floats(0, math.pi), st.floats(0.05, 0.2), st.floats(0.05, 0.2))
def test_ellipses_in_millimetres_within_a_pixel_of_the_coarser_side(
    major: float, aspect: float, angle: float, down: float, right: float
) -> None:
    pixel = Spacing(down, right)
    lesion = only(ellipse(major, aspect, angle, (0.2, 0.3), pixel), pixel)
    assert lesion.unit == "mm"
    allowed = max(pixel) * (1 + lost(major / max(pixel), aspect))
    assert found(lesion) == pytest.approx(sizes(major, aspect, angle), abs=allowed)
    assert lesion.width == lesion.box[3] * right
    assert lesion.height == lesion.box[2] * down


@pytest.mark.process
@pytest.mark.parametrize(("kind", "seeds"), [("cyst", 4), ("oval", 4), ("spiculated", 6)])
def test_phantoms_of_known_size(kind: str, seeds: int) -> None:
    # The mask as render() makes it (a pixel whose middle is inside), without painting the image.
    for seed in range(seeds):
        spec = draw_spec(9_000 + seed, kind=kind)
        outline = spec.outline()
        assert outline is not None
        rows, columns = np.indices(spec.inner)
        distance, _ = outline.distance(
            (rows * spec.spacing.row).astype(np.float32), (columns * spec.spacing.column).astype(np.float32)
        )
        lesion = only(distance < 0, spec.spacing)
        pixel = max(spec.spacing)
        assert longest_axis(convex_hull(outline.points))[1] == pytest.approx(spec.size_mm, rel=1e-3)
        # Of several axes nearly as long the mask may have another: the true chord across the one it has.
        ends = np.array(lesion.longest_axis_ends) * spec.spacing
        # A tip that passes between the middles of pixels is in no mask, wherever it is drawn; what discs of
        # half a pixel's diagonal reach is in each. So much is asked: a pixel from there to the curve.
        most = spans(outline.points, ends)
        least = spans(outline.opened(pixel / math.sqrt(2)), ends) if kind == "spiculated" else most
        for name, size, upper, lower in zip(SIZES, found(lesion), most, least, strict=True):
            assert lower - pixel < size < upper + pixel, (name, seed)


SIZES = ("longest axis", "perpendicular", "width", "height")


def spans(points: np.ndarray, ends: np.ndarray) -> tuple[float, float, float, float]:
    """Longest axis, perpendicular of the axis between `ends`, width and height of points, in their unit."""
    hull = convex_hull(points)
    height, width = np.ptp(points, axis=0)
    return longest_axis(hull)[1], perpendicular(hull, ends)[1], float(width), float(height)


def test_one_pixel_a_line_a_ring_and_a_lesion_at_the_border() -> None:
    mask = np.zeros((30, 40), dtype=bool)
    mask[7, 9] = True
    one = only(mask, Spacing(0.5, 0.25))
    assert (one.width, one.height, one.area, one.longest_axis) == (0.25, 0.5, 0.125, 0.5)
    assert one.perpendicular == 0.25
    assert (one.angle, one.depth) == (90, 3.5)
    assert one.perpendicular_ends == ((7, 8.5), (7, 9.5)) or one.perpendicular_ends == ((7, 9.5), (7, 8.5))

    line = np.zeros((30, 40), dtype=bool)
    line[29, 5:38] = True  # along the border
    flat = only(line)
    assert (flat.longest_axis, flat.perpendicular, flat.height_width_ratio) == (33, 1, 1 / 33)
    assert (flat.angle, flat.orientation, flat.depth) == (0, "parallel", 29)
    assert only(line.T).orientation == "not parallel"

    rows, columns = np.indices((81, 81)) - 40
    far = np.hypot(rows, columns)
    disc, ring = only(far <= 30), only((far <= 30) & (far > 20))
    assert ring.area < 0.6 * disc.area
    for name in ("longest_axis", "perpendicular", "width", "height", "perimeter", "circularity", "solidity"):
        assert getattr(ring, name) == getattr(disc, name)

    half = only((far <= 30)[40:])  # cut by the upper border
    assert (half.depth, half.height, half.width) == (0, 31, 61)


@pytest.mark.process
@settings(max_examples=40, deadline=None)
@given(st.floats(6, 40), st.floats(0.4, 1), st.floats(0, math.pi), st.integers(2, 3))
def test_a_finer_grid_gives_the_same_lesion(major: float, aspect: float, angle: float, finer: int) -> None:
    mask = ellipse(major, aspect, angle, (0, 0))
    coarse = only(mask, Spacing(0.1 * finer, 0.1 * finer))
    fine = only(np.kron(mask, np.ones((finer, finer), dtype=bool)), Spacing(0.1, 0.1))
    assert (fine.width, fine.height, fine.area) == pytest.approx((coarse.width, coarse.height, coarse.area))
    assert fine.longest_axis == pytest.approx(coarse.longest_axis, abs=0.1 * finer)
    # On the finer grid the coarse pixels' stairs are true steps, which no smoothing takes away.
    assert fine.perpendicular == pytest.approx(coarse.perpendicular, abs=0.2 * finer)


@pytest.mark.process
@settings(max_examples=40, deadline=None)
@given(st.floats(6, 40), st.floats(0.4, 0.85), st.floats(0, math.pi))
def test_turning_and_mirroring(major: float, aspect: float, angle: float) -> None:
    mask = ellipse(major, aspect, angle, (0.21, -0.13))
    one = only(mask)
    for turned, upright in ((mask[:, ::-1], True), (mask[::-1], True), (np.rot90(mask), False)):
        other = only(np.ascontiguousarray(turned))
        across = (one.width, one.height) if upright else (one.height, one.width)
        assert (other.width, other.height) == across
        for name in ("longest_axis", "perimeter", "area", "circularity", "solidity", "margin_smoothness"):
            assert getattr(other, name) == pytest.approx(getattr(one, name)), name
        # Of several axes of one length another may come first, and its perpendicular and angle with it.
        assert other.perpendicular == pytest.approx(one.perpendicular, abs=1.5)
        wanted = one.angle if upright else 90 - one.angle
        if major > 15 and aspect < 0.7:
            assert abs(other.angle - wanted) < 20


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.long)])
def test_boxes_agree_with_those_of_busbra(real_busbra: Path, every: int) -> None:
    with (real_busbra / "bus_data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1875
    known = "bus_0845-s"  # of two pieces, its box is that of one
    rows = [row for place, row in enumerate(rows) if place % every == 0 or row["ID"] == known]
    # BBOX is [left, top, width, height] with places from 1, from the middle of the first pixel to that of the
    # last: a lesion n pixels wide has n - 1 there.
    other = []
    for row in rows:
        mask = read_mask(real_busbra / "Masks" / f"mask_{row['ID'].removeprefix('bus_')}.png")
        lesions = measure_mask(Frame(np.zeros(mask.shape, dtype=np.uint8)), mask, image=False).lesions
        top, left, height, width = lesions[0].box
        assert (lesions[0].height, lesions[0].width) == (height, width)
        theirs = [left + 1, top + 1, width - 1, height - 1]
        if len(lesions) != 1 or theirs != json.loads(row["BBOX"]):
            other.append(row["ID"])
    assert other == [known]
