"""Temperature scaling: probability calibration with one number.

The logit is divided by the temperature before the sigmoid (Guo et al., "On calibration of modern neural
networks", ICML 2017). The order of the pixels stays, so that every mask is also the mask of another
threshold. The temperature minimises the negative log-likelihood, which has one minimum in its inverse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from sonoseg.errors import EmptyMaskError, ShapeError
from sonoseg.metrics._check import as_mask

LIMIT: Final = 64.0
"""Logits are clipped to +-LIMIT: no data distinguish a probability of exp(-64) from 0."""

LEAST, MOST = 0.05, 20.0
"""Range of the fitted temperature; perfectly separated pixels would drive it to 0."""

_BINS = 8192


def _zeros() -> NDArray[np.int64]:
    return np.zeros(_BINS, dtype=np.int64)


@dataclass(eq=False)
class LogitCounts:
    """Counts of pixels by logit and truth, summed over images in constant memory.

    lesion, other: int64 (B,), pixels per bin of the logit; bins are 1/64 wide, from -64 to 64.
    """

    lesion: NDArray[np.int64] = field(default_factory=_zeros)
    other: NDArray[np.int64] = field(default_factory=_zeros)

    def add(self, true: NDArray[Any], logit: NDArray[Any], where: NDArray[Any]) -> None:
        """Count the pixels `where` of an image. true, where: masks (H, W). logit: float (H, W).

        Empty masks: an empty `where` adds nothing. Raises ShapeError.
        """
        mask, region = as_mask(true, "true"), as_mask(where, "where")
        values = np.asarray(logit, dtype=np.float64)
        if not values.shape == mask.shape == region.shape:
            raise ShapeError(
                f"the logits have shape {values.shape}, the masks {mask.shape} and {region.shape}",
                remedy="Give arrays of one image",
            )
        places = (np.clip(values[region], -LIMIT, LIMIT) + LIMIT) * (_BINS / (2 * LIMIT))
        bins = np.minimum(places.astype(np.intp), _BINS - 1)
        lesion = mask[region]
        self.lesion += np.bincount(bins[lesion], minlength=_BINS)
        self.other += np.bincount(bins[~lesion], minlength=_BINS)

    @property
    def n_pixels(self) -> int:
        """Number of counted pixels."""
        return int(self.lesion.sum() + self.other.sum())

    def nll(self, temperature: float) -> float:
        """Compute the mean negative log-likelihood per pixel, in nats, of the logits over `temperature`.

        NaN without a pixel.
        """
        if not self.n_pixels:
            return math.nan
        middle = ((np.arange(_BINS) + 0.5) * (2 * LIMIT / _BINS) - LIMIT) / temperature
        total = self.lesion @ np.logaddexp(0, -middle) + self.other @ np.logaddexp(0, middle)
        return float(total) / self.n_pixels

    def fit(self) -> float:
        """Return the temperature of the least negative log-likelihood, 0.05..20, to three decimals.

        Raises EmptyMaskError without pixels of both classes.
        """
        if not self.lesion.any() or not self.other.any():
            raise EmptyMaskError(
                "the temperature cannot be fitted: it needs pixels of lesion and of background",
                remedy="Give images with a lesion",
            )
        found = minimize_scalar(
            lambda power: self.nll(math.exp(power)),
            bounds=(math.log(LEAST), math.log(MOST)),
            method="bounded",
            options={"xatol": 1e-5},
        )
        return round(math.exp(float(found.x)), 3)


def moved_threshold(threshold: float, before: float, after: float) -> float:
    """Return the threshold that gives the same mask at another temperature.

    threshold: 0..1, at the temperature `before`. Returns the one at `after`; within 1e-6 of 1, floats are too
    coarse to represent every logit.
    """
    logit = math.log(threshold / (1 - threshold)) * before
    return 1 / (1 + math.exp(-logit / after))
