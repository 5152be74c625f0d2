"""From the thresholded mask to the processed one: holes filled, specks removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.imaging.components import fill_holes, label
from sonoseg.model.card import Postprocessing


def postprocess(mask: NDArray[np.bool_], options: Postprocessing) -> NDArray[np.bool_]:
    """Clean a mask, in this order, each step as the model card says.

    1. fill_holes: background that no path of side-by-side pixels joins to the border becomes lesion.
    2. min_area: lesions (8-connected) of less than this share of the whole picture are removed.
    3. keep_largest: of several lesions the largest stays; of equals the first from the top.

    mask: bool (H, W). Returns a new bool (H, W).
    """
    cleaned = np.zeros(mask.shape, dtype=bool)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return cleaned
    # Nothing happens outside the box around the mask, and it is much smaller than the picture.
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside = mask[box].astype(bool)
    if options.fill_holes:
        inside = fill_holes(inside)
    labels, count = label(inside)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    kept = areas >= options.min_area * mask.size
    kept[0] = False
    if options.keep_largest and kept.any():
        largest = int(np.argmax(np.where(kept, areas, 0)))
        kept[:] = False
        kept[largest] = True
    cleaned[box] = kept[labels]
    return cleaned
