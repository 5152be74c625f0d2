"""Frames found among fragments."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.dicom.reading.fragments import Damaged, index_fragments

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


def test_one_fragment_a_frame() -> None:
    assert frames_of(table() + item(B) + item(B + B) + END, 2) == [B, B + B]


def test_a_still_in_many_fragments() -> None:
    assert frames_of(table() + item(A) + item(B) + item(B) + END, 1) == [A + B + B]


def test_by_the_basic_table() -> None:
    data = table(0, 26) + item(B) + item(b"cccccc") + item(B) + END
    assert frames_of(data, 2) == [B + b"cccccc", B]


def test_by_the_extended_table_first() -> None:
    data = table(0, 12) + item(B) + item(B) + item(b"cc") + END
    assert frames_of(data, 2, extended=(0, 24)) == [B + B, b"cc"]


def test_by_the_streams_where_the_table_is_wrong() -> None:
    data = table(0, 13) + item(A) + item(B) + item(C) + item(B) + item(B) + END
    assert frames_of(data, 2) == [A + B, C + B + B]


def test_frames_beyond_those_announced_are_left_out() -> None:
    data = item(A) + item(B) + item(C) + item(A) + item(B) + END
    assert frames_of(table() + data, 2) == [A + B, C]
    assert frames_of(table(0, 26, 40) + data, 2) == [A + B, C]


def test_a_missing_end_is_no_fault() -> None:
    assert frames_of(table() + item(A), 1) == [A]


@pytest.mark.parametrize(
    ("data", "frames", "said"),
    [
        (b"", 1, "no fragment"),
        (table() + END, 1, "no fragment"),
        (b"\x00" * 40, 1, "not compressed as its header says"),
        (table() + item(A) + b"\x00" * 40, 1, "the row of its fragments is broken"),
        (table() + item(A)[:-2], 1, "longer than the file"),
        (table() + item(A) + item(B) + item(C) + END, 5, "announces 5 frames, the data hold 2"),
        (table() + item(B) + item(B) + END, 3, "announces 3 frames, the data hold 2"),
        (table() + item(B) * 3 + END, 2, "cannot be told apart"),
    ],
)
def test_what_cannot_be_followed(data: bytes, frames: int, said: str) -> None:
    with pytest.raises(Damaged, match=said):
        frames_of(data, frames)


@given(
    st.lists(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=3), min_size=1, max_size=6),
    st.booleans(),
)
def test_any_frames_in_any_fragments_by_their_table(frames: list[list[bytes]], extended: bool) -> None:
    data, offsets = b"", []
    for fragments in frames:
        offsets.append(len(data))
        data += b"".join(item(fragment) for fragment in fragments)
    whole = (table() if extended else table(*offsets)) + data + END
    expected = [b"".join(fragments) for fragments in frames]
    assert frames_of(whole, len(frames), tuple(offsets) if extended else ()) == expected


@given(st.binary(max_size=200), st.integers(1, 5))
def test_any_bytes_end(data: bytes, frames: int) -> None:
    for start in (b"", table(0, 5)):
        file = io.BytesIO(start + data)
        with suppress(Damaged):
            index_fragments(file, 0, len(start + data), frames)
