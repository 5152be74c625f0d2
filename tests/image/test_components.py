"""Connected components, held against scipy.ndimage."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from sonoseg.image.components import boxes, fill_holes, grow_box, label

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


def same(mask: np.ndarray, *, corners: bool) -> None:
    structure = np.ones((3, 3)) if corners else None
    expected, count = ndimage.label(mask, structure=structure)
    numbers, found = label(mask, corners=corners)
    assert found == count
    # The same parts, and numbered by their first pixel, whatever scipy's order is.
    pairs = np.unique(np.stack([numbers.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(pairs[0])) == len(np.unique(pairs[1]))
    firsts = [int(np.flatnonzero(numbers.ravel() == n)[0]) for n in range(1, found + 1)]
    assert firsts == sorted(firsts)
    for n, place in enumerate(boxes(numbers, found), start=1):
        assert place == ndimage.find_objects(numbers)[n - 1]


@given(MASKS, st.booleans())
@settings(deadline=None)
def test_components_are_those_of_scipy(mask: np.ndarray, corners: bool) -> None:
    same(mask, corners=corners)


@pytest.mark.parametrize("corners", [True, False])
def test_combs_spirals_and_noise(corners: bool) -> None:
    noise = np.random.default_rng(0).random((90, 70)) < 0.5
    comb = np.zeros((20, 31), dtype=bool)
    comb[:, ::2] = True
    comb[-1] = True
    spiral = np.zeros((41, 41), dtype=bool)
    for k in range(0, 20, 4):
        spiral[k : 41 - k, k] = spiral[k, k : 41 - k] = spiral[k : 41 - k, 40 - k] = True
        spiral[40 - k, k + 2 : 41 - k] = True
        spiral[k + 2, k : k + 2] = True
    chequers = np.indices((12, 12)).sum(axis=0) % 2 == 0
    for mask in (noise, comb, comb[::-1], comb.T, spiral, chequers, ~chequers):
        same(mask, corners=corners)


@given(MASKS)
@settings(deadline=None)
def test_holes_are_those_of_scipy(mask: np.ndarray) -> None:
    assert np.array_equal(fill_holes(mask), ndimage.binary_fill_holes(mask))


@given(MASKS, st.integers(0, 16), st.integers(0, 16))
@settings(deadline=None)
def test_growing_is_a_maximum_over_a_rectangle(mask: np.ndarray, rows: int, columns: int) -> None:
    size = (2 * rows + 1, 2 * columns + 1)
    expected = ndimage.maximum_filter(mask.astype(np.uint8), size=size, mode="constant") > 0
    assert np.array_equal(grow_box(mask, rows, columns), expected)


@pytest.mark.process
def test_a_prediction_of_one_image_needs_no_scipy() -> None:
    code = (
        "import sys, tempfile; from sonoseg.samples import paths; from sonoseg.cli.main import app\n"
        "with tempfile.TemporaryDirectory() as to:\n"
        "    app(['predict', str(paths()[0]), '--out', to, '--quiet', '--runtime', 'onnx'],"
        " standalone_mode=False)\n"
        "slow = ('scipy', 'torch', 'pandas', 'matplotlib', 'pydicom', 'openvino', 'numpy.f2py')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout
