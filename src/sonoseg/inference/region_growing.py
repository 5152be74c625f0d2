"""A new lesion from one click: the closed path around it where the image says that it ends.

Rays go out from the click, in steps that grow with the distance. On each the contour may lie at any step, and
is worth more where the image turns from dark to bright, where the network's probability falls, and where
what lies within is probable. The path of the greatest worth that does not jump from ray to ray is found by
dynamic programming.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter1d

_RAYS, _STEPS = 72, 90
_NEAREST = 3.0  # the first step, pixels
_REACH = 0.5  # the last one, of the image's longer side
_SIDE = 320  # the image is reduced to about this, its longer side
_WINDOW = 7  # steps on both sides that a contrast is taken over
_EDGE = 1.5  # worth of a contrast of grey, in its standard deviations
_FALL = 4.5  # worth of a fall of probability by 1
_WITHIN = 0.11  # worth of what lies within
_LEVEL = 0.22  # the probability that is neither for nor against
_USUAL = 0.16  # radius of a lesion, of the image's longer side
_UNUSUAL = 0.005  # cost of another one
_JUMP = 0.05  # cost of a step between two rays, squared
_BARRED = 5.0  # cost of a step where the contour may not be
_MOVES = 3  # steps from ray to ray, at most


def grow(
    pixels: NDArray[np.uint8],
    probability: NDArray[np.float32] | None,
    centre: tuple[int, int],
    barred: NDArray[np.bool_],
    outside: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """The lesion around a pixel.

    pixels: uint8 (H, W). probability: float32 (H, W), 0..1, or None. centre: row and column, in the lesion.
    barred: bool (H, W), other lesions, which it should not reach. outside: (N, 2), rows and columns that are
    not of it. Returns bool (H, W); every ray from the centre leaves it once.
    """
    side = max(pixels.shape)
    radii = np.geomspace(_NEAREST, max(_REACH * side, 2 * _NEAREST), _STEPS)
    turn = 2 * np.pi / _RAYS
    angles = np.arange(_RAYS)[:, None] * turn
    rows, columns = centre[0] + radii * np.sin(angles), centre[1] + radii * np.cos(angles)
    seen = (rows >= 0) & (rows <= pixels.shape[0] - 1) & (columns >= 0) & (columns <= pixels.shape[1] - 1)

    grey = np.sqrt(_sampled(pixels, rows, columns))  # of bright speckle and dark the latter says more
    fall, growth = _contrast(grey), np.log(radii[1] / radii[0])
    spread = float(grey[seen].std()) if seen.any() else 0.0
    worth = uniform_filter1d(-_EDGE * fall / (spread + 0.5), 5, axis=0, mode="wrap")
    if probability is not None:
        near = map_coordinates(probability, np.array([rows, columns]), order=1, mode="nearest")
        worth += _FALL * _contrast(near) + _WITHIN * 4 * growth * np.cumsum(near - _LEVEL, axis=1)
    worth -= _UNUSUAL / 10 * (np.log(radii / (_USUAL * side)) / growth) ** 2
    worth -= np.where(seen, 0, 0.2)

    row = np.clip(rows, 0, pixels.shape[0] - 1).astype(np.intp)
    column = np.clip(columns, 0, pixels.shape[1] - 1).astype(np.intp)
    beyond = np.maximum.accumulate(barred[row, column] & seen, axis=1)
    for down, right in outside - np.array(centre):
        ray = round(float(np.arctan2(down, right)) / turn)
        beyond[np.arange(ray - 1, ray + 2) % _RAYS, np.searchsorted(radii, np.hypot(down, right)) :] = True
    worth -= np.where(beyond, _BARRED, 0)
    return _filled(pixels.shape, centre, radii[_closed_path(worth)])


def _sampled(
    pixels: NDArray[np.uint8], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The image, reduced and smoothed, at places of its own grid."""
    step = max(1, round(max(pixels.shape) / _SIDE))
    short = [-side % step for side in pixels.shape]
    padded = np.pad(pixels, ((0, short[0]), (0, short[1])), mode="edge")
    height, width = (side // step for side in padded.shape)
    small = padded.reshape(height, step, width, step).mean(axis=(1, 3), dtype=np.float32)
    places = (np.array([rows, columns]) + 0.5) / step - 0.5
    return np.asarray(map_coordinates(gaussian_filter(small, 1.0), places, order=1, mode="nearest"))


def _contrast(values: NDArray[np.float32]) -> NDArray[Any]:
    """How much less the next steps of each ray are than the last ones; (rays, steps)."""
    sums = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
    here = np.arange(values.shape[1])
    first, last = np.maximum(here - _WINDOW, 0), np.minimum(here + 1 + _WINDOW, values.shape[1])
    inner = (sums[:, here + 1] - sums[:, first]) / (here + 1 - first)
    outer = (sums[:, last] - sums[:, here]) / (last - here)
    return inner - outer


def _closed_path(worth: NDArray[np.float64]) -> NDArray[np.intp]:
    """The step on each ray, (rays,), of the path of the greatest worth, (rays, steps).

    Three times around, of which the middle one is taken: there its ends have met.
    """
    rays, steps = worth.shape
    moves = np.arange(-_MOVES, _MOVES + 1)
    costs = (_JUMP * moves**2)[:, None]
    from_step = np.arange(steps)[None] + moves[:, None] + _MOVES  # in what is padded by _MOVES
    total, came = worth[0], np.zeros((3 * rays, steps), dtype=np.intp)
    for ray in range(1, 3 * rays):
        padded = np.pad(total, _MOVES, constant_values=-np.inf)
        choices = padded[from_step] - costs
        best = np.argmax(choices, axis=0)
        came[ray] = np.arange(steps) + moves[best]
        total = choices[best, np.arange(steps)] + worth[ray % rays]
    path = np.zeros(3 * rays, dtype=np.intp)
    step = int(np.argmax(total))
    for ray in range(3 * rays - 1, -1, -1):
        path[ray] = step
        step = int(came[ray, step])
    return path[rays : 2 * rays]


def _filled(shape: tuple[int, int], centre: tuple[int, int], reach: NDArray[np.float64]) -> NDArray[np.bool_]:
    """What lies within the path: reach, pixels, on each ray."""
    limit = int(reach.max()) + 2
    spans = [
        slice(max(place - limit, 0), min(place + limit, side))
        for place, side in zip(centre, shape, strict=True)
    ]
    down, right = (
        np.arange(span.start, span.stop) - place for span, place in zip(spans, centre, strict=True)
    )
    turns = np.arctan2(down[:, None], right[None]) * (len(reach) / (2 * np.pi))
    ray = np.floor(turns).astype(np.intp)
    share = turns - ray
    bound = reach[ray % len(reach)] * (1 - share) + reach[(ray + 1) % len(reach)] * share
    mask = np.zeros(shape, dtype=bool)
    mask[spans[0], spans[1]] = np.hypot(down[:, None], right[None]) <= bound
    return mask
