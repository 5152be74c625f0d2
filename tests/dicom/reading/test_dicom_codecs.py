"""Streams judged before they are unfolded, and what the codecs are told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.dicom.reading.codecs import _packbits, codestream, jpeg_stream
from sonoseg.dicom.reading.fragments import Damaged


def test_what_a_jpeg_says_of_itself(make_jpeg: Callable[..., bytes]) -> None:
    grey = np.zeros((20, 30), dtype=np.uint8)
    stream = jpeg_stream(make_jpeg(grey))
    assert (stream.height, stream.width, stream.components, stream.bits) == (20, 30, 1, 8)
    assert stream.jfif
    rgb = np.zeros((20, 30, 3), dtype=np.uint8)
    assert jpeg_stream(make_jpeg(rgb)).component_ids == b"\x01\x02\x03"
    kept = jpeg_stream(make_jpeg(rgb, keep_rgb=True, subsampling="4:4:4"))
    assert kept.component_ids == b"RGB" or kept.adobe == 0


@given(st.binary(max_size=60))
def test_any_stream_is_judged(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\x00"):
        with suppress(Damaged):
            jpeg_stream(start + data)
    with suppress(Damaged):
        codestream(data)


def test_packbits() -> None:
    assert _packbits(b"\x02abc\xfex\x80\x00d", 7) == b"abcxxxd"
    with pytest.raises(Damaged, match="truncated"):
        _packbits(b"\x05ab", 6)


def test_a_codestream_in_a_jp2_file() -> None:
    stream = b"\xff\x4f\xff\x51" + bytes(50)
    head = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
    box = (8 + len(stream)).to_bytes(4, "big") + b"jp2c" + stream
    assert codestream(head + box) == stream
    assert codestream(head + b"\x00\x00\x00\x00jp2c" + stream) == stream  # to the end of the file
    wide = b"\x00\x00\x00\x01jp2c" + (16 + len(stream)).to_bytes(8, "big") + stream
    assert codestream(head + wide) == stream
