"""The probability threshold, chosen on validation images only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import DatasetError
from sonoseg.metrics.overlap import THRESHOLDS, best_threshold, dice_at_thresholds

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.inference.predictor import Predictor

BATCH = 1
"""Images per forward pass: on a CPU more are no faster, and eight of the seed network take 1.3 GiB more."""


@dataclass
class ThresholdSweep:
    """Mean lesion Dice at each threshold, accumulated image by image.

    thresholds: rising, (T,). sums: Dice added up, (T,). n: lesion images so far.
    """

    thresholds: NDArray[np.float64]
    sums: NDArray[np.float64]
    n: int = 0

    @classmethod
    def over(cls, thresholds: NDArray[np.float64] = THRESHOLDS) -> ThresholdSweep:
        """An empty sweep."""
        return cls(thresholds, np.zeros(thresholds.size))

    def add(self, true: NDArray[np.bool_], probability: NDArray[np.float32]) -> None:
        """Add an image (H, W); one without a lesion is ignored."""
        if true.any():
            self.sums += dice_at_thresholds(true, probability, self.thresholds)
            self.n += 1

    @property
    def dice(self) -> NDArray[np.float64]:
        """Mean lesion Dice at each threshold, before post-processing, (T,). Raises DatasetError."""
        if not self.n:
            raise DatasetError(
                "no image has a lesion, so no threshold can be chosen",
                remedy="Use images with lesions, or give a threshold",
            )
        return self.sums / self.n

    @property
    def best(self) -> float:
        """The threshold of the highest mean Dice; of equal ones the nearest to 0.5."""
        return best_threshold(self.thresholds, self.dice)


def choose_threshold(
    predictor: Predictor,
    prepared: PreparedSet,
    validation_ids: Iterable[str],
    thresholds: NDArray[np.float64] = THRESHOLDS,
) -> ThresholdSweep:
    """Sweep the thresholds over validation images, on their own grids; `.best` is the choice.

    Never use test images: a threshold chosen on them biases every figure measured with it.
    Raises DatasetError for an unknown id, or where no image has a lesion.
    """
    ids = list(validation_ids)
    prepared.rows(ids)
    sweep = ThresholdSweep.over(thresholds)
    frames = (prepared.frame(name) for name in ids)
    for name, found in zip(ids, predictor.predict_many(frames, batch=BATCH), strict=True):
        sweep.add(prepared.mask(name), found.probability)
    _ = sweep.dice  # raises where there is no lesion
    return sweep
