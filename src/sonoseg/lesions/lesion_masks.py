"""The masks of measured lesions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError
from sonoseg.image.components import boxes, label
from sonoseg.lesions.measurement import Lesion


def lesion_masks(mask: NDArray[np.bool_], lesions: Sequence[Lesion]) -> list[NDArray[np.bool_]]:
    """Return one mask per lesion, in order: the component with the lesion's box and pixel count.

    mask: bool (H, W), the measured one. Returns bool (H, W) each.
    Raises ShapeError where a lesion is not a component of the mask.
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
                f"lesion {lesion.number} is not in the mask",
                remedy="Give the findings of the same segmentation",
            )
        found.append(labels == numbers.pop(0))
    return found
