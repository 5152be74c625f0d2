"""Detection per image: lesion images against normal ones, by the maximum probability.

The false-positive rate on normals depends on the threshold as much as on the network. The AUROC does not: it
is how often a lesion image has a higher maximum probability than a normal one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoseg.evaluation.bootstrap import Floats, Json, finite, not_measured, weighted_interval
from sonoseg.evaluation.policy import POLICY, Policy
from sonoseg.evaluation.risk_coverage import auroc

SENSITIVITIES: Final = (0.95, 0.9)
"""Shares of the lesion images that are flagged, at which the share of flagged normals is reported."""


def summarise_detection(rows: pd.DataFrame, policy: Policy = POLICY) -> Json:
    """Compute the summary's entry `detection`: each figure as {"mean", "low", "high", "n", "groups"}.

    auroc: of the maximum probability, lesion against normal images; chance is 0.5. flagged_normals: by the
    share of lesion images that a threshold on the maximum probability flags, the share of the normals that it
    flags. None unless there are images of both kinds. The maximum need not lie on the lesion: for that see
    the FROC.
    """
    known = rows[rows["kind"].isin(("lesion", "normal"))]
    lesion = (known["kind"] == "lesion").to_numpy()
    peak = known["max_probability"].to_numpy(np.float64)

    def one(figure: Any) -> Json:
        if lesion.all() or not lesion.any():
            return not_measured()
        return weighted_interval(figure, known["group"].to_numpy(), **policy.bootstrap)

    return {
        "auroc": one(lambda weights=None: auroc(lesion, peak, weights)),
        "flagged_normals": {
            f"{share:g}": one(lambda weights=None, share=share: flagged(lesion, peak, share, weights))
            for share in SENSITIVITIES
        },
    }


def flagged_normals(rows: pd.DataFrame, share: float) -> float | None:
    """The share of the normals flagged by the threshold that flags `share` of the lesion images.

    None unless there are images of both kinds.
    """
    known = rows[rows["kind"].isin(("lesion", "normal"))]
    lesion = (known["kind"] == "lesion").to_numpy()
    if lesion.all() or not lesion.any():
        return None
    return finite(float(flagged(lesion, known["max_probability"].to_numpy(np.float64), share)[0]))


def flagged(
    lesion: NDArray[np.bool_], peak: NDArray[Any], share: float, weights: NDArray[Any] | None = None
) -> Floats:
    """Share of the normals at or above the highest threshold that flags `share` of the lesion images.

    lesion: bool (N,), both kinds among them. peak: (N,), maximum probabilities. weights: (R, N), how often
    each image counts in each of R resamples. Returns (1,), or (R,) with weights; NaN for a resample that
    lacks one of the kinds.
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
