"""Masks in every way people store them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from sonoseg.data.mask_reading import join_masks, mask_values, read_mask
from sonoseg.errors import DatasetError

STORED = {
    "1": lambda m: Image.fromarray(m),
    "L, 0 and 255": lambda m: Image.fromarray(m.astype(np.uint8) * 255),
    "L, 0 and 1": lambda m: Image.fromarray(m.astype(np.uint8)),
    "L, class 2": lambda m: Image.fromarray(m.astype(np.uint8) * 2),
    "16-bit": lambda m: Image.fromarray(m.astype(np.uint16) * 65535),
    "RGB": lambda m: Image.fromarray(m).convert("RGB"),
    "green": lambda m: Image.fromarray(np.stack([m * 0, m * 255, m * 0], 2).astype(np.uint8)),
    "RGBA, opaque": lambda m: Image.fromarray(m).convert("RGBA"),
    "RGBA, white where not transparent": lambda m: Image.fromarray(
        np.dstack([np.full((*m.shape, 3), 255), m * 255]).astype(np.uint8)
    ),
    "LA": lambda m: Image.fromarray(m).convert("LA"),
    "palette": lambda m: Image.fromarray(m).convert("RGB").quantize(4),
}


@pytest.mark.parametrize("way", STORED)
@settings(max_examples=20, deadline=None)
@given(mask=arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)))
def test_every_way_reads_the_same(way: str, mask: Any) -> None:
    file = io.BytesIO()
    STORED[way](mask).save(file, "PNG")
    np.testing.assert_array_equal(read_mask(file), mask)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(arrays(bool, (3, 3)), st.integers(60, 95))
def test_noise_of_a_jpeg_is_no_lesion(coarse: Any, quality: int) -> None:
    mask = np.kron(coarse, np.ones((8, 8), bool))
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, "JPEG", quality=quality)
    np.testing.assert_array_equal(read_mask(file), mask)  # type: ignore[arg-type]


def test_transparent_corners_are_background(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 3), (255, 255, 255, 0))
    image.putpixel((1, 2), (255, 255, 255, 255))
    image.save(tmp_path / "m.png")
    assert np.argwhere(read_mask(tmp_path / "m.png")).tolist() == [[2, 1]]
    assert mask_values(tmp_path / "m.png").max() == 255


def test_several_masks_are_joined(tmp_path: Path, make: Any) -> None:
    first = make.save(make.blob(4), tmp_path / "a.png")
    second = make.save(make.blob(4, corner=(20, 20)), tmp_path / "b.png")
    joined = join_masks((first, second), make.shape)
    np.testing.assert_array_equal(joined, read_mask(first) | read_mask(second))
    assert not join_masks((), make.shape).any()


def test_a_mask_of_another_size(tmp_path: Path, make: Any) -> None:
    path = make.save(make.blob(), tmp_path / "a.png")
    with pytest.raises(DatasetError, match=r"a\.png: the mask has 48x40 pixels, its image 40x48"):
        join_masks((path,), (48, 40))


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_masks_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"m\.png: the mask cannot be read"):
        read_mask(path)


def test_a_truncated_mask(tmp_path: Path, make: Any) -> None:
    path = make.save(make.speckle("x"), tmp_path / "m.png")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DatasetError, match="the mask cannot be read"):
        read_mask(path)


def test_a_giant_mask_is_not_decoded(tmp_path: Path) -> None:
    Image.new("1", (9000, 9000)).save(tmp_path / "m.png")
    with pytest.raises(DatasetError, match="9000 x 9000 pixels exceed"):
        read_mask(tmp_path / "m.png")
