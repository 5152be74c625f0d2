"""Post-processing of masks: fills holes, removes small components and those of low mean probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError
from sonoseg.image.components import fill_holes, label
from sonoseg.model.card import Postprocessing


def postprocess(
    mask: NDArray[np.bool_], probability: NDArray[np.float32], options: Postprocessing
) -> NDArray[np.bool_]:
    """Apply the model card's steps to a mask, in this order.

    1. fill_holes: background not 4-connected to the border becomes lesion.
    2. min_area: removes lesions (8-connected) smaller than this fraction of the whole image.
    3. min_mean_probability: removes lesions of a mean probability below this.
    4. min_relative_probability: of several lesions, removes those whose mean probability is below this
       fraction of the highest one.
    5. keep_largest: of several lesions, keeps the largest; of equal ones, the first from the top.

    mask: bool (H, W). probability: float (H, W), 0..1, from which it was made. Returns a new bool (H, W).
    Raises ShapeError where the two differ in size.
    """
    if mask.shape != probability.shape:
        raise ShapeError(
            f"mask {mask.shape} and probability {probability.shape} differ in shape",
            remedy="Give both on one grid",
        )
    cleaned = np.zeros(mask.shape, dtype=bool)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return cleaned
    # Only the bounding box of the mask is processed, which is much smaller than the image.
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
        # The tolerance keeps equal ones together despite rounding of the sums.
        kept &= means >= options.min_relative_probability * means[kept].max() * (1 - 1e-9)
    if options.keep_largest and kept.any():
        largest = int(np.argmax(np.where(kept, areas, 0)))
        kept[:] = False
        kept[largest] = True
    cleaned[box] = kept[labels]
    return cleaned
