"""Probability calibration: reliability bins, expected calibration error, Brier score.

Most pixels are background, certain and right, and would dominate a figure over the whole image. So the
figures are also computed over the foreground (the lesions and their surroundings) and over a band around the
true boundary. No region depends on the prediction: below the threshold, a region "true or predicted" would
hold lesion pixels alone, and show a step whatever the model does.

Bins of several images add up, in constant memory; the figures of a sum are those of the pooled pixels.

Empty masks: a region without a pixel gives empty bins, whose figures are NaN. An image without a true lesion
has neither foreground nor band.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, find_objects

from sonoseg.errors import ShapeError
from sonoseg.metrics._check import Mask, as_mask, as_pair, as_probability
from sonoseg.metrics.constants import CALIBRATION_BINS
from sonoseg.metrics.lesion_detection import components


@dataclass(frozen=True, eq=False)
class ReliabilityBins:
    """Pixels in bins of predicted probability of equal width; `+` joins the bins of several images.

    count: int64 (B,), pixels per bin. probability: float64 (B,), sum of their probabilities.
    lesion: int64 (B,), how many of them are lesion. squared: sum of the squared errors of all pixels.
    """

    count: NDArray[np.int64]
    probability: NDArray[np.float64]
    lesion: NDArray[np.int64]
    squared: float

    @classmethod
    def empty(cls, n_bins: int = CALIBRATION_BINS) -> ReliabilityBins:
        """Return bins without a pixel, the start of a sum."""
        zeros = np.zeros(n_bins, dtype=np.int64)
        return cls(zeros, np.zeros(n_bins), zeros.copy(), 0.0)

    def __add__(self, other: ReliabilityBins) -> ReliabilityBins:
        if self.count.size != other.count.size:
            raise ShapeError(
                f"{self.count.size} bins cannot be added to {other.count.size}",
                remedy="Use one number of bins for all images",
            )
        return ReliabilityBins(
            self.count + other.count,
            self.probability + other.probability,
            self.lesion + other.lesion,
            self.squared + other.squared,
        )

    @property
    def n_pixels(self) -> int:
        """Number of pixels in all bins."""
        return int(self.count.sum())

    @property
    def ece(self) -> float:
        """Expected calibration error, 0..1: |mean probability - share of lesion|, weighted by pixels.

        Guo et al., ICML 2017, for the binary case. NaN without a pixel.
        """
        if not self.n_pixels:
            return math.nan
        return float(np.abs(self.probability - self.lesion).sum()) / self.n_pixels

    @property
    def brier(self) -> float:
        """Mean squared error of the probability, 0..1 (Brier, 1950). NaN without a pixel."""
        return self.squared / self.n_pixels if self.n_pixels else math.nan

    def table(self) -> dict[str, NDArray[Any]]:
        """Return the columns of the reliability diagram, each (B,): low, high, confidence, frequency, count.

        confidence: mean probability of the bin. frequency: its share of lesion pixels. Both NaN where empty.
        """
        edges = np.linspace(0.0, 1.0, self.count.size + 1)
        with np.errstate(invalid="ignore"):
            confidence, frequency = self.probability / self.count, self.lesion / self.count
        return {
            "low": edges[:-1],
            "high": edges[1:],
            "confidence": confidence,
            "frequency": frequency,
            "count": self.count.copy(),
        }


def reliability_bins(
    true: NDArray[Any],
    probability: NDArray[Any],
    where: NDArray[Any] | None = None,
    n_bins: int = CALIBRATION_BINS,
) -> ReliabilityBins:
    """Count the pixels of one image in bins of probability.

    true: mask (H, W). probability: float (H, W), 0..1. where: mask (H, W) of the pixels, None for all.
    n_bins: bins of equal width over 0..1; each includes its lower edge, the last one also 1.
    Empty masks: an empty `where` gives empty bins; an empty true mask is binned like any other.
    Raises ShapeError.
    """
    mask = as_mask(true, "true")
    values = as_probability(probability, mask.shape)
    if where is None:
        values, lesion = values.ravel(), mask.ravel()
    else:
        _, region = as_pair(mask, where)
        values, lesion = values[region], mask[region]
    index = np.minimum((values * n_bins).astype(np.intp), n_bins - 1)
    count = np.bincount(index, minlength=n_bins)
    return ReliabilityBins(
        count.astype(np.int64),
        np.bincount(index, weights=values, minlength=n_bins).astype(np.float64),
        np.bincount(index[lesion], minlength=n_bins).astype(np.int64),
        float(np.square(values - lesion, dtype=np.float64).sum()),
    )


def ece(true: NDArray[Any], probability: NDArray[Any], where: NDArray[Any] | None = None) -> float:
    """Expected calibration error of one image (H, W), 0..1. Empty `where`: NaN. Raises ShapeError."""
    return reliability_bins(true, probability, where).ece


def brier(true: NDArray[Any], probability: NDArray[Any], where: NDArray[Any] | None = None) -> float:
    """Brier score of one image (H, W), 0..1. Empty `where`: NaN. Raises ShapeError."""
    return reliability_bins(true, probability, where).brier


def foreground(true: NDArray[Any], margin: float, min_share: float = 0.0) -> Mask:
    """Return the lesions with their surroundings: each bounding box, `margin` pixels larger on all sides.

    In the true mask alone all pixels are lesion, so that no probability but 1 would be calibrated.
    min_share: components below this share of the image are specks and get no box.
    Returns bool (H, W).
    Empty mask: no pixel. Raises ShapeError.
    """
    mask = as_mask(true, "true")
    region = np.zeros_like(mask)
    reach = math.ceil(margin)
    for rows, columns in find_objects(components(mask, min_share)[0]):
        region[
            max(rows.start - reach, 0) : rows.stop + reach,
            max(columns.start - reach, 0) : columns.stop + reach,
        ] = True
    return region


def boundary_band(true: NDArray[Any], width: float) -> Mask:
    """Return the pixels within `width` pixels of the true boundary, inside and outside: bool (H, W).

    The distance is to the nearest background pixel inside, to the nearest lesion pixel outside.
    Empty mask: no pixel. Raises ShapeError.
    """
    mask = as_mask(true, "true")
    band = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return band
    reach = math.ceil(width) + 1
    box = np.s_[
        max(rows[0] - reach, 0) : rows[-1] + 1 + reach, max(columns[0] - reach, 0) : columns[-1] + 1 + reach
    ]
    inside = mask[box]
    near_lesion = distance_transform_edt(~inside) <= width
    # A mask that fills its box has no background; scipy would measure to a made-up one.
    near_background = distance_transform_edt(inside) <= width if not inside.all() else np.zeros_like(inside)
    band[box] = near_lesion & near_background
    return band
