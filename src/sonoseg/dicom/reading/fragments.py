"""Where each frame lies in encapsulated pixel data: found once for a clip, by its tables or its streams.

Source: PS3.5 A.4 (encapsulation, offset tables) and PS3.3 C.7.6.3.1.8 (Extended Offset Table).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import BinaryIO, NamedTuple

# Encapsulated data are little endian in every transfer syntax.
ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"

MAX_FRAGMENTS = 2_000_000
"""More than any clip has; an endless row of empty fragments stops here."""

STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
"""How a stream begins: JPEG and JPEG-LS, JPEG 2000, JPEG 2000 in a JP2 file."""


class Damaged(Exception):
    """Encapsulated data that cannot be followed, in words."""


class Fragments(NamedTuple):
    """The fragments of a file: `starts` and `lengths` of their values in bytes, and which begin a frame.

    first: fragment numbers, one a frame, with the number of fragments at its end.
    """

    starts: array[int]
    lengths: array[int]
    first: array[int]

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return len(self.first) - 1

    def read(self, file: BinaryIO, frame: int) -> bytes:
        """The stream of one frame, its fragments joined."""
        parts = []
        for number in range(self.first[frame], self.first[frame + 1]):
            file.seek(self.starts[number])
            parts.append(file.read(self.lengths[number]))
        return parts[0] if len(parts) == 1 else b"".join(parts)


def index_fragments(
    file: BinaryIO, offset: int, size: int, frames: int, extended: Sequence[int] = ()
) -> Fragments:
    """Find the frames of the encapsulated value that starts at `offset`; reads only the items' heads.

    size: bytes of the file. frames: as the header announces. extended: the Extended Offset Table, if any.
    Raises Damaged where the items cannot be followed, or hold fewer frames than announced.
    """
    basic, starts, lengths = _items(file, offset, size, frames)
    if not len(starts):
        raise Damaged("its pixel data hold no fragment")
    for table in (extended, basic):
        first = [_number_at(starts, starts[0] + distance) for distance in table[:frames]]
        if len(first) == frames and first[0] == 0 and all(a < b for a, b in pairwise(first)):
            after = _number_at(starts, starts[0] + table[frames]) if len(table) > frames else -1
            after = after if after > first[-1] else len(starts)
            return Fragments(starts, lengths, array("L", [*first, after]))
    if len(starts) == frames:
        return Fragments(starts, lengths, array("L", range(frames + 1)))
    if frames == 1:
        return Fragments(starts, lengths, array("L", [0, len(starts)]))
    first = _beginnings(file, starts, lengths)
    if not first or first[0] != 0:
        if len(starts) > frames:
            raise Damaged(f"its {len(starts)} fragments cannot be told apart into {frames} frames")
        first = list(range(len(starts)))
    if len(first) < frames:
        raise Damaged(f"the header announces {frames} frames, the data hold {len(first)}")
    after = first[frames] if len(first) > frames else len(starts)
    return Fragments(starts, lengths, array("L", [*first[:frames], after]))


def _number_at(starts: array[int], start: int) -> int:
    """The number of the fragment that starts there, or -1."""
    number = bisect_left(starts, start)
    return number if number < len(starts) and starts[number] == start else -1


def _items(
    file: BinaryIO, offset: int, size: int, frames: int
) -> tuple[Sequence[int], array[int], array[int]]:
    """The Basic Offset Table, and the start and length of each fragment's value."""
    starts, lengths = array("Q"), array("Q")
    basic: Sequence[int] = ()
    at = offset
    table_seen = False
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        if head.startswith(END):
            break
        if not head.startswith(ITEM):
            if not table_seen:
                raise Damaged("its pixel data are not compressed as its header says")
            raise Damaged("the row of its fragments is broken")
        length = int.from_bytes(head[4:], "little")
        if at + 8 + length > size:
            raise Damaged("it is truncated: a fragment is longer than the file")
        if not table_seen:
            table_seen = True
            value = file.read(min(length, 4 * (frames + 1)))
            basic = [int.from_bytes(value[k : k + 4], "little") for k in range(0, len(value) - 3, 4)]
        else:
            if len(starts) >= MAX_FRAGMENTS:
                raise Damaged("it has an absurd count of fragments")
            starts.append(at + 8)
            lengths.append(length)
        at += 8 + length
    return basic, starts, lengths


def _beginnings(file: BinaryIO, starts: array[int], lengths: array[int]) -> list[int]:
    """The fragments with which a stream begins: entropy-coded data never hold these markers."""
    found = []
    for number, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        file.seek(start)
        if file.read(min(length, 12)).startswith(STARTS):
            found.append(number)
    return found
