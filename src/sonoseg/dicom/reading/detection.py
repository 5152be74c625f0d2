"""Detection of DICOM files by their first bytes, without pydicom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

PREAMBLE = 128
"""Bytes before the prefix DICM (PS3.10, 7.1)."""

_VR = re.compile(rb"A[EST]|CS|D[AST]|F[DL]|IS|L[OT]|O[BDFLVW]|PN|S[HLQSTV]|T[M]|U[CILNRSTV]")
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")


def is_dicom(path: str | Path) -> bool:
    """Return whether the file's content is DICOM, whatever its name, by its first 512 bytes.

    With a preamble: by the prefix DICM. Without one (old PACS write such files): by a plausible first data
    element of group 0002 or 0008, in implicit or explicit encoding, little or big endian. False for
    unreadable files.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(512)
    except (OSError, ValueError):
        return False
    return looks_like_dicom(head)


def looks_like_dicom(head: bytes) -> bool:
    """Return whether a file that begins with these bytes (512, or all of a shorter file) is DICOM."""
    return head[PREAMBLE : PREAMBLE + 4] == b"DICM" or _starts_with_elements(head)


def _starts_with_elements(head: bytes) -> bool:
    """Return whether two data elements in ascending order come first, starting in group 0002 or 0008."""
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        first = _element(head, 0, order)
        if first is None or first[0] >> 16 not in (0x0002, 0x0008):
            continue
        second = _element(head, first[1], order)
        if second is not None and first[0] < second[0] < 0x00300000:
            return True
    return False


def _element(head: bytes, at: int, order: Literal["little", "big"]) -> tuple[int, int] | None:
    """Return the tag of the data element at `at` and the offset of the next one."""
    if len(head) < at + 12:
        return None

    def number(start: int, length: int) -> int:
        return int.from_bytes(head[start : start + length], order)

    tag = number(at, 2) << 16 | number(at + 2, 2)
    vr = head[at + 4 : at + 6]
    if _VR.fullmatch(vr):
        length, value = (number(at + 8, 4), at + 12) if vr in _LONG else (number(at + 6, 2), at + 8)
    elif order == "little":  # implicit VR
        length, value = number(at + 4, 4), at + 8
    else:
        return None
    return (tag, value + length) if length % 2 == 0 and length < 4096 else None
