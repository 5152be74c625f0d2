"""The numbers of the evaluation policy (docs/evaluation.md), in one place and in every summary."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sonoseg.metrics.constants import (
    CALIBRATION_BINS,
    FALSE_POSITIVE_SHARE,
    HIT_DICE,
    MISSED_DICE,
    SPECK_SHARE,
)


@dataclass(frozen=True)
class Policy:
    """What is counted as what.

    missed_dice: a lesion image below this Dice is missed.
    false_alarm_share: a normal whose predicted area is above this share of the image is a false alarm.
    nsd_percent, nsd_px, nsd_mm: tolerances of the NSD: percent of the diagonal, pixels, millimetres.
    hit_dice: a predicted component hits a lesion at this Dice of the two.
    speck_share: components of the true mask below this share of the image are annotation specks.
    candidate_threshold: the FROC's candidates are the components of probability at or above it.
    candidate_share: candidates below this share of the image are left out.
    fp_rates: false positives per image at which the FROC's sensitivity is reported, as far as it reaches.
    bins: of the reliability diagram.
    foreground_percent: the foreground is the box around each lesion, so much wider all round, percent of the
        diagonal.
    band_percent: the boundary band reaches so far to either side, percent of the diagonal.
    resamples, level, seed: of the bootstrap.
    """

    missed_dice: float = MISSED_DICE
    false_alarm_share: float = FALSE_POSITIVE_SHARE
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

    def as_dict(self) -> dict[str, object]:
        """For summary.json."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


POLICY = Policy()
