"""Temperature scaling: a model's temperature, fitted on validation images, and its new threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import DatasetError, EmptyMaskError
from sonoseg.evaluation.policy import POLICY, Policy
from sonoseg.evaluation.threshold_sweep import ThresholdSweep
from sonoseg.image.network_grid import Grid
from sonoseg.metrics.probability_calibration import (
    ReliabilityBins,
    boundary_band,
    foreground,
    reliability_bins,
)
from sonoseg.metrics.temperature import LogitCounts, moved_threshold

if TYPE_CHECKING:
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.inference.predictor import Predictor

REGIONS: Final = ("whole", "foreground", "band")
FITTED_ON: Final = "foreground"
"""The region that the temperature is fitted on: the box around each lesion, with a margin of 5 % of the
diagonal.

Contours and uncertainty depend on it. In the whole image the certain background dominates; the boundary band
alone flattens all other probabilities (figures in docs/uncertainty.md).
"""

Track = Callable[[Iterable[str], str, int | None], Iterator[str]]


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The result of a fit.

    temperature, threshold: the new ones. old_temperature, old_threshold: the card's.
    images, pixels: with a lesion, and their pixels in the region. nll: mean negative log-likelihood, before
    and after. before, after: reliability bins of each of REGIONS, on the network's grid.
    sweep: Dice over thresholds at the new temperature; None where the masks were kept.
    """

    temperature: float
    threshold: float
    old_temperature: float
    old_threshold: float
    images: int
    pixels: int
    nll: tuple[float, float]
    before: dict[str, ReliabilityBins]
    after: dict[str, ReliabilityBins]
    sweep: ThresholdSweep | None

    @property
    def regions(self) -> list[str]:
        """Those of REGIONS with pixels: on a very small grid the band has none."""
        return [name for name in REGIONS if self.after[name].n_pixels]

    def as_dict(self) -> dict[str, Any]:
        """For the card and for JSON."""
        return {
            "temperature": self.temperature,
            "threshold": self.threshold,
            "temperature_before": self.old_temperature,
            "threshold_before": self.old_threshold,
            "threshold_chosen": "the same masks" if self.sweep is None else "best mean lesion Dice",
            "images": self.images,
            "pixels": self.pixels,
            "region": FITTED_ON,
            "nll": list(self.nll),
            "ece": {name: [self.before[name].ece, self.after[name].ece] for name in self.regions},
            "brier": {name: [self.before[name].brier, self.after[name].brier] for name in self.regions},
        }


def calibrate(
    predictor: Predictor,
    prepared: PreparedSet,
    validation_ids: Iterable[str],
    *,
    keep_masks: bool = False,
    policy: Policy = POLICY,
    track: Track | None = None,
) -> Calibrated:
    """Fit a temperature on the validation images with a lesion, on the network's grid.

    keep_masks: move the threshold so that every mask stays the same, instead of choosing it again.
    track: wraps the ids in a progress bar. Never use test images.
    The network processes the images twice: to fit, and to compare before and after.
    Raises DatasetError for an unknown id, or where no image has a lesion.
    """
    names = list(validation_ids)
    card = predictor.model.card
    pixels, masks = prepared.arrays(card.preprocessing.size, card.preprocessing.fit)
    rows = dict(zip(names, prepared.rows(names).tolist(), strict=True))
    shapes = dict(
        zip(names, prepared.table.loc[names, ["height", "width"]].to_numpy(int).tolist(), strict=True)
    )
    lesions = [name for name in names if masks[rows[name]].any()]

    def each(description: str) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float32]]]:
        """True mask and logits of each image with a lesion, without letterbox padding."""
        for name in track(lesions, description, len(lesions)) if track else lesions:
            row = rows[name]
            grid = Grid(tuple(shapes[name]), card.preprocessing.size, card.preprocessing.fit)
            top, left, height, width = grid.box
            box = np.s_[top : top + height, left : left + width]
            yield masks[row][box] > 0, predictor.logit_grid(pixels[row : row + 1])[0][box]

    counts = LogitCounts()
    for true, logit in each("fitting"):
        counts.add(true, logit, _regions(true, policy)[FITTED_ON])
    try:
        temperature = counts.fit()
    except EmptyMaskError as error:
        raise DatasetError(
            "no validation image has a lesion, so no temperature can be fitted",
            where=prepared.folder,
            remedy="Choose another fold, or a set with lesions",
        ) from error
    old = card.temperature
    before, after = ({name: ReliabilityBins.empty(policy.bins) for name in REGIONS} for _ in range(2))
    sweep = None if keep_masks else ThresholdSweep.over()
    for true, logit in each("measuring"):
        now = _sigmoid(logit, temperature)
        if sweep is not None:
            sweep.add(true, now)
        for bins, probability in ((before, _sigmoid(logit, old)), (after, now)):
            for name, where in _regions(true, policy).items():
                bins[name] += reliability_bins(true, probability, where, policy.bins)
    return Calibrated(
        temperature=temperature,
        threshold=moved_threshold(card.threshold, old, temperature) if sweep is None else sweep.best,
        old_temperature=old,
        old_threshold=card.threshold,
        images=len(lesions),
        pixels=counts.n_pixels,
        nll=(counts.nll(old), counts.nll(temperature)),
        before=before,
        after=after,
        sweep=sweep,
    )


def _regions(true: NDArray[np.bool_], policy: Policy) -> dict[str, NDArray[np.bool_]]:
    """The masks of REGIONS."""
    percent = math.hypot(*true.shape) / 100
    return {
        "whole": np.ones_like(true),
        "foreground": foreground(true, policy.foreground_percent * percent, policy.speck_share),
        "band": boundary_band(true, policy.band_percent * percent),
    }


def _sigmoid(logit: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    return np.asarray(np.float32(0.5) * (np.tanh(logit / np.float32(2 * temperature)) + np.float32(1)))
