"""From the thresholded mask to the processed one: holes filled, specks and unsure components removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError
from sonoseg.image.components import fill_holes, label
from sonoseg.model.card import Postprocessing


def postprocess(
    mask: NDArray[np.bool_], probability: NDArray[np.float32], options: Postprocessing
) -> NDArray[np.bool_]:
    """Clean a mask, in this order, each step as the model card says.

    1. fill_holes: background that no path of side-by-side pixels joins to the border becomes lesion.
    2. min_area: lesions (8-connected) of less than this share of the whole image are removed.
    3. min_mean_probability: lesions of a lower mean probability are removed.
    4. min_relative_probability: of several lesions those are removed whose mean probability is below this
       fraction of the highest one.
    5. keep_largest: of several lesions the largest stays; of equals the first from the top.

    mask: bool (H, W). probability: float (H, W), 0..1, of which it was made. Returns a new bool (H, W).
    Raises ShapeError where the two differ in size.
    """
    if mask.shape != probability.shape:
        raise ShapeError(
            f"a mask of {mask.shape} and probabilities of {probability.shape}",
            remedy="Give both on one grid",
        )
    cleaned = np.zeros(mask.shape, dtype=bool)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return cleaned
    # Nothing happens outside the box around the mask, and it is much smaller than the image.
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside = mask[box].astype(bool)
    if options.fill_holes:
        inside = fill_holes(inside)
    labels, count = label(inside)
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    kept = areas >= options.min_area * mask.size
    kept[0] = False
    if options.min_mean_probability or options.min_relative_probability:
        sums = np.bincount(labels.ravel(), weights=probability[box].ravel(), minlength=count + 1)
        means = sums / np.maximum(areas, 1)
        kept &= means >= options.min_mean_probability
    if options.min_relative_probability and kept.any():
        # Equal ones stay together, whatever the last digit of a sum.
        kept &= means >= options.min_relative_probability * means[kept].max() * (1 - 1e-9)
    if options.keep_largest and kept.any():
        largest = int(np.argmax(np.where(kept, areas, 0)))
        kept[:] = False
        kept[largest] = True
    cleaned[box] = kept[labels]
    return cleaned
