"""Two orthogonal views joined: an ellipsoid cut by two planes gives back its axes and its volume."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sonoseg.errors import InputError
from sonoseg.image.calibration import Spacing
from sonoseg.image.frame import Frame
from sonoseg.lesions.measurement import Findings, measure_mask
from sonoseg.lesions.orthogonal_views import AGREE, join

TENTH = Spacing(0.1, 0.1)


def view(half_width: float, half_height: float, spacing: Spacing | None = TENTH) -> Findings:
    """One plane through an ellipsoid: an upright ellipse, its half axes in pixels."""
    rows, columns = np.indices((180, 220)) - np.array([90.0, 110.0])[:, None, None]
    mask = (rows / half_height) ** 2 + (columns / half_width) ** 2 <= 1
    return measure_mask(Frame(np.zeros(mask.shape, dtype=np.uint8), spacing, name="view"), mask, image=False)


@settings(max_examples=20, deadline=None)
@example(half=87.875, narrow=0.5, flat=0.8125)
@given(st.floats(40, 100), st.floats(0.5, 0.9), st.floats(0.5, 0.9))
def test_an_ellipsoid(half: float, narrow: float, flat: float) -> None:
    wide, other = view(half, half * flat), view(half * narrow, half * flat)
    pair = join(wide, other)
    assert pair.unit == "mm"
    # One pixel; where the longest axis slants from corner to corner, its perpendicular, which slants too, may
    # be a little more.
    assert pair.dimensions == pytest.approx((0.2 * half, 0.2 * half * flat, 0.2 * half * narrow), abs=0.125)
    true = math.pi / 6 * (0.2 * half) ** 3 * flat * narrow
    assert pair.volume == pytest.approx(true, rel=0.08)  # a pixel more on each of 20 to 200
    assert pair.volume == pytest.approx(math.pi / 6 * math.prod(pair.dimensions))
    assert pair.warnings == ()
    turned = join(other, wide)
    assert (turned.dimensions, turned.volume) == (pair.dimensions, pair.volume)
    assert turned.heights == pair.heights[::-1]


def test_what_speaks_against_a_pair_is_said() -> None:
    (warning,) = join(view(60, 40), view(50, 40 * (1 - AGREE) - 3)).warnings
    assert "heights" in warning
    assert "mm" in warning
    pixels = join(view(60, 40, None), view(50, 40, None))
    assert pixels.unit == "px"
    assert "pixels" in pixels.warnings[0]
    mask = np.zeros((60, 60), dtype=bool)
    mask[5:25, 5:45] = mask[40:45, 40:50] = True
    two = measure_mask(Frame(np.zeros(mask.shape, dtype=np.uint8), Spacing(0.1, 0.1)), mask, image=False)
    assert "2 lesions" in join(two, two).warnings[0]


def test_views_that_cannot_be_joined() -> None:
    nothing = measure_mask(
        Frame(np.zeros((30, 30), dtype=np.uint8), name="dark"), np.zeros((30, 30), dtype=bool)
    )
    with pytest.raises(InputError, match="no lesion") as error:
        join(view(60, 40), nothing)
    assert error.value.where == "dark"
    with pytest.raises(InputError, match="measured in mm"):
        join(view(60, 40), view(50, 40, None))
