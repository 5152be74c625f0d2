"""How much a result is to be doubted, from the probabilities alone; which images a person should see.

The measure was chosen on validation images among several: docs/uncertainty.md has the table and the command.
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
"""The levels of the band that is drawn: see `uncertainty_band`."""

LOWER, UPPER = 0.25, 0.75
"""The levels of the measure: the quartiles of where the contour may lie."""

NOTHING_FOUND: Final = 0.5
"""The least doubt of an image without a finding. On validation images the lesions that were missed
altogether showed no more of themselves than normals did (docs/uncertainty.md): no probability can vouch for
"nothing"."""


def image_uncertainty(probability: NDArray[Any], mask: NDArray[np.bool_], threshold: float) -> float:
    """How much the result for a whole image is to be doubted: 0 sure, 1 in doubt.

    With lesions found: 1 - Dice of the two quartile masks, which are the band of `uncertainty_band` at 0.25 and
    0.75: what the probabilities hold for sure against all that they hold for possible. On validation images
    one minus it lies near the true Dice. Without a lesion the doubt is about one that was missed: from 0.5,
    where nothing in the image looks like one, to 1, where the highest probability reaches the threshold.

    probability: float (H, W), 0..1, calibrated. mask: bool (H, W), what was found. threshold: 0..1.
    Raises ShapeError.
    """
    _same_shape(probability, mask)
    if not mask.any():
        return NOTHING_FOUND + (1 - NOTHING_FOUND) * min(float(probability.max()) / threshold, 1.0)
    return _disagreement(*uncertainty_band(probability, mask, threshold, low=LOWER, high=UPPER))


def lesion_uncertainty(probability: NDArray[Any], lesion_mask: NDArray[np.bool_], threshold: float) -> float:
    """How much the outline of one lesion is to be doubted: 0 sure, 1 in doubt.

    As `image_uncertainty`, within the lesion's surroundings: the box around it, wider on all sides by its
    longer side. What lies nearer to another place that reaches the threshold belongs to that place.

    probability: float (H, W), 0..1, calibrated, of the whole image. lesion_mask: bool (H, W), one lesion.
    threshold: 0..1. An empty mask is in full doubt: 1. Raises ShapeError.
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
    """Two masks between which the contours may lie: (inner, outer), bool (H, W) each.

    inner: the mask where its probability is at least `high`. outer: the mask, and what is joined to it
    (8-connected) by probability of at least `low`; inner lies within the mask, and the mask within outer.
    These are quantiles of a random set (Vorob'ev's; Molchanov, Theory of Random Sets, Springer 2005): with
    calibrated probabilities nine in ten pixels at the inner contour are lesion, and one in ten at the outer.
    They speak of pixels one by one and promise no coverage of the whole outline. A threshold outside
    low..high takes that level's place. An empty mask gives two empty ones.

    Raises ShapeError; UsageError unless 0 < low <= high < 1.
    """
    _same_shape(probability, mask)
    if not 0 < low <= high < 1:
        raise UsageError(f"a band from {low} to {high}", remedy="Give 0 < low <= high < 1")
    inner = mask & (probability >= max(high, threshold))
    if not mask.any():
        return inner, inner.copy()
    possible = mask | (probability >= min(low, threshold))
    labels, count = label(possible)
    joined = np.zeros(count + 1, dtype=bool)
    joined[labels[mask]] = True
    return inner, np.asarray(joined[labels])


def refer(uncertainties: Sequence[float] | NDArray[Any], share: float) -> list[int]:
    """Which images a person should see: the places of the most doubtful share, the most doubtful first.

    uncertainties: one an image; NaN (nothing is known) is the greatest doubt. share: 0..1; the number is
    rounded up, so that a share above 0 refers someone. Of equal doubts the first in the list comes first: the
    same list gives the same answer everywhere. Raises UsageError for a share out of range.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"a share of {share}", remedy="Give a share between 0 and 1, as 0.2 for a fifth")
    doubts = np.asarray(uncertainties, dtype=np.float64)
    count = math.ceil(share * doubts.size - 1e-9)
    order = np.argsort(-np.where(np.isnan(doubts), np.inf, doubts), kind="stable")
    return [int(place) for place in order[:count]]


def _disagreement(inner: NDArray[np.bool_], outer: NDArray[np.bool_]) -> float:
    """1 - Dice of a mask and one around it: 0 where they are the same, 1 where the inner one is empty."""
    return 1.0 - 2.0 * int(inner.sum()) / (int(inner.sum()) + int(outer.sum()))


def _same_shape(probability: NDArray[Any], mask: NDArray[np.bool_]) -> None:
    if probability.ndim != 2 or probability.shape != mask.shape:
        raise ShapeError(
            f"probability {probability.shape} and mask {mask.shape}",
            remedy="Give both on one grid, (H, W)",
        )
