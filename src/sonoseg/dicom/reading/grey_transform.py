"""Transform from stored values to displayed grey: rescale, windows, lookup tables, palettes, inversion.

Source: PS3.3 C.7.6.3.1 (photometric interpretation, palettes), C.11.1 and C.11.2 (rescale, VOI windows).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.dicom.reading.header import ImageHeader
from sonoseg.dicom.reading.lookup_tables import LookupTable
from sonoseg.image.grey import grey_array

MAX_STORED = 16
"""Most bits of a stored value: the transform is a table with an entry for each value."""


class GreyTransform:
    """Transform of all frames of a file from stored values to grey, as a table that is computed once.

    Monochrome: rescale, then the VOI LUT or the first usable window; without either, values of up to 8 bits
    keep their full range, and deeper ones are scaled by each frame's minimum and maximum. MONOCHROME1 (or
    PresentationLUTShape INVERSE) is inverted. Palette: looked up, then converted to grey by ITU-R 601.
    """

    def __init__(self, header: ImageHeader) -> None:
        self._mask = (1 << header.stored) - 1
        patterns = np.arange(1 << header.stored, dtype=np.int64)
        half = 1 << (header.stored - 1)
        values = np.where(patterns >= half, patterns - 2 * half, patterns) if header.signed else patterns
        self._inverse = header.inverse
        self._values: NDArray[np.float64] = values * np.float64(header.slope) + np.float64(header.intercept)
        self._table: NDArray[np.uint8] | None = None
        self._colours: NDArray[np.uint8] | None = None
        if header.palette is not None:
            self._colours = _palette_colours(values, header.palette)
            self._table = grey_array(self._colours[None])[0]
        elif (windowed := _windowed(self._values, header)) is not None:
            self._table = windowed
        elif header.stored <= 8:
            low, high = float(self._values.min()), float(self._values.max())
            if high > low:
                self._table = _to_grey((self._values - low) / (high - low))

    def __call__(self, stored: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """Return grey uint8 (H, W) of stored values (H, W); bits above BitsStored are ignored."""
        index = self._index(stored)
        if self._table is not None:
            pixels: NDArray[np.uint8] = self._table[index]
            if self._colours is not None:
                return pixels
            # A window in which this frame is uniform is not meant for it.
            if pixels.min() != pixels.max() or index.min() == index.max():
                return _inverted(pixels) if self._inverse else pixels
        pixels = grey_array(self._values[index])
        return _inverted(pixels) if self._inverse else pixels

    def colours(self, stored: NDArray[np.integer[Any]]) -> NDArray[np.uint8] | None:
        """Return the palette's RGB uint8 (H, W, 3) of stored values (H, W); None without a palette."""
        return None if self._colours is None else self._colours[self._index(stored)]

    def _index(self, stored: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
        unsigned = stored.view(stored.dtype.str.replace("i", "u")) if stored.dtype.kind == "i" else stored
        index: NDArray[np.integer[Any]] = unsigned & unsigned.dtype.type(
            self._mask & np.iinfo(unsigned.dtype).max
        )
        return index


def _inverted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    inverted: NDArray[np.uint8] = np.uint8(255) - pixels
    return inverted


def _windowed(values: NDArray[np.float64], header: ImageHeader) -> NDArray[np.uint8] | None:
    """Return the table of the VOI LUT or of the first usable window; None without either."""
    if header.voi is not None:
        table = header.voi.values.astype(np.float64)
        index = np.clip(np.rint(values) - header.voi.first, 0, len(table) - 1).astype(np.int64)
        top = float(max(table.max(), 1))
        if table.max() > table.min():
            return _to_grey(table[index] / min(top, 2.0**header.voi.bits - 1))
    for centre, width in header.windows:
        # PS3.3 C.11.2.1.2.1: at least 1 wide; LINEAR_EXACT and SIGMOID (C.11.2.1.3) above 0.
        least = 1.0 if header.function == "LINEAR" else 0.0
        if not (np.isfinite(centre) and np.isfinite(width) and width >= least and width > 0):
            continue
        low, high = centre - width / 2, centre + width / 2
        if high <= values.min() or low >= values.max():
            continue  # contains no value that can be stored
        if header.function == "SIGMOID":
            share = 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
        elif header.function == "LINEAR_EXACT":
            share = (values - centre) / width + 0.5
        elif width > 1:
            share = (values - (centre - 0.5)) / (width - 1) + 0.5
        else:
            share = (values > centre - 0.5).astype(np.float64)
        return _to_grey(share)
    return None


def _to_grey(share: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Scale 0..1 to 0..255, clipped."""
    scaled: NDArray[np.uint8] = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return scaled


def _palette_colours(
    values: NDArray[np.int64], palette: tuple[LookupTable, LookupTable, LookupTable]
) -> NDArray[np.uint8]:
    """Return the RGB of each stored value, uint8 (N, 3): the three tables in 8 bits."""
    tables = [lookup.values for lookup in palette]
    # Tables of 16 bits hold 8-bit colour in their upper byte, but some writers use the lower one.
    shift = 8 if max(int(table.max()) for table in tables) > 255 else 0
    colours = []
    for lookup, table in zip(palette, tables, strict=True):
        index = np.clip(values - lookup.first, 0, len(table) - 1)  # PS3.3 C.7.6.3.1.5: beyond the ends
        colours.append(np.clip(table[index] >> shift, 0, 255).astype(np.uint8))
    return np.stack(colours, axis=-1)
