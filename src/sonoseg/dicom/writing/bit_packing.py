"""Frames of one bit a pixel, packed as they come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class BitPacker:
    """Packs masks as native pixel data of one allocated bit (PS3.5, section 8.1.1 and Annex D).

    The first pixel is the lowest bit of the first byte, and no frame begins anew on a byte.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._rest = np.zeros(0, dtype=bool)

    def add(self, mask: NDArray[np.bool_]) -> None:
        """Append a frame, bool (H, W)."""
        bits = np.concatenate([self._rest, mask.ravel()])
        whole = bits.size - bits.size % 8
        self._bytes += np.packbits(bits[:whole], bitorder="little").tobytes()
        self._rest = bits[whole:]

    def packed(self) -> bytes:
        """All frames, padded to an even number of bytes."""
        data = bytes(self._bytes) + np.packbits(self._rest, bitorder="little").tobytes()
        return data + b"\0" * (len(data) % 2)
