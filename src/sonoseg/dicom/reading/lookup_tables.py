"""Lookup tables of a file: palettes, whole or segmented, and the VOI LUT.

Source: PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6 (palettes), C.7.9.2 (segmented palettes), C.11.2 (VOI LUT).

Not pydicom's `apply_color_lut` and `apply_voi_lut`: they expand segments without a limit, and refuse tables
of another length or depth than their descriptor says, which scanners write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.dicom.reading.element_values import items, number, numbers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAX_ENTRIES = 1 << 16
"""Most entries of a table: an input of 16 bits has no more values."""


@dataclass(frozen=True, eq=False)
class LookupTable:
    """A lookup table: its values (N,), the input value of the first one, and the bits of its values."""

    values: NDArray[np.int64]
    first: int
    bits: int


def voi_table(dataset: Dataset) -> LookupTable | None:
    """Read the first usable table of VOILUTSequence; None if there is none."""
    for item in items(dataset, "VOILUTSequence"):
        descriptor = numbers(item.get("LUTDescriptor"))
        values = _entries(item.get("LUTData"), 16, _is_big_endian(dataset))
        if len(descriptor) == 3 and len(values) > 1:
            bits = min(max(int(descriptor[2]), 1), 16)
            return LookupTable(values[:MAX_ENTRIES], _first(descriptor[1], dataset), bits)
    return None


def palette(dataset: Dataset) -> tuple[LookupTable, LookupTable, LookupTable] | None:
    """Read the red, green and blue tables of a palette; None if one is missing or empty."""
    tables = []
    for colour in ("Red", "Green", "Blue"):
        name = f"{colour}PaletteColorLookupTable"
        descriptor = numbers(dataset.get(f"{name}Descriptor"))
        if len(descriptor) != 3:
            return None
        count, bits = int(descriptor[0]) or MAX_ENTRIES, int(descriptor[2])  # 0 stands for 65,536
        data = dataset.get(f"{name}Data")
        if data:
            # 8-bit entries may be stored in 16 bits each.
            packed = isinstance(data, bytes) and len(data) < 2 * count
            values = _entries(data, bits if packed else 16, _is_big_endian(dataset))
        else:
            segments = _entries(dataset.get(f"Segmented{name}Data"), bits, _is_big_endian(dataset))
            values = expand_segments(segments, bits)
        if len(values) < 2:
            return None
        tables.append(LookupTable(values[:count], _first(descriptor[1], dataset), bits))
    red, green, blue = tables
    return red, green, blue


def expand_segments(data: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Expand a segmented table (N,) of `bits` bits: discrete, linear and indirect segments.

    Stops at MAX_ENTRIES entries, after MAX_ENTRIES segments, or at the first invalid segment.
    """
    entries: list[int] = data.tolist()  # lists: the segments are many and short
    table: list[int] = []
    left = MAX_ENTRIES  # segments: indirect ones that copy each other would otherwise run for hours

    def expand(at: int, segments: int | None, nested: bool) -> None:
        nonlocal left
        done = 0
        while at + 2 < len(entries) and len(table) < MAX_ENTRIES and done != segments and left:
            left -= 1
            kind, length = entries[at : at + 2]
            at += 2
            if kind == 0:
                table.extend(entries[at : at + length])
                at += length
            elif kind == 1 and table:
                last, end = table[-1], entries[at]
                table.extend(round(last + (end - last) * step / length) for step in range(1, length + 1))
                at += 1
            elif kind == 2 and not nested:
                # A byte offset: low and high word, or for 8-bit tables four bytes in the same order.
                wide = 2 if bits > 8 else 4
                offset = sum(part << (32 // wide * k) for k, part in enumerate(entries[at : at + wide]))
                at += wide
                expand(offset // 2 if bits > 8 else offset, length, nested=True)
            else:
                return
            done += 1

    expand(0, None, nested=False)
    return np.asarray(table[:MAX_ENTRIES], dtype=np.int64)


def _entries(data: Any, bits: int, big_endian: bool) -> NDArray[np.int64]:
    """Return the entries of a table given as bytes or as numbers."""
    if not isinstance(data, bytes):
        return np.asarray(numbers(data)).astype(np.int64)
    if bits <= 8:
        return np.frombuffer(data, dtype=np.uint8).astype(np.int64)
    even = data[: len(data) // 2 * 2]
    return np.frombuffer(even, dtype=">u2" if big_endian else "<u2").astype(np.int64)


def _first(value: float, dataset: Dataset) -> int:
    """Return the first input value of a table: US or SS by PixelRepresentation, however pydicom read it."""
    if number(dataset.get("PixelRepresentation")) == 1 and value > 0x7FFF:
        return int(value) - 0x10000
    return int(value)


def _is_big_endian(dataset: Dataset) -> bool:
    return dataset.original_encoding[1] is False
