"""Several runs measured on the same images: averaged image by image, so that seeds are no witnesses.

The network of another seed is no new patient. Each image's figures are first averaged over the runs that
measured it; what is resampled, turned and counted after that are groups of images, as everywhere.
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
FIGURES = (*dict.fromkeys((*PER_IMAGE, *OF_NORMALS)), "n_false_positives")


def average_runs(studies: Sequence[Evaluation]) -> pd.DataFrame:
    """A row an image: id, its facts, and each figure's mean over the runs that measured the image.

    studies: of several seeds (the same images) or folds (other images), in any mixture, at least one.
    A figure that no run has of an image is NaN. Raises DatasetError where an image's true mask differs.
    """
    rows = pd.concat([study.rows for study in studies], ignore_index=True)
    images = rows.groupby("id", sort=False)
    changed = images["lesion_area_px"].nunique() > 1
    if changed.any():
        raise DatasetError(
            f"the true mask of '{changed.idxmax()}' differs between two studies",
            remedy="Evaluate all runs on the same prepared set",
        )
    return images[list(FACTS)].first().join(images[list(FIGURES)].mean()).reset_index()


def pooled_ece(studies: Sequence[Evaluation], region: str = "foreground") -> float:
    """The expected calibration error of the pixels of all studies together, 0..1; NaN without a pixel.

    Of one seed's folds it is what a single study of all their images would say.
    """
    parts = []
    for study in studies:
        table = study.reliability
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
