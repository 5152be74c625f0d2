"""Stream headers and segment sizes, checked before decoding."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.dicom.reading.codecs import MAX_RLE_SEGMENT, codestream, decode, jpeg_stream
from sonoseg.dicom.reading.fragments import PixelDataError
from sonoseg.dicom.reading.header import ImageHeader

PLAIN = ImageHeader(
    syntax="",
    big_endian=False,
    encapsulated=True,
    kind="",
    modality="US",
    rows=1,
    columns=1,
    frames=1,
    samples=1,
    photometric="MONOCHROME2",
    planar=0,
    allocated=8,
    stored=8,
    high=7,
    signed=False,
    slope=1.0,
    intercept=0.0,
    windows=(),
    function="LINEAR",
    voi=None,
    inverse=False,
    palette=None,
    regions=(),
    key=(),
    extended=(),
    offset=0,
    length=None,
    vr="OB",
)


def test_jpeg_header(make_jpeg: Callable[..., bytes]) -> None:
    grey = np.zeros((20, 30), dtype=np.uint8)
    stream = jpeg_stream(make_jpeg(grey))
    assert (stream.height, stream.width, stream.components, stream.bits) == (20, 30, 1, 8)
    assert stream.jfif
    rgb = np.zeros((20, 30, 3), dtype=np.uint8)
    assert jpeg_stream(make_jpeg(rgb)).component_ids == b"\x01\x02\x03"
    kept = jpeg_stream(make_jpeg(rgb, keep_rgb=True, subsampling="4:4:4"))
    assert kept.component_ids == b"RGB" or kept.adobe == 0


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\x00"):
        with suppress(PixelDataError):
            jpeg_stream(start + data)
    with suppress(PixelDataError):
        codestream(data)


def rle(*segments: bytes) -> bytes:
    starts = [64 + sum(map(len, segments[:k])) for k in range(len(segments))]
    head = [len(segments), *starts, *[0] * (15 - len(segments))]
    return b"".join(value.to_bytes(4, "little") for value in head) + b"".join(segments)


def rle_header(rows: int, columns: int, samples: int = 1, allocated: int = 8) -> ImageHeader:
    changes = {"rows": rows, "columns": columns, "samples": samples, "allocated": allocated}
    photometric = "RGB" if samples == 3 else "MONOCHROME2"
    return replace(PLAIN, syntax="1.2.840.10008.1.2.5", photometric=photometric, **changes)  # type: ignore[arg-type]


def test_rle_segments() -> None:
    # A literal run, a replicate run, a no-operation, another literal run and padding (PS3.5 G.3.1).
    packed = b"\x02abc\xfex\x80\x00d"
    values, colour, *_ = decode(rle(packed), rle_header(1, 7))
    assert (values.tobytes(), colour) == (b"abcxxxd", "stored")
    deep, *_ = decode(rle(b"\x01\x01\x02", b"\x01\x03\x04"), rle_header(1, 2, allocated=16))
    assert deep.tolist() == [[0x103, 0x204]]
    rgb, colour, *_ = decode(rle(b"\x01ab", b"\x01cd", b"\xffe"), rle_header(1, 2, samples=3))
    assert (rgb.tobytes(), colour) == (b"acebde", "rgb")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(rle(packed), rle_header(1, 5)).values.tobytes() == b"abcxx"  # longer than the image


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "RLE header"),
        (rle(b"ab", b"ab"), "RLE header"),
        (rle(b"\x05abcdef")[:64], "truncated"),
        (rle(b"\x00a" * 13), "longer"),
        (rle(b"\x81a" * (MAX_RLE_SEGMENT // 2 + 1)), "longer"),
    ],
)
def test_damaged_rle(data: bytes, match: str) -> None:
    with pytest.raises(PixelDataError, match=match):
        decode(data, rle_header(2, 3) if len(data) < 1000 else rle_header(6000, 6000))


def test_a_codestream_in_a_jp2_file() -> None:
    stream = b"\xff\x4f\xff\x51" + bytes(50)
    head = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
    box = (8 + len(stream)).to_bytes(4, "big") + b"jp2c" + stream
    assert codestream(head + box) == stream
    assert codestream(head + b"\x00\x00\x00\x00jp2c" + stream) == stream  # to the end of the file
    wide = b"\x00\x00\x00\x01jp2c" + (16 + len(stream)).to_bytes(8, "big") + stream
    assert codestream(head + wide) == stream
