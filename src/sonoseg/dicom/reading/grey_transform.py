"""From stored values to the grey a viewer shows: windows, tables, palettes, inversion.

Source: PS3.3 C.7.6.3.1 (photometric interpretation, palettes), C.11.1 and C.11.2 (rescale, VOI windows).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.dicom.reading.header import Header
from sonoseg.dicom.reading.lookup_tables import Lookup
from sonoseg.image.grey import grey_array

MAX_STORED = 16
"""Most bits of a stored value: each value then has its place in a table."""


class Tone:
    """The way from stored values to grey for all frames of a file: a table, made once.

    Monochrome: rescale, then the VOI table or the first sensible window; without one, values of up to 8 bits
    keep their full range, and deeper ones are scaled from the frame's own least and greatest value.
    MONOCHROME1 (or an INVERSE presentation) is turned round. Palette: looked up, then grey by ITU-R 601.
    """

    def __init__(self, header: Header) -> None:
        self._mask = (1 << header.stored) - 1
        patterns = np.arange(1 << header.stored, dtype=np.int64)
        half = 1 << (header.stored - 1)
        values = np.where(patterns >= half, patterns - 2 * half, patterns) if header.signed else patterns
        self._inverse = header.inverse
        self._values: NDArray[np.float64] = values * np.float64(header.slope) + np.float64(header.intercept)
        self._table: NDArray[np.uint8] | None = None
        if header.palette is not None:
            self._table = _palette_grey(values, header.palette)
        elif (shown := _shown(self._values, header)) is not None:
            self._table = shown
        elif header.stored <= 8:
            low, high = float(self._values.min()), float(self._values.max())
            if high > low:
                self._table = _to_grey((self._values - low) / (high - low))
        self._is_palette = header.palette is not None

    def grey(self, stored: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """Grey uint8 (H, W) of stored values (H, W); bits beyond the stored ones are ignored."""
        unsigned = stored.view(stored.dtype.str.replace("i", "u")) if stored.dtype.kind == "i" else stored
        index = unsigned & unsigned.dtype.type(self._mask & np.iinfo(unsigned.dtype).max)
        if self._table is not None:
            pixels: NDArray[np.uint8] = self._table[index]
            if self._is_palette:
                return pixels
            # A window that shows nothing of this frame is no window for it.
            if pixels.min() != pixels.max() or index.min() == index.max():
                return _inverted(pixels) if self._inverse else pixels
        pixels = grey_array(self._values[index])
        return _inverted(pixels) if self._inverse else pixels


def _inverted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    inverted: NDArray[np.uint8] = np.uint8(255) - pixels
    return inverted


def _shown(values: NDArray[np.float64], header: Header) -> NDArray[np.uint8] | None:
    """The table of the VOI LUT or of the first sensible window; None without one."""
    if header.voi is not None:
        table = header.voi.values.astype(np.float64)
        place = np.clip(np.rint(values) - header.voi.first, 0, len(table) - 1).astype(np.int64)
        top = float(max(table.max(), 1))
        if table.max() > table.min():
            return _to_grey(table[place] / min(top, 2.0**header.voi.bits - 1))
    for centre, width in header.windows:
        # PS3.3 C.11.2.1.2.1: at least 1 wide; LINEAR_EXACT and SIGMOID (C.11.2.1.3) above 0.
        least = 1.0 if header.function == "LINEAR" else 0.0
        if not (np.isfinite(centre) and np.isfinite(width) and width >= least and width > 0):
            continue
        low, high = centre - width / 2, centre + width / 2
        if high <= values.min() or low >= values.max():
            continue  # shows none of the values that can be stored
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
    """0..255 of shares of white, those beyond 0..1 cut."""
    scaled: NDArray[np.uint8] = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    return scaled


def _palette_grey(values: NDArray[np.int64], palette: tuple[Lookup, Lookup, Lookup]) -> NDArray[np.uint8]:
    """Grey for each stored value: the three tables, cut to 8 bits, weighed by ITU-R 601."""
    tables = [lookup.values for lookup in palette]
    # Tables of 16 bits hold 8-bit colour in their upper byte, but some writers use the lower one.
    shift = 8 if max(int(table.max()) for table in tables) > 255 else 0
    colours = []
    for lookup, table in zip(palette, tables, strict=True):
        place = np.clip(values - lookup.first, 0, len(table) - 1)  # beyond the ends: the last entries
        colours.append(np.clip(table[place] >> shift, 0, 255).astype(np.uint8))
    grey: NDArray[np.uint8] = grey_array(np.stack(colours, axis=-1)[None])[0]
    return grey
