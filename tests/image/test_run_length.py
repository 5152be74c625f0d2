"""Run lengths: there and back, and the same as pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from sonoseg.errors import ShapeError
from sonoseg.image.run_length import decode, encode

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(MASKS)
def test_a_mask_comes_back(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(decode(encode(mask)), mask)


@given(MASKS)
def test_pycocotools_writes_and_reads_the_same(mask: NDArray[np.bool_]) -> None:
    ours, theirs = encode(mask), coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert ours["counts"].encode() == theirs["counts"]
    assert ours["size"] == theirs["size"]
    assert np.array_equal(coco.decode(ours).astype(bool), mask)
    assert np.array_equal(decode(theirs), mask)


@pytest.mark.parametrize("inside", [0, 1])
def test_large_runs(inside: int) -> None:
    mask = np.full((2000, 3000), inside, dtype=bool)
    mask[500:1500, 700:2900:7] ^= True
    assert np.array_equal(decode(encode(mask)), mask)
    assert encode(mask)["counts"].encode() == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]


@pytest.mark.parametrize(
    ("counts", "why"),
    [("é", "character"), (" 1", "character"), ("o", "cut short"), ("4", "pixels"), ("n0O", "cut|pixels")],
)
def test_what_is_damaged_is_told(counts: str, why: str) -> None:
    with pytest.raises(ShapeError, match=why):
        decode({"size": [3, 3], "counts": counts})


@given(st.text(max_size=20))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        mask = decode({"size": [4, 5], "counts": text})
    except ShapeError:
        return
    assert mask.shape == (4, 5)
