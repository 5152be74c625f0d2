"""The pixels of each lesion that was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError
from sonoseg.image.components import boxes, label
from sonoseg.lesions.measurement import Lesion


def lesion_masks(mask: NDArray[np.bool_], lesions: Sequence[Lesion]) -> list[NDArray[np.bool_]]:
    """One mask a lesion, in their order: the 8-connected component with the lesion's box and pixel count.

    mask: bool (H, W), the one that was measured. Returns bool (H, W) each.
    Raises ShapeError where a lesion is none of the mask's components.
    """
    labels, count = label(mask)
    free: dict[tuple[int, ...], list[int]] = {}
    for number, box in enumerate(boxes(labels, count), start=1):
        top, left = box[0].start, box[1].start
        pixels = int((labels[box] == number).sum())
        key = (top, left, box[0].stop - top, box[1].stop - left, pixels)
        free.setdefault(key, []).append(number)
    found = []
    for lesion in lesions:
        numbers = free.get((*lesion.box, lesion.pixels))
        if not numbers:
            raise ShapeError(
                f"lesion {lesion.number} is not in this mask",
                remedy="Give the findings of this very segmentation",
            )
        found.append(labels == numbers.pop(0))
    return found
