"""TIFF pixels of every depth, sign, byte order, layout and polarity; those that are not read are named."""

from __future__ import annotations

import struct
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sonoseg.errors import InputError
from sonoseg.image.raster import read_raster

RAMP = np.add.outer(np.arange(32) * 4, np.arange(48) * 2)
"""32 rows, 48 columns, 0 to 218: neither square nor symmetric."""

STRETCHED = np.rint(RAMP / RAMP.max() * 255)

Pixels = NDArray[Any]


def tiff(
    path: Path, pixels: Pixels, *, photometric: int = 1, big: bool = False, layout: str = "strip"
) -> Path:
    """Write (H, W) or (H, W, 3). layout: strip, deflate (one strip, compressed), tile or planes."""
    order = ">" if big else "<"
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    if layout == "tile":
        parts = [
            stored[top : top + 16, left : left + 16].tobytes()
            for top, left in product(range(0, height, 16), range(0, width, 16))
        ]
    elif layout == "planes":
        parts = [stored[..., channel].tobytes() for channel in range(channels)]
    else:
        parts = [zlib.compress(stored.tobytes()) if layout == "deflate" else stored.tobytes()]
    starts = np.cumsum([8, *map(len, parts)]).tolist()
    places, lengths = (324, 325) if layout == "tile" else (273, 279)
    sizes = {322: [16], 323: [16]} if layout == "tile" else {278: [height]}
    tags: dict[int, list[int]] = {
        256: [width],
        257: [height],
        258: [pixels.dtype.itemsize * 8] * channels,
        259: [8 if layout == "deflate" else 1],
        262: [photometric],
        277: [channels],
        284: [2 if layout == "planes" else 1],
        339: [{"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]] * channels,
        places: starts[:-1],
        lengths: [len(part) for part in parts],
        **sizes,
    }
    at = starts[-1] + starts[-1] % 2
    entries, values = b"", b""
    after = at + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            packed, values = struct.pack(f"{order}I", after + len(values)), values + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + packed
    start = (b"MM" if big else b"II") + struct.pack(f"{order}HI", 42, at)
    body = start + b"".join(parts)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + values
    path.write_bytes(body.ljust(at, b"\0") + directory)
    return path


@pytest.mark.parametrize("layout", ["strip", "deflate", "tile"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "i4", "f4"])
def test_every_depth_and_order(tmp_path: Path, kind: str, big: bool, layout: str) -> None:
    pixels = RAMP.astype(kind) if kind[0] == "u" else (RAMP - 100).astype(kind)
    read = read_raster(tiff(tmp_path / "a.tif", pixels, big=big, layout=layout)).pixels
    assert np.array_equal(read, RAMP if kind == "u1" else STRETCHED)


@pytest.mark.parametrize("layout", ["strip", "deflate", "tile"])
@pytest.mark.parametrize(
    ("kind", "big"), [("u1", False), ("u1", True), ("u2", False), ("f4", False), ("f4", True)]
)
def test_min_is_white_is_inverted(tmp_path: Path, kind: str, big: bool, layout: str) -> None:
    path = tiff(tmp_path / "a.tif", RAMP.astype(kind), photometric=0, big=big, layout=layout)
    assert np.array_equal(
        read_raster(path).pixels, 255 - RAMP if kind == "u1" else np.rint(255 - RAMP / 218 * 255)
    )


@pytest.mark.parametrize("layout", ["strip", "deflate", "tile"])
def test_signed_bytes_are_shifted(tmp_path: Path, layout: str) -> None:
    path = tiff(tmp_path / "a.tif", (RAMP - 128).astype(np.int8), layout=layout)
    assert np.array_equal(read_raster(path).pixels, RAMP)


def test_unsigned_32_bits_beyond_the_signed_ones(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", (RAMP * 19_000_000).astype(np.uint32))
    assert np.array_equal(read_raster(path).pixels, STRETCHED)


@pytest.mark.parametrize("layout", ["strip", "deflate", "tile"])
@pytest.mark.parametrize("big", [False, True])
def test_colour_of_16_bits_is_stretched_as_grey_of_16_bits_is(tmp_path: Path, big: bool, layout: str) -> None:
    deep = np.repeat((RAMP * 18 + 7)[..., None], 3, axis=2).astype(np.uint16)
    path = tiff(tmp_path / "a.tif", deep, photometric=2, big=big, layout=layout)
    assert np.array_equal(read_raster(path).pixels, STRETCHED)


@pytest.mark.parametrize(
    ("pixels", "photometric", "named"),
    [
        (RAMP.astype(np.float64), 1, "64-bit floating-point numbers"),
        (RAMP.astype(np.float16), 1, "16-bit floating-point numbers"),
        (RAMP.astype(np.int64), 1, "64-bit signed integers"),
        (RAMP.astype(np.uint64), 1, "64-bit unsigned integers"),
        (RAMP.astype(np.float64), 0, "64-bit floating-point numbers, the least white"),
        (RAMP.astype(np.int16), 0, "16-bit signed integers, the least white"),
    ],
)
@pytest.mark.parametrize("big", [False, True])
def test_sound_files_that_are_not_read_are_named(
    tmp_path: Path, pixels: Pixels, photometric: int, named: str, big: bool
) -> None:
    path = tiff(tmp_path / "a.tif", pixels, photometric=photometric, big=big)
    with pytest.raises(InputError) as error:
        read_raster(path)
    assert error.value.found == f"unsupported TIFF pixels: {named}"
    assert error.value.where == str(path)


def test_deep_colour_in_planes_is_named(tmp_path: Path) -> None:
    deep = np.repeat(RAMP[..., None], 3, axis=2).astype(np.uint16)
    with pytest.raises(InputError, match="separate colour planes"):
        read_raster(tiff(tmp_path / "a.tif", deep, photometric=2, layout="planes"))


def test_a_damaged_directory_is_damage(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", RAMP.astype(np.float64))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match="damaged"):
        read_raster(path)
