"""Index of the frames in encapsulated pixel data, made once per file from its offset tables or its streams.

Source: PS3.5 A.4 (encapsulation, offset tables) and PS3.3 C.7.6.3.1.8 (Extended Offset Table).

Not `pydicom.encaps`: `get_frame` parses all items again for each frame without an offset table, and
`parse_fragments` neither limits the number of items nor compares their lengths with the size of the file.
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
"""More fragments than any clip has: limits the index of a file full of empty items."""

STREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
"""First bytes of a compressed stream: JPEG and JPEG-LS, JPEG 2000, JPEG 2000 in a JP2 file."""

NOT_ENCAPSULATED = "pixel data is not compressed, but its transfer syntax says so"


AGAIN = "Export the file again"


class PixelDataError(Exception):
    """The pixel data cannot be read; the message and the remedy are fit for the user."""

    def __init__(self, found: str, remedy: str = AGAIN) -> None:
        super().__init__(found)
        self.remedy = remedy


class FragmentIndex(NamedTuple):
    """The fragments of a file: offset and length in bytes of each value, and the first one of each frame.

    first: fragment numbers, one per frame, followed by the number of fragments.
    """

    starts: array[int]
    lengths: array[int]
    first: array[int]

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.first) - 1

    def read(self, file: BinaryIO, frame: int) -> bytes:
        """Read the compressed stream of one frame."""
        parts = []
        for number in range(self.first[frame], self.first[frame + 1]):
            file.seek(self.starts[number])
            parts.append(file.read(self.lengths[number]))
        return parts[0] if len(parts) == 1 else b"".join(parts)


def index_fragments(
    file: BinaryIO, offset: int, size: int, frames: int, extended: Sequence[int] = ()
) -> FragmentIndex:
    """Index the frames of the encapsulated value at `offset`, reading only the items' headers.

    size: of the file in bytes. frames: number in the header. extended: the Extended Offset Table, if any.
    Raises PixelDataError if the items are damaged or hold fewer frames.
    """
    basic, starts, lengths = _items(file, offset, size, frames)
    if not len(starts):
        raise PixelDataError("pixel data holds no fragment")
    for table in (extended, basic):
        first = [_number_at(starts, starts[0] + distance) for distance in table[:frames]]
        if len(first) == frames and first[0] == 0 and all(a < b for a, b in pairwise(first)):
            after = _number_at(starts, starts[0] + table[frames]) if len(table) > frames else -1
            after = after if after > first[-1] else len(starts)
            return FragmentIndex(starts, lengths, array("L", [*first, after]))
    if len(starts) == frames:
        return FragmentIndex(starts, lengths, array("L", range(frames + 1)))
    if frames == 1:
        return FragmentIndex(starts, lengths, array("L", [0, len(starts)]))
    first = _stream_starts(file, starts, lengths)
    if not first or first[0] != 0:
        if len(starts) > frames:
            raise PixelDataError(f"its {len(starts)} fragments cannot be assigned to {frames} frames")
        first = list(range(len(starts)))
    if len(first) < frames:
        raise PixelDataError(missing_frames(frames, len(first)))
    after = first[frames] if len(first) > frames else len(starts)
    return FragmentIndex(starts, lengths, array("L", [*first[:frames], after]))


def count_frames(file: BinaryIO, index: FragmentIndex, *, rle: bool) -> int:
    """Return the number of frames that the fragments hold: streams, or in RLE fragments (PS3.5 A.4.2).

    Of a clip only those that are indexed, to save time.
    """
    if index.frames > 1:
        return index.frames
    return len(index.starts) if rle else len(_stream_starts(file, index.starts, index.lengths))


def missing_frames(announced: int, found: int) -> str:
    """Return the message for pixel data with fewer frames than NumberOfFrames."""
    return f"pixel data is truncated: expected {announced:,} frames, found {found:,}"


def _number_at(starts: array[int], start: int) -> int:
    """Return the number of the fragment that starts there, or -1."""
    number = bisect_left(starts, start)
    return number if number < len(starts) and starts[number] == start else -1


def _items(
    file: BinaryIO, offset: int, size: int, frames: int
) -> tuple[Sequence[int], array[int], array[int]]:
    """Return the Basic Offset Table, and the start and length of each fragment's value."""
    starts, lengths = array("Q"), array("Q")
    basic: Sequence[int] | None = None
    at = offset
    while at + 8 <= size:
        file.seek(at)
        head = file.read(8)
        if head.startswith(END):
            break
        if not head.startswith(ITEM):
            raise PixelDataError(
                NOT_ENCAPSULATED if basic is None else "the sequence of fragments is damaged"
            )
        length = int.from_bytes(head[4:], "little")
        if at + 8 + length > size:
            raise PixelDataError("pixel data is truncated: a fragment is longer than the file")
        if basic is None:
            value = file.read(min(length, 4 * (frames + 1)))
            basic = [int.from_bytes(value[k : k + 4], "little") for k in range(0, len(value) - 3, 4)]
        elif len(starts) < MAX_FRAGMENTS:
            starts.append(at + 8)
            lengths.append(length)
        else:
            raise PixelDataError(f"pixel data has more than {MAX_FRAGMENTS:,} fragments")
        at += 8 + length
    return basic or (), starts, lengths


def _stream_starts(file: BinaryIO, starts: array[int], lengths: array[int]) -> list[int]:
    """Return the fragments that begin a stream: entropy-coded data never contains these markers."""
    found = []
    for number, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        file.seek(start)
        if file.read(min(length, 12)).startswith(STREAM_STARTS):
            found.append(number)
    return found
