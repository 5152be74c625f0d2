"""Are images with a lesion told from normal ones? By the peak probability, whatever the threshold.

How many normals get a false alarm depends on the threshold as much as on the network, and a network that
finds less is quieter too. So a study also says what no threshold changes: how often an image with a lesion
has the higher peak, and how many normals would be flagged where most of the lesion images are.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoseg.evaluation.bootstrap import Floats, Interval, Json, weighted_interval
from sonoseg.evaluation.policy import POLICY, Policy
from sonoseg.evaluation.risk_coverage import auroc

KEPT: Final = (0.95, 0.9)
"""Shares of the lesion images that are flagged, at which the summary names the normals flagged."""


def summarise_detection(rows: pd.DataFrame, policy: Policy = POLICY) -> Json:
    """The summary's entry `detection`: every figure as {"mean", "low", "high", "n", "groups"}.

    auroc: how often an image with a lesion has a higher peak probability than a normal, ties half; chance is
    0.5. flagged_normals: by the share of lesion images that a threshold on the peak flags, the share of the
    normals that it flags too. NaN (None) unless there are images of both kinds. The peak need not lie on
    the lesion: what is found where is the FROC's to say.
    """
    known = rows[rows["kind"].isin(("lesion", "normal"))]
    lesion = (known["kind"] == "lesion").to_numpy()
    peak = known["max_probability"].to_numpy(np.float64)
    options: Any = {"resamples": policy.resamples, "level": policy.level, "seed": policy.seed}

    def one(figure: Any) -> Json:
        if lesion.all() or not lesion.any():
            return Interval(np.nan, np.nan, np.nan, 0, 0).as_dict()
        return weighted_interval(figure, known["group"].to_numpy(), **options)

    return {
        "auroc": one(lambda weights=None: auroc(lesion, peak, weights)),
        "flagged_normals": {
            f"{share:g}": one(lambda weights=None, share=share: flagged(lesion, peak, share, weights))
            for share in KEPT
        },
    }


def flagged(
    lesion: NDArray[np.bool_], peak: NDArray[Any], share: float, weights: NDArray[Any] | None = None
) -> Floats:
    """Share of the normals at or above the highest peak that `share` of the lesion images reach.

    lesion: bool (N,), both kinds among them. peak: (N,). weights: (R, N), how often each image counts in
    each of R resamples. Returns (1,), or (R,) with weights; NaN for a resample that lacks one of the kinds.
    """
    counts = np.ones((1, peak.size)) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(-peak[lesion], kind="stable")
    reached = counts[:, lesion][:, order].cumsum(axis=1)
    enough = reached >= share * reached[:, -1:] * (1 - 1e-12)
    threshold = peak[lesion][order][enough.argmax(axis=1)]
    own = counts[:, ~lesion]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (own * (peak[~lesion] >= threshold[:, None])).sum(axis=1) / own.sum(axis=1)
    return np.asarray(np.where(reached[:, -1] > 0, found, np.nan))
