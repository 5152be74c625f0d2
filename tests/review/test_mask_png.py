"""Masks that are sent to us: what is one, what is not, and that it comes back as it went."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from sonoseg.review.http_errors import Unusable
from sonoseg.review.mask_png import (
    fingerprint,
    fraction_of,
    fraction_png,
    mask_of,
    mask_png,
    probability_png,
    read_mask,
    thumbnail_png,
)

SHAPE = (9, 12)


def saved(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


@given(arrays(np.bool_, SHAPE))
def test_a_mask_comes_back_pixel_for_pixel(mask: np.ndarray) -> None:
    assert np.array_equal(read_mask(mask_png(mask), SHAPE), mask)
    assert np.array_equal(mask_of(mask_png(mask)), mask)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
def test_every_way_to_write_a_mask(mode: str) -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[2:5, 3:9] = True
    image = Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).convert(mode)
    assert np.array_equal(read_mask(saved(image), SHAPE), mask)


def test_transparent_is_no_lesion() -> None:
    pixels = np.zeros((*SHAPE, 4), dtype=np.uint8)
    pixels[2:5, 3:9] = 255
    pixels[0, 0] = (255, 255, 255, 0)
    read = read_mask(saved(Image.fromarray(pixels)), SHAPE)
    assert read.sum() == 18
    assert not read[0, 0]


def grey(value: int) -> Image.Image:
    return Image.fromarray(np.full(SHAPE, value, dtype=np.uint8))


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "not a PNG"),
        (b"<html>", "not a PNG"),
        (saved(grey(255), "JPEG"), "not a PNG"),
        (saved(grey(255))[:-20], "truncated"),
        (saved(grey(255))[:50] + saved(grey(255))[60:], "damaged"),
        (saved(grey(128)), "values other"),
        (saved(grey(1)), "values other"),
        (saved(Image.new("RGB", (12, 9), (255, 0, 0))), "colours"),
        (saved(Image.new("RGBA", (12, 9), (255, 255, 255, 128))), "half-transparent"),
        (saved(Image.fromarray(np.full(SHAPE, 65535, dtype=np.uint16))), "mode I;16"),
        (saved(Image.new("L", (9, 12))), "9 x 12 pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_mask(data: bytes, found: str) -> None:
    with pytest.raises(Unusable, match=found):
        read_mask(data, SHAPE)


@given(arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32)))
def test_fractions_come_back_nearly(values: np.ndarray) -> None:
    assert np.abs(fraction_of(probability_png(values)) - values).max() <= 0.5 / 65535 + 1e-6
    assert np.abs(fraction_of(fraction_png(values)) - values).max() <= 0.5 / 255 + 1e-6


def test_a_fingerprint_is_of_the_pixels() -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    other = mask.copy()
    other[0, 0] = True
    assert fingerprint(mask) == fingerprint(mask.copy()) != fingerprint(other)


def test_a_thumbnail_is_small_and_never_enlarged(draw: Any) -> None:
    wide = Image.open(io.BytesIO(thumbnail_png(np.zeros((300, 900), dtype=np.uint8))))
    assert wide.size == (160, 53)
    assert draw.pixels(thumbnail_png(np.zeros((30, 40), dtype=np.uint8))).shape == (30, 40)
