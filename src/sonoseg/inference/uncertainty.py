"""Uncertainty of a result, from the probabilities alone, and the choice of images for review by a person.

The measure was chosen among several on validation images: see docs/uncertainty.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError, UsageError
from sonoseg.image.components import label

LOW, HIGH = 0.1, 0.9
"""Probability levels of the band that is drawn: see `uncertainty_band`."""

LOWER, UPPER = 0.25, 0.75
"""Probability levels of the measure: the quartiles of the contour's position."""

NOTHING_FOUND: Final = 0.5
"""Least uncertainty of an image without a finding. On validation images the probabilities of entirely missed
lesions were those of normal images (docs/uncertainty.md), so a negative result is never certain."""


def image_uncertainty(probability: NDArray[Any], mask: NDArray[np.bool_], threshold: float) -> float:
    """Return the uncertainty of the result for a whole image, 0 certain to 1 uncertain.

    With lesions: 1 - Dice of the two quartile masks, the band of `uncertainty_band` at 0.25 and 0.75. On
    validation images one minus this lies near the true Dice. Without a lesion: the uncertainty about a missed
    one, from 0.5, where no pixel has any probability, to 1, where the maximum reaches the threshold.

    probability: float (H, W), 0..1, calibrated. mask: bool (H, W), the lesions. threshold: 0..1.
    Raises ShapeError.
    """
    _same_shape(probability, mask)
    if not mask.any():
        return NOTHING_FOUND + (1 - NOTHING_FOUND) * min(float(probability.max()) / threshold, 1.0)
    return _disagreement(*uncertainty_band(probability, mask, threshold, low=LOWER, high=UPPER))


def lesion_uncertainty(probability: NDArray[Any], lesion_mask: NDArray[np.bool_], threshold: float) -> float:
    """Return the uncertainty of one lesion's outline, 0 certain to 1 uncertain.

    As `image_uncertainty`, within the lesion's bounding box, enlarged on all sides by its longer side. Pixels
    nearer to another region above the threshold are left out.

    probability: float (H, W), 0..1, calibrated, of the whole image. lesion_mask: bool (H, W), one lesion.
    threshold: 0..1. The uncertainty of an empty mask is 1. Raises ShapeError.
    """
    _same_shape(probability, lesion_mask)
    rows, columns = np.flatnonzero(lesion_mask.any(axis=1)), np.flatnonzero(lesion_mask.any(axis=0))
    if not rows.size:
        return 1.0
    reach = int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1
    box = np.s_[
        max(rows[0] - reach, 0) : rows[-1] + 1 + reach, max(columns[0] - reach, 0) : columns[-1] + 1 + reach
    ]
    near, lesion = probability[box], lesion_mask[box]
    others = (near >= threshold) & ~lesion
    if others.any():
        from scipy.ndimage import distance_transform_edt as distance  # slow to import, seldom needed

        near = np.where(distance(~lesion) <= distance(~others), near, 0)
    return _disagreement(*uncertainty_band(near, lesion, threshold, low=LOWER, high=UPPER))


def uncertainty_band(
    probability: NDArray[Any],
    mask: NDArray[np.bool_],
    threshold: float,
    *,
    low: float = LOW,
    high: float = HIGH,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two masks (inner, outer), bool (H, W), between which the contours may lie.

    inner: the mask where its probability is at least `high`. outer: the mask, and the pixels of probability
    at least `low` that are 8-connected to it; inner lies within the mask, and the mask within outer.
    These are quantiles of a random set (Vorob'ev's; Molchanov, Theory of Random Sets, Springer 2005): with
    calibrated probabilities nine in ten pixels at the inner contour are lesion, and one in ten at the outer.
    They hold for single pixels, and promise no coverage of a whole outline. A threshold outside low..high
    replaces that level. An empty mask gives two empty ones.

    Raises ShapeError; UsageError unless 0 < low <= high < 1.
    """
    _same_shape(probability, mask)
    if not 0 < low <= high < 1:
        raise UsageError(f"band levels {low} and {high} are out of range", remedy="Give 0 < low <= high < 1")
    inner = mask & (probability >= max(high, threshold))
    if not mask.any():
        return inner, inner.copy()
    possible = mask | (probability >= min(low, threshold))
    labels, count = label(possible)
    joined = np.zeros(count + 1, dtype=bool)
    joined[labels[mask]] = True
    return inner, np.asarray(joined[labels])


def refer(uncertainties: Sequence[float] | NDArray[Any], share: float) -> list[int]:
    """Return the indices of the most uncertain fraction of images, the most uncertain first.

    uncertainties: one per image; NaN (unknown) counts as the greatest. share: 0..1; the number of images is
    rounded up. Of equal uncertainties the first in the list comes first. Raises UsageError for a share out of
    range.
    """
    if not 0 <= share <= 1:
        raise UsageError(
            f"share {share} is out of range", remedy="Give a fraction between 0 and 1, such as 0.2"
        )
    values = np.asarray(uncertainties, dtype=np.float64)
    count = math.ceil(share * values.size - 1e-9)
    order = np.argsort(-np.where(np.isnan(values), np.inf, values), kind="stable")
    return [int(index) for index in order[:count]]


def _disagreement(inner: NDArray[np.bool_], outer: NDArray[np.bool_]) -> float:
    """Return 1 - Dice of two nested masks."""
    return 1.0 - 2.0 * int(inner.sum()) / (int(inner.sum()) + int(outer.sum()))


def _same_shape(probability: NDArray[Any], mask: NDArray[np.bool_]) -> None:
    if probability.ndim != 2 or probability.shape != mask.shape:
        raise ShapeError(
            f"probability {probability.shape} and mask {mask.shape} differ in shape",
            remedy="Give both on one grid, (H, W)",
        )
