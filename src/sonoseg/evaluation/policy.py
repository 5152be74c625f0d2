"""The numbers of the evaluation policy (docs/evaluation.md), in one place and in every summary."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sonoseg.metrics.constants import (
    CALIBRATION_BINS,
    FALSE_POSITIVE_SHARE,
    HIT_DICE,
    MISSED_DICE,
    SPECK_SHARE,
)


@dataclass(frozen=True)
class Policy:
    """What counts as what.

    missed_dice: an image whose Dice is below this has a missed lesion.
    false_positive_share: a normal image is a false positive where more than this share of it is predicted.
    nsd_percent, nsd_px, nsd_mm: tolerances of the NSD: percent of the diagonal, pixels, millimetres.
    hit_dice: a predicted component hits a lesion at this Dice of the two.
    speck_share: components of the true mask below this share of the image are annotation specks, not lesions.
    candidate_threshold: the FROC's candidates are the components of probability at or above it.
    candidate_share: candidates below this share of the image are left out.
    fp_rates: false positives per image at which the FROC's sensitivity is reported, as far as it reaches.
    bins: of the reliability diagram.
    foreground_percent: margin of the box around each lesion that is the foreground, percent of the diagonal.
    band_percent: reach of the boundary band to either side, percent of the diagonal.
    resamples, level, seed: of the bootstrap.
    """

    missed_dice: float = MISSED_DICE
    false_positive_share: float = FALSE_POSITIVE_SHARE
    nsd_percent: float = 1.0
    nsd_px: float = 5.0
    nsd_mm: float = 1.0
    hit_dice: float = HIT_DICE
    speck_share: float = SPECK_SHARE
    candidate_threshold: float = 0.1
    candidate_share: float = FALSE_POSITIVE_SHARE
    fp_rates: tuple[float, ...] = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
    bins: int = CALIBRATION_BINS
    foreground_percent: float = 5.0
    band_percent: float = 1.0
    resamples: int = 2000
    level: float = 0.95
    seed: int = 0

    @property
    def bootstrap(self) -> Any:
        """The keyword arguments of every bootstrap function."""
        return {"resamples": self.resamples, "level": self.level, "seed": self.seed}

    def as_dict(self) -> dict[str, object]:
        """For summary.json."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


POLICY = Policy()
