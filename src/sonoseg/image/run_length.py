"""Masks as run lengths in COCO's compressed form (Lin et al., 2014), which pycocotools reads and writes.

A mask is {"size": [H, W], "counts": text}: pixels outside, inside, outside ... lesion, down the columns. From
the third count on, the difference to the count two before is written; each number in groups of five bits, the
lowest first, a sixth bit saying that more follow, each group as one character from "0" on
(cocodataset/cocoapi, common/maskApi.c, rleToString).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError
from sonoseg.image.contours import from_run_lengths, run_lengths


def encode(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """The run lengths of a mask, bool (H, W): {"size": [H, W], "counts": text of ASCII}."""
    counts = run_lengths(mask)
    letters = bytearray()
    for place, count in enumerate(counts):
        left = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            group, left = left & 31, left >> 5
            # What is left is all sign: the last group's highest bit says which.
            more = left != (-1 if group & 16 else 0)
            letters.append((group | 32 if more else group) + 48)
    return {"size": [int(side) for side in mask.shape], "counts": letters.decode("ascii")}


def decode(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The mask, bool (H, W), of {"size": [H, W], "counts": text or bytes}. Raises ShapeError."""
    text = rle["counts"]
    letters = text.encode() if isinstance(text, str) else bytes(text)
    counts: list[int] = []
    number = shift = 0
    for letter in letters:
        group = letter - 48
        if not 0 <= group < 64:
            raise ShapeError(f"run lengths with the character {chr(letter)!r}", remedy="Give them unchanged")
        number |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            number -= 1 << shift
        if len(counts) > 2:
            number += counts[-2]
        if number < 0:
            raise ShapeError(f"a run of {number} pixels", remedy="Give the run lengths unchanged")
        counts.append(number)
        number = shift = 0
    if shift:
        raise ShapeError("run lengths that are cut short", remedy="Give them unchanged")
    height, width = rle["size"]
    return from_run_lengths(counts, (int(height), int(width)))
