"""Several runs measured on the same images, averaged image by image.

Another seed adds no patient. Each image's figures are averaged over the runs that measured it; intervals and
tests then resample groups of images, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sonoseg.errors import DatasetError
from sonoseg.evaluation.summary import OF_NORMALS, PER_IMAGE
from sonoseg.metrics.probability_calibration import ReliabilityBins

if TYPE_CHECKING:
    from sonoseg.evaluation.evaluation import Evaluation

FACTS = ("set", "label", "group", "kind", "lesion_area_px", "lesion_share", "size_stratum")
FIGURES = (*dict.fromkeys((*PER_IMAGE, *OF_NORMALS)), "n_false_positives", "max_probability")


def average_runs(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    """One row per image: id, its facts, and each figure's mean over the runs that measured it.

    evaluations: at least one, of any seeds (the same images) and folds (other images).
    A figure that no run has of an image is NaN. Raises DatasetError where an image's true mask differs.
    """
    rows = pd.concat([one.rows for one in evaluations], ignore_index=True)
    images = rows.groupby("id", sort=False)
    changed = images["lesion_area_px"].nunique() > 1
    if changed.any():
        raise DatasetError(
            f"the true mask of '{changed.idxmax()}' differs between two evaluations",
            remedy="Evaluate all runs on the same prepared set",
        )
    return images[list(FACTS)].first().join(images[list(FIGURES)].mean()).reset_index()


def pooled_ece(evaluations: Sequence[Evaluation], region: str = "foreground") -> float:
    """The expected calibration error of the pixels of all evaluations together, 0..1; NaN without a pixel."""
    parts = []
    for one in evaluations:
        table = one.reliability
        own = table[table["region"] == region] if "region" in table else table
        count = own["count"].to_numpy(np.int64) if len(own) else np.zeros(0, np.int64)
        if not count.size:
            continue
        sums = (np.nan_to_num(own[name].to_numpy(np.float64)) * count for name in ("confidence", "frequency"))
        probability, lesion = sums
        parts.append(ReliabilityBins(count, probability, np.rint(lesion).astype(np.int64), 0.0))
    if not parts:
        return float("nan")
    return sum(parts[1:], start=parts[0]).ece
