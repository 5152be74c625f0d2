"""Lesions as objects: found or missed, false positives, FROC, false alarms.

A lesion is an 8-connected component of the true mask. Specks of annotation (BUSI's masks hold 25, of 1 to 8
pixels) are no lesions: components below `min_share` of the image are left out, the largest always stays.

The rule of a hit, fixed here once: a predicted component hits a lesion where the Dice of the two components
is 0.1 or more (`rule="dice"`), or where they share a pixel (`rule="any"`). A lesion with a hit is found. A
predicted component without a hit is a false positive. One component may hit two lesions, and a lesion may be
hit twice: neither makes a false positive.

Empty masks: without a lesion the sensitivity is NaN, and every predicted component is a false positive;
without a prediction nothing is found and nothing is false.
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

Rule = Literal["dice", "any"]

SPECK = 1e-4  # share of the image: 30 pixels of 500 x 600, four times BUSI's largest speck
FALSE_ALARM = 1e-3  # share of the image: 0.1 %, the policy's limit
HIT_DICE = 0.1


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
    """The lesions of one image against the predicted components.

    found: bool (n_lesions,). hit: bool (n_predicted,), whether the component hits any lesion.
    """

    found: NDArray[np.bool_]
    hit: NDArray[np.bool_]

    @property
    def n_lesions(self) -> int:
        """How many lesions the true mask holds."""
        return self.found.size

    @property
    def n_found(self) -> int:
        """How many of them were hit."""
        return int(self.found.sum())

    @property
    def n_false_positives(self) -> int:
        """How many predicted components hit no lesion."""
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
    min_share: float = SPECK,
) -> Match:
    """Match the components of two masks (H, W) by the rule of this file.

    minimum: the Dice that makes a hit, for `rule="dice"`. min_share: what counts as a speck of annotation.
    Empty masks: the note of this file. Raises ShapeError.
    """
    first, second = as_pair(true, predicted)
    lesions, n_lesions = components(first, min_share)
    found_labels, n_predicted = components(second)
    hits = _hits(lesions, n_lesions, found_labels, n_predicted, rule, minimum)
    return Match(np.asarray(hits.any(axis=1)), np.asarray(hits.any(axis=0)))


@dataclass(frozen=True)
class Candidates:
    """What a FROC needs of one image; the lists of many images are simply joined.

    lesions: (n_lesions,), for each lesion the best score of the candidates that hit it, 0 where none does.
    false: (n_false,), the scores of the candidates that hit nothing.
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
    min_share: float = SPECK,
) -> Candidates:
    """Take the components of `probability >= threshold` as candidates, scored with their highest probability.

    true: mask (H, W). probability: float (H, W), 0..1. min_area: candidates of fewer pixels are dropped.
    The threshold is a low one, so that a FROC sees beyond the operating point; 0 < threshold <= 1.
    Empty masks: no lesions, every candidate false. Raises ShapeError.
    """
    mask = as_mask(true, "true")
    values = as_probability(probability, mask.shape)
    if not 0.0 < threshold <= 1.0:
        raise ShapeError(f"a threshold of {threshold} for candidates", remedy="Give one above 0, up to 1")
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
    """A free-response curve; each array has one entry a threshold, from the strictest on.

    threshold: a candidate counts where its score is at or above it.
    sensitivity: found lesions per lesion, 0..1, NaN without any lesion.
    fp_per_image: false positives per image.
    """

    threshold: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    fp_per_image: NDArray[np.float64]

    def sensitivity_at(self, fp_per_image: float) -> float:
        """The highest sensitivity reached with at most so many false positives per image, 0..1.

        0 where even the strictest threshold makes more. NaN without any lesion.
        """
        if np.isnan(self.sensitivity).all():
            return math.nan
        allowed = self.sensitivity[self.fp_per_image <= fp_per_image]
        return float(allowed.max()) if allowed.size else 0.0


def froc(
    lesions: Sequence[float] | NDArray[Any], false: Sequence[float] | NDArray[Any], n_images: int
) -> Froc:
    """Sweep the threshold over the candidates' scores of `n_images` images, normals among them.

    lesions: best score a lesion, 0 for one that no candidate hits. false: score a false candidate, above 0.
    The curve starts at no candidate at all (threshold infinity, nothing found, nothing false).
    Without lesions the sensitivity is NaN. Raises ShapeError for `n_images` below 1.
    """
    if n_images < 1:
        raise ShapeError(f"a FROC over {n_images} images", remedy="Give one image or more")
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
    """The predicted area as a share of the image, 0..1. Empty mask: 0. Raises ShapeError."""
    mask = as_mask(predicted, "predicted")
    return int(np.count_nonzero(mask)) / mask.size


def false_alarm(predicted: NDArray[Any], share: float = FALSE_ALARM) -> bool:
    """Whether the prediction on a normal image covers more than `share` of it (0.1 %).

    Ask it of images without a lesion only. Empty mask: no alarm. Raises ShapeError.
    """
    return area_share(predicted) > share


def _label(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Label within the mask's own box, which is much smaller than the image."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return labels, 0
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside, n = label(mask[box], structure=np.ones((3, 3), dtype=np.int8))
    labels[box] = inside
    return labels, int(n)


def _areas(labels: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """int64 (n,): the pixels of each label 1..n."""
    return np.bincount(labels[labels > 0] - 1, minlength=n).astype(np.int64)


def _hits(
    lesions: NDArray[np.int32],
    n_lesions: int,
    found: NDArray[np.int32],
    n_found: int,
    rule: Rule,
    minimum: float,
) -> NDArray[np.bool_]:
    """bool (n_lesions, n_found): which component hits which lesion."""
    if n_lesions == 0 or n_found == 0:
        return np.zeros((n_lesions, n_found), dtype=np.bool_)
    both = (lesions > 0) & (found > 0)
    pairs = (lesions[both].astype(np.int64) - 1) * n_found + found[both] - 1
    shared = np.bincount(pairs, minlength=n_lesions * n_found).reshape(n_lesions, n_found)
    if rule == "any":
        return np.asarray(shared > 0)
    areas = _areas(lesions, n_lesions)[:, None] + _areas(found, n_found)[None, :]
    return np.asarray(2 * shared >= minimum * areas) & (shared > 0)
