"""Overlays of masks and maps on a grey image, in colour-blind safe colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError

AMBER = (255, 176, 0)
"""The lesion's colour: the amber of IBM's colour-blind safe palette, bright on dark tissue."""

_HALO = 0.35  # what is left of the grey just outside the outline, so that it stands out on bright tissue

# Nine anchors of cividis (Nunez, Anderton, Renslow, PLoS ONE 2018), which is perceptually uniform for
# colour-blind readers.
_CIVIDIS = np.array(
    [
        (0, 34, 78),
        (26, 56, 111),
        (67, 78, 108),
        (97, 101, 111),
        (125, 124, 120),
        (155, 148, 118),
        (188, 174, 108),
        (222, 201, 88),
        (254, 232, 56),
    ],
    dtype=np.float32,
)


def overlay(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    *,
    fill: float = 0.25,
    outline: bool = True,
    colour: tuple[int, int, int] = AMBER,
) -> NDArray[np.uint8]:
    """Lay a mask over an image.

    pixels: uint8 (H, W). mask: bool (H, W).
    fill: share of the colour inside the mask, 0 (none) to 1.
    outline: draw the mask's edge, inside it, in full colour with a dark halo outside; its width grows with
        the image, one pixel for each 400 of the longer side.

    Returns uint8 (H, W, 3). Raises ShapeError where the shapes differ.
    """
    _same_shape(pixels, mask, "mask")
    mask = mask.astype(bool)
    image = np.repeat(pixels[:, :, None], 3, axis=2)
    if not mask.any():
        return image
    top, bottom, left, right = _around(mask, 4 + max(pixels.shape) // 400)
    window = (slice(top, bottom), slice(left, right))
    inside, shown = mask[window], image[window].astype(np.float32)
    shown[inside] += fill * (np.array(colour, dtype=np.float32) - shown[inside])
    if outline:
        width = max(1, round(max(pixels.shape) / 400))
        shown[_grown(inside, width) & ~inside] *= _HALO
        # Outside the window is outside the image: the edge is drawn along the border too.
        shown[inside & _grown(~inside, width, outside=True)] = colour
    image[window] = np.rint(shown).astype(np.uint8)
    return image


def heatmap(
    pixels: NDArray[np.uint8], values: NDArray[np.floating[Any]], *, strength: float = 0.6
) -> NDArray[np.uint8]:
    """Lay a map of values over an image, in cividis: dark blue for 0, yellow for 1.

    pixels: uint8 (H, W). values: float (H, W); below 0 counts as 0, above 1 as 1, NaN as 0.
    strength: share of the colour, 0 to 1.

    Returns uint8 (H, W, 3). Raises ShapeError where the shapes differ.
    """
    _same_shape(pixels, values, "map")
    steps = np.linspace(0, 1, len(_CIVIDIS))
    shades = np.linspace(0, 1, 256)
    table = np.stack([np.interp(shades, steps, _CIVIDIS[:, k]) for k in range(3)], axis=1)
    index = np.rint(np.clip(np.nan_to_num(values, nan=0.0), 0, 1) * 255).astype(np.uint8)
    mixed = strength * table[index] + (1 - strength) * pixels[:, :, None]
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def _same_shape(pixels: NDArray[np.uint8], other: NDArray[Any], what: str) -> None:
    if pixels.ndim != 2 or pixels.shape != other.shape:
        raise ShapeError(
            f"an image of shape {pixels.shape} and a {what} of shape {other.shape}",
            remedy="Give both as (H, W) on the same grid",
        )


def _around(mask: NDArray[np.bool_], margin: int) -> tuple[int, int, int, int]:
    """The box around a mask's true cells with a margin, cut to the image: top, bottom, left, right."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = mask.shape
    return (
        max(0, int(rows[0]) - margin),
        min(height, int(rows[-1]) + margin + 1),
        max(0, int(columns[0]) - margin),
        min(width, int(columns[-1]) + margin + 1),
    )


def _grown(mask: NDArray[np.bool_], steps: int, *, outside: bool = False) -> NDArray[np.bool_]:
    """Grow a mask by `steps` pixels in the four directions; `outside` is what lies beyond the border."""
    for _ in range(steps):
        wide = np.pad(mask, 1, constant_values=outside)
        mask = mask | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    return mask
