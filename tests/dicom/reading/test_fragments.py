"""Index of the frames among fragments."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.dicom.reading.fragments import PixelDataError, index_fragments

ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def item(value: bytes) -> bytes:
    return ITEM + len(value).to_bytes(4, "little") + value


def table(*offsets: int) -> bytes:
    return item(b"".join(offset.to_bytes(4, "little") for offset in offsets))


def frames_of(data: bytes, frames: int, extended: tuple[int, ...] = ()) -> list[bytes]:
    file = io.BytesIO(b"head" + data)
    found = index_fragments(file, 4, 4 + len(data), frames, extended)
    assert found.frames == frames
    return [found.read(file, number) for number in range(frames)]


A, B, C = b"\xff\xd8\xff\xe0aa", b"bbbb", b"\xff\xd8\xff\xdbcc"


def test_one_fragment_per_frame() -> None:
    assert frames_of(table() + item(B) + item(B + B) + END, 2) == [B, B + B]


def test_still_image_in_several_fragments() -> None:
    assert frames_of(table() + item(A) + item(B) + item(B) + END, 1) == [A + B + B]


def test_basic_offset_table() -> None:
    data = table(0, 26) + item(B) + item(b"cccccc") + item(B) + END
    assert frames_of(data, 2) == [B + b"cccccc", B]


def test_extended_offset_table_takes_precedence() -> None:
    data = table(0, 12) + item(B) + item(B) + item(b"cc") + END
    assert frames_of(data, 2, extended=(0, 24)) == [B + B, b"cc"]


def test_stream_starts_where_the_table_is_wrong() -> None:
    data = table(0, 13) + item(A) + item(B) + item(C) + item(B) + item(B) + END
    assert frames_of(data, 2) == [A + B, C + B + B]


def test_frames_beyond_numberofframes_are_ignored() -> None:
    data = item(A) + item(B) + item(C) + item(A) + item(B) + END
    assert frames_of(table() + data, 2) == [A + B, C]
    assert frames_of(table(0, 26, 40) + data, 2) == [A + B, C]


def test_missing_sequence_delimiter_is_accepted() -> None:
    assert frames_of(table() + item(A), 1) == [A]


@pytest.mark.parametrize(
    ("data", "frames", "said"),
    [
        (b"", 1, "no fragment"),
        (table() + END, 1, "no fragment"),
        (b"\x00" * 40, 1, "not compressed"),
        (table() + item(A) + b"\x00" * 40, 1, "sequence of fragments is damaged"),
        (table() + item(A)[:-2], 1, "longer than the file"),
        (table() + item(A) + item(B) + item(C) + END, 5, "expected 5 frames, found 2"),
        (table() + item(B) + item(B) + END, 3, "expected 3 frames, found 2"),
        (table() + item(B) * 3 + END, 2, "cannot be assigned"),
    ],
)
def test_damaged_items(data: bytes, frames: int, said: str) -> None:
    with pytest.raises(PixelDataError, match=said):
        frames_of(data, frames)


@given(
    st.lists(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=3), min_size=1, max_size=6),
    st.booleans(),
)
def test_any_frames_by_their_offset_table(frames: list[list[bytes]], extended: bool) -> None:
    data, offsets = b"", []
    for fragments in frames:
        offsets.append(len(data))
        data += b"".join(item(fragment) for fragment in fragments)
    whole = (table() if extended else table(*offsets)) + data + END
    expected = [b"".join(fragments) for fragments in frames]
    assert frames_of(whole, len(frames), tuple(offsets) if extended else ()) == expected


@given(st.binary(max_size=200), st.integers(1, 5))
def test_any_bytes(data: bytes, frames: int) -> None:
    for start in (b"", table(0, 5)):
        file = io.BytesIO(start + data)
        with suppress(PixelDataError):
            index_fragments(file, 0, len(start + data), frames)
