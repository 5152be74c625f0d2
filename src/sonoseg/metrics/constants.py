"""The constants of the scoring policy (docs/evaluation.md).

Training curves, evaluations and reports use these, so that one word means the same everywhere.
"""

from __future__ import annotations

from typing import Final

MISSED_DICE: Final = 0.1
"""A lesion is missed where the Dice of its image is below this."""

HIT_DICE: Final = 0.1
"""A predicted component hits a lesion where the Dice of the two is at least this."""

FALSE_POSITIVE_SHARE: Final = 1e-3
"""A normal image is a false positive where more than this share of its area (0.1 %) is predicted."""

SPECK_SHARE: Final = 1e-4
"""Components of a true mask below this share of the image are specks of annotation, not lesions.

It is 30 pixels of 500 x 600, four times the largest speck in BUSI.
"""

CALIBRATION_BINS: Final = 15
"""Bins of the reliability diagram and of the expected calibration error (Guo et al., ICML 2017)."""
