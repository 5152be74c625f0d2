"""Region growing: a new lesion from one click, as the optimal closed path around it.

On rays from the click, in steps that grow with the distance, each step is scored as a position of the
contour: by the contrast from dark to bright, by the fall of the network's probability, and by the probability
of the interior. Dynamic programming finds the smooth closed path of the highest score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter1d

_RAYS, _STEPS = 72, 90
_NEAREST = 3.0  # the first step, pixels
_REACH = 0.5  # the last step, as a fraction of the image's longer side
_SIDE = 320  # the longer side of the reduced image, about
_WINDOW = 7  # steps on both sides over which the contrast is computed
_EDGE = 1.5  # score of grey contrast, per standard deviation
_FALL = 4.5  # score of a fall of probability by 1
_WITHIN = 0.11  # score of the interior
_LEVEL = 0.22  # the neutral probability
_USUAL = 0.16  # expected radius, as a fraction of the image's longer side
_UNUSUAL = 0.005  # cost of another radius
_JUMP = 0.05  # cost of the squared number of steps between two rays
_BARRED = 5.0  # cost of a forbidden step
_MOVES = 3  # greatest number of steps between two rays


def grow(
    pixels: NDArray[np.uint8],
    probability: NDArray[np.float32] | None,
    centre: tuple[int, int],
    barred: NDArray[np.bool_],
    outside: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Return the lesion around a pixel, bool (H, W), star-shaped about that pixel.

    pixels: uint8 (H, W). probability: float32 (H, W), 0..1, or None. centre: row and column, in the lesion.
    barred: bool (H, W), other lesions, to keep clear of. outside: (N, 2), rows and columns of pixels outside.
    """
    side = max(pixels.shape)
    radii = np.geomspace(_NEAREST, max(_REACH * side, 2 * _NEAREST), _STEPS)
    turn = 2 * np.pi / _RAYS
    angles = np.arange(_RAYS)[:, None] * turn
    rows, columns = centre[0] + radii * np.sin(angles), centre[1] + radii * np.cos(angles)
    seen = (rows >= 0) & (rows <= pixels.shape[0] - 1) & (columns >= 0) & (columns <= pixels.shape[1] - 1)

    grey = np.sqrt(_sampled(pixels, rows, columns))  # the square root weighs dark speckle more than bright
    fall, growth = _contrast(grey), np.log(radii[1] / radii[0])
    spread = float(grey[seen].std()) if seen.any() else 0.0
    score = uniform_filter1d(-_EDGE * fall / (spread + 0.5), 5, axis=0, mode="wrap")
    if probability is not None:
        near = map_coordinates(probability, np.array([rows, columns]), order=1, mode="nearest")
        score += _FALL * _contrast(near) + _WITHIN * 4 * growth * np.cumsum(near - _LEVEL, axis=1)
    score -= _UNUSUAL / 10 * (np.log(radii / (_USUAL * side)) / growth) ** 2
    score -= np.where(seen, 0, 0.2)

    row = np.clip(rows, 0, pixels.shape[0] - 1).astype(np.intp)
    column = np.clip(columns, 0, pixels.shape[1] - 1).astype(np.intp)
    beyond = np.maximum.accumulate(barred[row, column] & seen, axis=1)
    for down, right in outside - np.array(centre):
        ray = round(float(np.arctan2(down, right)) / turn)
        beyond[np.arange(ray - 1, ray + 2) % _RAYS, np.searchsorted(radii, np.hypot(down, right)) :] = True
    score -= np.where(beyond, _BARRED, 0)
    return _filled(pixels.shape, centre, radii[_closed_path(score)])


def _sampled(
    pixels: NDArray[np.uint8], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Sample the reduced and smoothed image at positions on the image's grid."""
    step = max(1, round(max(pixels.shape) / _SIDE))
    short = [-side % step for side in pixels.shape]
    padded = np.pad(pixels, ((0, short[0]), (0, short[1])), mode="edge")
    height, width = (side // step for side in padded.shape)
    small = padded.reshape(height, step, width, step).mean(axis=(1, 3), dtype=np.float32)
    positions = (np.array([rows, columns]) + 0.5) / step - 0.5
    return np.asarray(map_coordinates(gaussian_filter(small, 1.0), positions, order=1, mode="nearest"))


def _contrast(values: NDArray[np.float32]) -> NDArray[Any]:
    """Return the mean of the steps before each step minus that of those after it; (rays, steps)."""
    sums = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
    here = np.arange(values.shape[1])
    first, last = np.maximum(here - _WINDOW, 0), np.minimum(here + 1 + _WINDOW, values.shape[1])
    inner = (sums[:, here + 1] - sums[:, first]) / (here + 1 - first)
    outer = (sums[:, last] - sums[:, here]) / (last - here)
    return inner - outer


def _closed_path(score: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the step on each ray, (rays,), of the path of the highest score.

    score: the score, (rays, steps). The path goes around three times, and the middle turn is returned, whose
    ends meet.
    """
    rays, steps = score.shape
    moves = np.arange(-_MOVES, _MOVES + 1)
    costs = (_JUMP * moves**2)[:, None]
    from_step = np.arange(steps)[None] + moves[:, None] + _MOVES  # index into an array padded by _MOVES
    total, came = score[0], np.zeros((3 * rays, steps), dtype=np.intp)
    for ray in range(1, 3 * rays):
        padded = np.pad(total, _MOVES, constant_values=-np.inf)
        choices = padded[from_step] - costs
        best = np.argmax(choices, axis=0)
        came[ray] = np.arange(steps) + moves[best]
        total = choices[best, np.arange(steps)] + score[ray % rays]
    path = np.zeros(3 * rays, dtype=np.intp)
    step = int(np.argmax(total))
    for ray in range(3 * rays - 1, -1, -1):
        path[ray] = step
        step = int(came[ray, step])
    return path[rays : 2 * rays]


def _filled(shape: tuple[int, int], centre: tuple[int, int], reach: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Fill a path, given by its distance from the centre on each ray, in pixels."""
    limit = int(reach.max()) + 2
    spans = [
        slice(max(position - limit, 0), min(position + limit, side))
        for position, side in zip(centre, shape, strict=True)
    ]
    down, right = (
        np.arange(span.start, span.stop) - position for span, position in zip(spans, centre, strict=True)
    )
    turns = np.arctan2(down[:, None], right[None]) * (len(reach) / (2 * np.pi))
    ray = np.floor(turns).astype(np.intp)
    share = turns - ray
    bound = reach[ray % len(reach)] * (1 - share) + reach[(ray + 1) % len(reach)] * share
    mask = np.zeros(shape, dtype=bool)
    mask[spans[0], spans[1]] = np.hypot(down[:, None], right[None]) <= bound
    return mask
