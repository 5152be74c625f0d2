"""Stored values to grey: windows, lookup tables, inversion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sonoseg.dicom.reading.grey_transform import GreyTransform
from sonoseg.dicom.reading.header import ImageHeader
from sonoseg.dicom.reading.lookup_tables import LookupTable

PLAIN = ImageHeader(
    syntax="1.2.840.10008.1.2.1",
    big_endian=False,
    encapsulated=False,
    kind="",
    modality="US",
    rows=1,
    columns=5,
    frames=1,
    samples=1,
    photometric="MONOCHROME2",
    planar=0,
    allocated=16,
    stored=12,
    high=11,
    signed=False,
    slope=1.0,
    intercept=0.0,
    windows=(),
    function="LINEAR",
    voi=None,
    inverse=False,
    palette=None,
    regions=(),
    key=(),
    extended=(),
    offset=0,
    length=10,
    vr="OW",
)
VALUES = np.array([[0, 1000, 2000, 3000, 4000]], dtype=np.uint16)


def shown(values: np.ndarray = VALUES, **changes: object) -> list[int]:
    return [int(value) for value in GreyTransform(replace(PLAIN, **changes))(values)[0]]  # type: ignore[arg-type]


def test_without_a_window_the_range_of_the_frame() -> None:
    assert shown() == [0, 64, 128, 191, 255]
    assert shown(VALUES + 50) == [0, 64, 128, 191, 255]


def test_eight_bits_are_unchanged() -> None:
    values = np.array([[0, 3, 100, 254, 9]], dtype=np.uint8)
    assert shown(values, allocated=8, stored=8, high=7) == [0, 3, 100, 254, 9]
    assert shown(values // 2, allocated=8, stored=7, high=6) == [0, 2, 100, 255, 8]  # 7 bits: 127 is white


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_agree_with_pydicom(function: str) -> None:
    from pydicom.dataset import Dataset
    from pydicom.pixels.processing import apply_windowing

    ds = Dataset()
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = 2000, 2500, function
    ds.PhotometricInterpretation, ds.BitsStored, ds.PixelRepresentation = "MONOCHROME2", 12, 0
    expected = apply_windowing(VALUES, ds) / 4095 * 255
    found = shown(windows=((2000.0, 2500.0),), function=function)
    assert np.abs(np.array(found) - expected[0]).max() <= 0.51


@pytest.mark.parametrize(
    "window",
    [(2000.0, 0.0), (2000.0, -5.0), (np.nan, 100.0), (1e9, 100.0), (-1e9, 10.0), (4090.0, 2.0)],
)
def test_unusable_window_is_ignored(window: tuple[float, float]) -> None:
    assert shown(windows=(window,)) == [0, 64, 128, 191, 255]


def test_first_usable_window() -> None:
    assert shown(windows=((0.0, 0.0), (2000.5, 1.0))) == [0, 0, 0, 255, 255]


def test_rescale_before_the_window() -> None:
    assert shown(windows=((1000.5, 2001.0),), slope=0.5) == [0, 64, 128, 191, 255]
    assert shown(windows=((1000.5, 2001.0),)) == [0, 128, 255, 255, 255]
    assert shown(slope=-1.0) == [255, 191, 128, 64, 0]


def test_inverted() -> None:
    assert shown(inverse=True) == [255, 191, 127, 64, 0]
    values = np.array([[0, 3, 100, 254, 9]], dtype=np.uint8)
    assert shown(values, allocated=8, stored=8, high=7, inverse=True) == [255, 252, 155, 1, 246]


def test_signed_values_and_bits_that_are_not_stored() -> None:
    values = np.array([[-2048, -1024, 0, 1023, 2047]], dtype=np.int16)
    assert shown(values, signed=True) == [0, 64, 128, 191, 255]
    dirty = (values.view(np.uint16) & 0x0FFF) | 0xA000
    assert shown(dirty, signed=True) == [0, 64, 128, 191, 255]


def test_voi_lut_takes_precedence_over_the_window() -> None:
    table = LookupTable(np.array([0, 0, 255, 255]), 1000, 8)
    assert shown(voi=table, windows=((0.0, 2.0),)) == [0, 0, 255, 255, 255]


def test_uniform_frame() -> None:
    assert shown(np.full((1, 5), 7, dtype=np.uint16)) == [0] * 5


@pytest.mark.parametrize("upper", [True, False])
def test_a_palette_of_sixteen_bits_in_the_upper_or_the_lower_byte(upper: bool) -> None:
    red, rest = np.array([0, 255, 100]) * (257 if upper else 1), np.array([0, 255, 0])
    palette = (
        LookupTable(red, 1, 16),
        LookupTable(rest * (257 if upper else 1), 1, 16),
        LookupTable(rest, 1, 16),
    )
    palette = (palette[0], palette[1], LookupTable(rest * (257 if upper else 1), 1, 16))
    values = np.array([[0, 1, 2, 3, 9]], dtype=np.uint16)
    grey = shown(values, photometric="PALETTE COLOR", palette=palette)
    assert grey == [0, 0, 255, 30, 30]  # beyond the ends: the last entries
