"""PNG round trips of masks, probabilities and maps."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sonoseg.image.frame import Frame
from sonoseg.image.overlay import heatmap
from sonoseg.inference.segmentation import Segmentation
from sonoseg.results.png import attention_png, encode_png, mask_png, probability_png

SIDES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30)


def opened(data: bytes, kind: str = "PNG") -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == kind
    return image


@given(hnp.arrays(np.bool_, SIDES))
@settings(deadline=None)
def test_mask_round_trip(mask: np.ndarray) -> None:
    image = opened(mask_png(mask))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), np.where(mask, 255, 0))


@given(hnp.arrays(np.float32, SIDES, elements=st.floats(0, 1, width=32)))
@settings(deadline=None)
def test_probability_round_trip_to_16_bits(probability: np.ndarray) -> None:
    values = np.asarray(opened(probability_png(probability))).astype(np.float64)
    assert np.abs(values / 65535 - probability).max() <= 0.5 / 65535 + 1e-7


@given(hnp.arrays(np.uint8, SIDES.map(lambda sides: (*sides, 3))))
@settings(deadline=None)
def test_rgb_round_trip(colours: np.ndarray) -> None:
    image = opened(encode_png(colours))
    image.verify()  # the sums of its chunks
    assert np.array_equal(np.asarray(opened(encode_png(colours))), colours)


def test_non_contiguous_array_round_trip() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for seen in (colours[::2, ::-1], colours.transpose(1, 0, 2), colours[..., ::-1]):
        assert np.array_equal(np.asarray(opened(encode_png(seen))), seen)


@pytest.fixture
def found() -> Segmentation:
    pixels = np.full((600, 900), 60, dtype=np.uint8)
    mask = np.zeros((600, 900), dtype=bool)
    mask[200:400, 300:600] = True
    maps = {"attention_1": np.linspace(0, 1, 600 * 900, dtype=np.float32).reshape(600, 900)}
    return Segmentation(Frame(pixels), mask.astype(np.float32), mask, mask, 0.5, maps, "m", "r")


def test_attention_map_is_laid_over_the_image(found: Segmentation) -> None:
    assert found.attention is not None
    shown = np.asarray(opened(attention_png(found, "attention_1")))
    assert np.array_equal(shown, heatmap(found.frame.pixels, found.attention["attention_1"]))
