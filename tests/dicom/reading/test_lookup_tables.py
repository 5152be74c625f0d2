"""Palettes and VOI LUTs as files write them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from sonoseg.dicom.reading.lookup_tables import expand_segments, palette, voi_table


def coloured(**elements: object) -> Dataset:
    ds = Dataset()
    for colour in ("Red", "Green", "Blue"):
        for what, value in elements.items():
            prefix = "Segmented" if what == "Segmented" else ""
            name = f"{prefix}{colour}PaletteColorLookupTable{'Data' if prefix else what}"
            setattr(ds, name, value)
    return ds


def test_palette_of_8_or_16_bits() -> None:
    tables = palette(coloured(Descriptor=[3, 5, 16], Data=b"\x01\x02\x03\x04\x05\x06"))
    assert tables is not None
    assert (tables[0].values.tolist(), tables[0].first, tables[0].bits) == ([0x201, 0x403, 0x605], 5, 16)
    tables = palette(coloured(Descriptor=[4, 0, 8], Data=b"\x01\x02\x03\x04"))
    assert tables is not None
    assert tables[2].values.tolist() == [1, 2, 3, 4]
    tables = palette(coloured(Descriptor=[4, 0, 8], Data=b"\x01\x00\x02\x00\x03\x00\x04\x00"))
    assert tables is not None
    assert tables[1].values.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "elements", [{}, {"Descriptor": [3, 0, 16]}, {"Descriptor": [3, 0, 16], "Data": b"\x01\x02"}]
)
def test_missing_palette(elements: dict[str, object]) -> None:
    assert palette(coloured(**elements)) is None


def test_expanded_segments() -> None:
    # Discrete: two values; linear: four values to 20; indirect: both again (PS3.3 C.7.9.2).
    data = np.array([0, 2, 10, 12, 1, 4, 20, 2, 2, 0, 0])
    assert expand_segments(data, 16).tolist() == [10, 12, 14, 16, 18, 20, 10, 12, 14, 16, 18, 20]
    assert expand_segments(np.array([1, 4, 20]), 16).tolist() == []  # a linear segment cannot come first


def test_segments_agree_with_pydicom() -> None:
    from pydicom.pixels.processing import _expand_segmented_lut

    data = (0, 3, 5, 900, 17, 1, 100, 60000, 0, 1, 4, 1, 33, 0)
    assert expand_segments(np.array(data), 16).tolist() == _expand_segmented_lut(data, "<H")


def test_expansion_of_copying_segments_is_limited() -> None:
    data = np.array([0, 0] * 3000 + [2, 65535, 0, 0] * 5000)
    assert len(expand_segments(data, 16)) == 0


@given(st.lists(st.integers(0, 5) | st.integers(0, 65535), max_size=60), st.sampled_from([8, 16]))
@settings(max_examples=60, deadline=None)
def test_expansion_of_any_segments_is_limited(entries: list[int], bits: int) -> None:
    assert len(expand_segments(np.array(entries, dtype=np.int64), bits)) <= 65536


def test_voi_lut() -> None:
    item = Dataset()
    item.LUTDescriptor = [4, 100, 12]
    item.LUTData = np.array([0, 10, 20, 4095], dtype="<u2").tobytes()
    ds = Dataset()
    ds.VOILUTSequence = [item]
    table = voi_table(ds)
    assert table is not None
    assert (table.values.tolist(), table.first, table.bits) == ([0, 10, 20, 4095], 100, 12)
    assert voi_table(Dataset()) is None
