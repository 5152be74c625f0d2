"""Detection of lesions as objects: found or missed lesions, false positives, FROC.

A lesion is an 8-connected component of the true mask. Components below `min_share` of the image are left out
as specks of annotation (BUSI's masks hold 25, of 1 to 8 pixels); the largest component always stays.

A predicted component hits a lesion where the Dice of the two is at least HIT_DICE (`rule="dice"`), or where
they share a pixel (`rule="any"`). A lesion with a hit is found; a predicted component without a hit is a
false positive. A component may hit two lesions, and a lesion may be hit twice: neither is a false positive.

Empty masks: without a lesion the sensitivity is NaN, and every predicted component is a false positive;
without a prediction nothing is found and nothing is a false positive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from sonoseg.errors import ShapeError
from sonoseg.metrics._check import Mask, as_mask, as_pair, as_probability
from sonoseg.metrics.constants import FALSE_POSITIVE_SHARE, HIT_DICE, SPECK_SHARE

Rule = Literal["dice", "any"]


def components(mask: NDArray[Any], min_share: float = 0.0) -> tuple[NDArray[np.int32], int]:
    """Label the 8-connected components of a mask (H, W).

    min_share: components below this share of the image are left out, but never the largest.
    Returns int32 (H, W), 0 background and 1..n the components in reading order, and n.
    Empty masks: all zeros and 0. Raises ShapeError.
    """
    array = as_mask(mask, "")
    labels, n = _label(array)
    if n == 0 or min_share <= 0.0:
        return labels, n
    areas = _areas(labels, n)
    keep = areas >= min_share * array.size
    keep[areas.argmax()] = True
    renumber = np.concatenate([[0], np.where(keep, keep.cumsum(), 0)]).astype(np.int32)
    return renumber[labels], int(keep.sum())


@dataclass(frozen=True)
class Match:
    """The matched lesions and predicted components of one image.

    found: bool (n_lesions,), whether a component hits the lesion.
    hit: bool (n_predicted,), whether the component hits a lesion.
    """

    found: NDArray[np.bool_]
    hit: NDArray[np.bool_]

    @property
    def n_lesions(self) -> int:
        """Number of lesions."""
        return self.found.size

    @property
    def n_found(self) -> int:
        """Number of found lesions."""
        return int(self.found.sum())

    @property
    def n_false_positives(self) -> int:
        """Number of predicted components that hit no lesion."""
        return int((~self.hit).sum())

    @property
    def sensitivity(self) -> float:
        """Found lesions per lesion, 0..1; NaN without a lesion."""
        return self.n_found / self.n_lesions if self.n_lesions else math.nan


def match_lesions(
    true: NDArray[Any],
    predicted: NDArray[Any],
    rule: Rule = "dice",
    minimum: float = HIT_DICE,
    min_share: float = SPECK_SHARE,
) -> Match:
    """Match the components of two masks (H, W) by the rule of this module.

    minimum: least Dice of a hit, for `rule="dice"`. min_share: see `components`, for the true mask.
    Empty masks: see this module. Raises ShapeError.
    """
    first, second = as_pair(true, predicted)
    lesions, n_lesions = components(first, min_share)
    found_labels, n_predicted = components(second)
    hits = _hits(lesions, n_lesions, found_labels, n_predicted, rule, minimum)
    return Match(np.asarray(hits.any(axis=1)), np.asarray(hits.any(axis=0)))


@dataclass(frozen=True)
class Candidates:
    """Scores of one image for a FROC; those of many images are concatenated.

    lesions: (n_lesions,), for each lesion the highest score of the candidates that hit it, 0 where none does.
    false: (n_false,), the scores of the candidates that hit no lesion.
    """

    lesions: NDArray[np.float64]
    false: NDArray[np.float64]


def candidates(
    true: NDArray[Any],
    probability: NDArray[Any],
    threshold: float = 0.1,
    min_area: float = 0.0,
    rule: Rule = "dice",
    minimum: float = HIT_DICE,
    min_share: float = SPECK_SHARE,
) -> Candidates:
    """Score the components of `probability >= threshold` by their highest probability.

    true: mask (H, W). probability: float (H, W), 0..1. min_area: candidates of fewer pixels are left out.
    threshold: a low one, so that the FROC extends beyond the operating point; 0 < threshold <= 1.
    Empty masks: no lesions, every candidate is a false positive. Raises ShapeError.
    """
    mask = as_mask(true, "true")
    values = as_probability(probability, mask.shape)
    if not 0.0 < threshold <= 1.0:
        raise ShapeError(
            f"the candidate threshold {threshold} is out of range", remedy="Give one above 0, up to 1"
        )
    lesions, n_lesions = components(mask, min_share)
    found, n_found = _label(values >= values.dtype.type(threshold))
    if n_found == 0:
        return Candidates(np.zeros(n_lesions), np.zeros(0))
    hits = _hits(lesions, n_lesions, found, n_found, rule, minimum)
    scores = np.zeros(n_found)
    inside = found > 0
    np.maximum.at(scores, found[inside] - 1, values[inside].astype(np.float64))
    large = _areas(found, n_found) >= min_area
    best = np.where(hits & large, scores, 0.0).max(axis=1, initial=0.0)
    return Candidates(best, scores[large & ~hits.any(axis=0)])


@dataclass(frozen=True)
class Froc:
    """A free-response ROC curve; each array has one entry per threshold, highest first.

    threshold: candidates of at least this score count.
    sensitivity: found lesions per lesion, 0..1, NaN without any lesion.
    fp_per_image: false positives per image.
    """

    threshold: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    fp_per_image: NDArray[np.float64]

    def sensitivity_at(self, fp_per_image: float) -> float:
        """Return the highest sensitivity at no more than this number of false positives per image, 0..1.

        0 where even the highest threshold gives more. NaN without any lesion.
        """
        if np.isnan(self.sensitivity).all():
            return math.nan
        allowed = self.sensitivity[self.fp_per_image <= fp_per_image]
        return float(allowed.max()) if allowed.size else 0.0


def froc(
    lesions: Sequence[float] | NDArray[Any], false: Sequence[float] | NDArray[Any], n_images: int
) -> Froc:
    """Compute the free-response ROC curve of `n_images` images, normal images included.

    lesions: highest score per lesion, 0 for one without a hit. false: scores of the false positives, above 0.
    The curve starts at threshold infinity, with nothing found and no false positive.
    Without lesions the sensitivity is NaN. Raises ShapeError for `n_images` below 1.
    """
    if n_images < 1:
        raise ShapeError(
            f"a FROC needs at least one image, found {n_images}", remedy="Give one image or more"
        )
    hit = np.sort(np.asarray(lesions, dtype=np.float64))
    wrong = np.sort(np.asarray(false, dtype=np.float64))
    steps = np.unique(np.concatenate([hit, wrong]))[::-1]
    steps = steps[steps > 0.0]
    at_or_above_hit = hit.size - np.searchsorted(hit, steps, side="left")
    at_or_above_wrong = wrong.size - np.searchsorted(wrong, steps, side="left")
    sensitivity = at_or_above_hit / hit.size if hit.size else np.full(steps.size, math.nan)
    start = 0.0 if hit.size else math.nan
    return Froc(
        np.concatenate([[math.inf], steps]),
        np.concatenate([[start], sensitivity]),
        np.concatenate([[0.0], at_or_above_wrong / n_images]),
    )


def area_share(predicted: NDArray[Any]) -> float:
    """Return the predicted area as a share of the image, 0..1. Empty mask: 0. Raises ShapeError."""
    mask = as_mask(predicted, "predicted")
    return int(np.count_nonzero(mask)) / mask.size


def is_false_positive(predicted: NDArray[Any], share: float = FALSE_POSITIVE_SHARE) -> bool:
    """Whether the prediction on a normal image covers more than `share` of it.

    Defined for images without a lesion only. Empty mask: False. Raises ShapeError.
    """
    return area_share(predicted) > share


def _label(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Label within the mask's bounding box, which is much smaller than the image."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return labels, 0
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside, n = label(mask[box], structure=np.ones((3, 3), dtype=np.int8))
    labels[box] = inside
    return labels, int(n)


def _areas(labels: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """Count the pixels of each label 1..n: int64 (n,)."""
    return np.bincount(labels[labels > 0] - 1, minlength=n).astype(np.int64)


def _hits(
    lesions: NDArray[np.int32],
    n_lesions: int,
    found: NDArray[np.int32],
    n_found: int,
    rule: Rule,
    minimum: float,
) -> NDArray[np.bool_]:
    """Return which component hits which lesion: bool (n_lesions, n_found)."""
    if n_lesions == 0 or n_found == 0:
        return np.zeros((n_lesions, n_found), dtype=np.bool_)
    both = (lesions > 0) & (found > 0)
    pairs = (lesions[both].astype(np.int64) - 1) * n_found + found[both] - 1
    shared = np.bincount(pairs, minlength=n_lesions * n_found).reshape(n_lesions, n_found)
    if rule == "any":
        return np.asarray(shared > 0)
    areas = _areas(lesions, n_lesions)[:, None] + _areas(found, n_found)[None, :]
    return np.asarray(2 * shared >= minimum * areas) & (shared > 0)
