"""What a lesion does to the echoes below it: enhancement, shadow, both, or nothing."""

from __future__ import annotations

import math

import numpy as np

from sonoseg.image.calibration import Box
from sonoseg.lesions.birads import Posterior
from sonoseg.lesions.surroundings import Surroundings

CHANGED = 0.25
"""Share by which the band below must differ from the bands beside it for a word other than "no posterior
features". Our choice: the speckle of a band and the waves of the layers keep within it
(docs/measuring.md)."""


def posterior_of(
    around: Surroundings, box: Box, reach: tuple[float, float]
) -> tuple[float | None, Posterior | None]:
    """The echoes below a lesion against those beside them at the same depth: grey levels, and the word.

    The band below spans the middle 60 % of the lesion's width, so that the shadows of its sides stay out, and
    half its equivalent diameter in depth, from a twentieth of that diameter below its lowest row (at least
    one pixel). A band beside it, at each side, is half the lesion's width and begins a fifth of the width
    from its side. The contrast is the mean grey below less the mean beside, -255..255. The word: enhancement
    or shadowing where the mean below differs by CHANGED or more of the mean beside; combined where the left
    and the right half of the band do so in opposite ways.

    box: the lesion's, in pixels. reach: its equivalent diameter in pixels (rows, columns).
    None and None where less than half of the band below, or of one band beside it, shows tissue.
    """
    start = box.top + box.height + max(1, round(reach[0] / 20))
    rows = slice(start, start + max(3, round(reach[0] / 2)))
    inset, away = round(box.width * 0.2), max(1, round(box.width * 0.2))
    beside = max(2, round(box.width / 2))
    middle = (box.left + inset, box.left + box.width - inset)
    below = _grey(around, rows, *middle)
    right = box.left + box.width + away
    sides = [
        _grey(around, rows, box.left - away - beside, box.left - away),
        _grey(around, rows, right, right + beside),
    ]
    means = [float(side.mean()) for side in sides if side is not None]
    if below is None or not means or sum(means) == 0:
        return None, None
    level = sum(means) / len(means)
    half = (middle[0] + middle[1]) // 2
    halves = [_grey(around, rows, middle[0], max(half, middle[0] + 1)), _grey(around, rows, half, middle[1])]
    changes = [math.nan if part is None else float(part.mean()) / level - 1 for part in halves]
    contrast = float(below.mean()) - level
    if min(changes) <= -CHANGED and max(changes) >= CHANGED:
        return contrast, Posterior.COMBINED
    if contrast >= CHANGED * level:
        return contrast, Posterior.ENHANCEMENT
    return contrast, Posterior.SHADOWING if contrast <= -CHANGED * level else Posterior.NONE


def _grey(around: Surroundings, rows: slice, left: int, right: int) -> np.ndarray | None:
    """The tissue's grey levels in a band; None where less than half of the band is tissue."""
    window = (rows, slice(max(left, 0), max(right, 0)))
    grey = around.pixels[window][around.tissue[window]]
    return grey if len(grey) >= (rows.stop - rows.start) * (right - left) / 2 else None
