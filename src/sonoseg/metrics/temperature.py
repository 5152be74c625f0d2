"""Temperature scaling: one number that makes probabilities mean what they say.

The logit is divided by the temperature before the sigmoid (Guo et al., "On calibration of modern neural
networks", ICML 2017). It changes no order of pixels: every mask is there again at a moved threshold. The
temperature is the one of the least negative log-likelihood, which has a single minimum in its inverse.
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
"""Logits beyond it are taken as it: e to the -64th is no probability that data could tell from 0."""

LEAST, MOST = 0.05, 20.0
"""Where a temperature is looked for; data that are told apart perfectly would have it go to 0."""

_BINS = 8192


def _zeros() -> NDArray[np.int64]:
    return np.zeros(_BINS, dtype=np.int64)


@dataclass(eq=False)
class LogitCounts:
    """Pixels counted by logit and truth, image after image; memory stays flat.

    lesion, other: int64 (B,), pixels a bin of logits of 1/64, from -64 to 64.
    """

    lesion: NDArray[np.int64] = field(default_factory=_zeros)
    other: NDArray[np.int64] = field(default_factory=_zeros)

    def add(self, true: NDArray[Any], logit: NDArray[Any], where: NDArray[Any]) -> None:
        """Add the pixels `where` of an image. true, where: masks (H, W). logit: float (H, W).

        Empty masks: an empty `where` adds nothing. Raises ShapeError.
        """
        mask, region = as_mask(true, "true"), as_mask(where, "where")
        values = np.asarray(logit, dtype=np.float64)
        if not values.shape == mask.shape == region.shape:
            raise ShapeError(
                f"logits {values.shape} for masks {mask.shape} and {region.shape}",
                remedy="Give all of one image",
            )
        places = (np.clip(values[region], -LIMIT, LIMIT) + LIMIT) * (_BINS / (2 * LIMIT))
        bins = np.minimum(places.astype(np.intp), _BINS - 1)
        lesion = mask[region]
        self.lesion += np.bincount(bins[lesion], minlength=_BINS)
        self.other += np.bincount(bins[~lesion], minlength=_BINS)

    @property
    def n_pixels(self) -> int:
        """How many pixels were counted."""
        return int(self.lesion.sum() + self.other.sum())

    def nll(self, temperature: float) -> float:
        """Mean negative log-likelihood a pixel, in nats, of the logits divided by `temperature`.

        NaN without a pixel.
        """
        if not self.n_pixels:
            return math.nan
        middle = ((np.arange(_BINS) + 0.5) * (2 * LIMIT / _BINS) - LIMIT) / temperature
        total = self.lesion @ np.logaddexp(0, -middle) + self.other @ np.logaddexp(0, middle)
        return float(total) / self.n_pixels

    def fit(self) -> float:
        """The temperature of the least negative log-likelihood, to three decimals, from 0.05 to 20.

        Raises EmptyMaskError without pixels of both kinds: nothing could be weighed.
        """
        if not self.lesion.any() or not self.other.any():
            raise EmptyMaskError(
                "a temperature needs pixels of lesions and others",
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
    """The threshold that gives the same mask under another temperature: the same place on the logit.

    threshold: 0..1, under the temperature `before`. Returns it under `after`; where that is within 1e-6 of
    1, floats begin to lose places on the logit.
    """
    logit = math.log(threshold / (1 - threshold)) * before
    return 1 / (1 + math.exp(-logit / after))
