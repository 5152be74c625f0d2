"""Overlap of two masks: confusion counts, Dice, IoU, precision, recall, pixel accuracy.

Empty masks, for every function of this module:

| true | predicted | Dice, IoU, recall | precision | pixel accuracy |
|---|---|---|---|---|
| lesion | lesion | the formula | the formula | the formula |
| lesion | empty (missed) | 0 | 0 | the formula |
| empty | anything | NaN | NaN | the formula |

The precision of a missed lesion is 0 and not 0/0, so that a model that misses more cannot gain by it. Images
without a lesion are scored by `lesion_detection.is_false_positive`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError
from sonoseg.metrics._check import as_mask, as_pair, as_probability

THRESHOLDS: NDArray[np.float64] = np.round(np.arange(0.1, 0.91, 0.05), 2)
"""Probability thresholds among which the best one is chosen."""


@dataclass(frozen=True)
class ConfusionCounts:
    """Confusion counts in pixels, of one image or summed over many.

    tp: lesion in both. fp: lesion only in the prediction. fn: lesion only in the truth. tn: in neither.
    The scores follow the table of this module; those of a sum are the pooled scores.
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: ConfusionCounts) -> ConfusionCounts:
        return ConfusionCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    @property
    def has_lesion(self) -> bool:
        """Whether the true mask holds a lesion."""
        return self.tp + self.fn > 0

    @property
    def dice(self) -> float:
        """2 TP / (2 TP + FP + FN), 0..1; NaN without a true lesion (Dice, Ecology 1945)."""
        return self._of_lesion(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN), 0..1; NaN without a true lesion (Jaccard, 1912)."""
        return self._of_lesion(self.tp, self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        """TP / (TP + FP), 0..1; 0 for a missed lesion; NaN without a true lesion."""
        return self._of_lesion(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP / (TP + FN), 0..1, how much of the lesion was found; NaN without a true lesion."""
        return self._of_lesion(self.tp, self.tp + self.fn)

    @property
    def pixel_accuracy(self) -> float:
        """(TP + TN) / all pixels, 0..1. Always defined, and high for any prediction: lesions are small."""
        return (self.tp + self.tn) / (self.tp + self.fp + self.fn + self.tn)

    def _of_lesion(self, part: int, whole: int) -> float:
        if not self.has_lesion:
            return math.nan
        return part / whole if whole else 0.0


def confusion(true: NDArray[Any], predicted: NDArray[Any]) -> ConfusionCounts:
    """Count the pixels of two masks (H, W). Empty masks: counted like any other. Raises ShapeError."""
    first, second = as_pair(true, predicted)
    both = int(np.count_nonzero(first & second))
    n_true, n_predicted = int(np.count_nonzero(first)), int(np.count_nonzero(second))
    return ConfusionCounts(both, n_predicted - both, n_true - both, first.size - n_true - n_predicted + both)


def pooled(counts: Iterable[ConfusionCounts]) -> ConfusionCounts:
    """Sum the counts of many images: `pooled(...).dice` is the pooled Dice, dominated by large lesions.

    Empty masks: an image without a lesion adds its false-positive pixels; leave normal images out for a score
    of lesions. Without any image all counts are 0.
    """
    return sum(counts, start=ConfusionCounts(0, 0, 0, 0))


def dice(true: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Compute the Dice of two masks (H, W), 0..1. Missed: 0. Empty truth: NaN. Raises ShapeError."""
    return confusion(true, predicted).dice


def iou(true: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Compute the intersection over union (H, W), 0..1. Missed: 0. Empty truth: NaN. Raises ShapeError."""
    return confusion(true, predicted).iou


def precision(true: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Compute the share of the prediction that is lesion. Missed: 0. Empty truth: NaN. Raises ShapeError."""
    return confusion(true, predicted).precision


def recall(true: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Compute the share of the lesion that is predicted. Missed: 0. Empty truth: NaN. Raises ShapeError."""
    return confusion(true, predicted).recall


def pixel_accuracy(true: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Compute the share of correct pixels, 0..1. Defined for empty masks too. Raises ShapeError."""
    return confusion(true, predicted).pixel_accuracy


def best_threshold(thresholds: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Return the threshold of the highest score, both (T,); of scores equal to 6 decimals, nearest to 0.5."""
    rounded = np.round(scores, 6)
    return float(min(thresholds[rounded == rounded.max()], key=lambda threshold: abs(threshold - 0.5)))


def dice_at_thresholds(
    true: NDArray[Any], probability: NDArray[Any], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the Dice at many thresholds in one pass.

    true: mask (H, W). probability: float (H, W), 0..1. thresholds: (T,), ascending; pixels of at least
    the threshold are lesion. Returns float64 (T,).
    Empty masks: 0 where a threshold misses the lesion; all NaN where the true mask is empty.
    Raises ShapeError.
    """
    mask = as_mask(true, "true")
    values = as_probability(probability, mask.shape)
    steps = np.asarray(thresholds, dtype=np.float64)
    if steps.ndim != 1 or (np.diff(steps) <= 0).any():
        raise ShapeError(f"thresholds {steps.tolist()} are not ascending", remedy="Sort them, each once")
    if not mask.any():
        return np.full(steps.size, math.nan)
    # In the probability's own dtype: float32(0.7) is below 0.7, and the predictor compares as float32.
    level = np.searchsorted(steps.astype(values.dtype), values.ravel(), side="right")
    n_all = np.bincount(level, minlength=steps.size + 1)
    n_hit = np.bincount(level[mask.ravel()], minlength=steps.size + 1)
    predicted = n_all[::-1].cumsum()[::-1][1:]  # pixels at or above each threshold
    hit = n_hit[::-1].cumsum()[::-1][1:]
    return 2.0 * hit / (predicted + np.count_nonzero(mask))
