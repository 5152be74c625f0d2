"""Bits packed frame after frame are those that pydicom unpacks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.utils import pack_bits, unpack_bits

from sonoseg.dicom.writing.bit_packing import BitPacker


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_frames_run_on_without_gaps(frames: int, height: int, width: int, seed: int) -> None:
    masks = np.random.default_rng(seed).random((frames, height, width)) < 0.5
    packer = BitPacker()
    for mask in masks:
        packer.add(mask)
    data = packer.packed()
    assert len(data) % 2 == 0
    assert data == pack_bits(masks.astype(np.uint8).ravel(), pad=True)
    assert np.array_equal(unpack_bits(data)[: masks.size].reshape(masks.shape), masks)
