"""Packed segmentations: small, and exact when unpacked."""

from __future__ import annotations

import numpy as np
import pytest

from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.results.lazy_segmentations import PackedSegmentation, unpacked


def segmented(index: int) -> Segmentation:
    random = np.random.default_rng(index)
    mask = random.random((40, 31)) < 0.3
    frame = Frame(random.integers(0, 255, mask.shape, dtype=np.uint8), index=index)
    probability = mask.astype(np.float32) * np.float32(0.7)
    return Segmentation(frame, probability, mask, mask, 0.5, {"attention_1": probability}, "m (0123456)", "r")


def test_mask_round_trip() -> None:
    whole = [segmented(index) for index in range(3)]
    packed = unpacked([PackedSegmentation.of(one) for one in whole])
    assert len(packed) == 3
    for one, back in zip(whole, packed, strict=True):
        assert np.array_equal(back.mask, one.mask)
        assert np.array_equal(back.probability, one.mask.astype(np.float32))
        assert (back.frame.index, back.frame.shape) == (one.frame.index, one.frame.shape)
        assert not back.frame.pixels.any()
        assert (back.model, back.runtime, back.threshold, back.attention) == ("m (0123456)", "r", 0.5, None)
    assert [one.frame.index for one in packed[1:]] == [1, 2]
    with pytest.raises(IndexError):
        packed[3]


def test_packed_segmentation_is_small() -> None:
    packed = PackedSegmentation.of(segmented(0))
    light = packed.light
    assert light.frame.pixels.strides == (0, 0), "one byte, however large the frame"
    assert light.mask.size == light.raw_mask.size == light.probability.size == 1
    assert len(packed.mask) < 40 * 31
