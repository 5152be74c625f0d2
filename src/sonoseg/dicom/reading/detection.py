"""Telling a DICOM file by its first bytes, without pydicom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

PREAMBLE = 128
"""Bytes in front of the letters DICM (PS3.10, 7.1)."""

_VR = re.compile(rb"A[EST]|CS|D[AST]|F[DL]|IS|L[OT]|O[BDFLVW]|PN|S[HLQSTV]|T[M]|U[CILNRSTV]")
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")


def is_dicom(path: str | Path) -> bool:
    """Whether the file's content is DICOM, whatever its name: reads the first 512 bytes.

    With a preamble by its letters DICM; without one by a first data element of group 0002 or 0008 that makes
    sense in implicit or explicit encoding, little or big endian (old archives write such files).
    False for what cannot be read, too.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(512)
    except (OSError, ValueError):
        return False
    return looks_like_dicom(head)


def looks_like_dicom(head: bytes) -> bool:
    """The same of a file's first bytes (512 of them, or all of a shorter file)."""
    return head[PREAMBLE : PREAMBLE + 4] == b"DICM" or _starts_with_elements(head)


def _starts_with_elements(head: bytes) -> bool:
    """Whether the bytes begin with two data elements in growing order, the first of group 0002 or 0008."""
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
    """The tag of the data element at `at`, and where the next one starts."""
    if len(head) < at + 12:
        return None

    def number(start: int, length: int) -> int:
        return int.from_bytes(head[start : start + length], order)

    tag = number(at, 2) << 16 | number(at + 2, 2)
    vr = head[at + 4 : at + 6]
    if _VR.fullmatch(vr):
        length, value = (number(at + 8, 4), at + 12) if vr in _LONG else (number(at + 6, 2), at + 8)
    elif order == "little":  # implicit: no VR is written
        length, value = number(at + 4, 4), at + 8
    else:
        return None
    return (tag, value + length) if length % 2 == 0 and length < 4096 else None
