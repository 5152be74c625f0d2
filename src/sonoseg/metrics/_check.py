"""What all metrics ask of their arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError

Mask = NDArray[np.bool_]

ROUNDING = 1e-5
"""How far a resized probability may stray outside 0..1; it is clipped."""


def as_mask(mask: NDArray[Any], name: str) -> Mask:
    """`mask` as bool (H, W). Anything but zero is lesion. Raises ShapeError."""
    array = np.asarray(mask)
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(
            f"the {name} mask has shape {array.shape}, where (H, W) is needed",
            remedy="Give one two-dimensional mask a call",
        )
    return array if array.dtype == np.bool_ else array != 0


def as_pair(true: NDArray[Any], predicted: NDArray[Any]) -> tuple[Mask, Mask]:
    """Both masks as bool (H, W). Raises ShapeError unless they have one shape."""
    first, second = as_mask(true, "true"), as_mask(predicted, "predicted")
    if first.shape != second.shape:
        raise ShapeError(
            f"the true mask is {first.shape} and the predicted mask {second.shape} (H, W)",
            remedy="Bring both to the image's own grid first",
        )
    return first, second


def as_probability(probability: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.floating[Any]]:
    """`probability` as a float array of `shape`, in 0..1. Raises ShapeError."""
    array = np.asarray(probability)
    if array.shape != shape:
        raise ShapeError(
            f"the probability has shape {array.shape} and the mask {shape}",
            remedy="Bring both to the image's own grid first",
        )
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32)
    low, high = float(array.min()), float(array.max())
    if not (low >= -ROUNDING and high <= 1.0 + ROUNDING):  # NaN fails here too
        raise ShapeError(
            f"the probability runs from {low:g} to {high:g}",
            remedy="Give probabilities from 0 to 1, without NaN; a logit needs a sigmoid first",
        )
    return array if low >= 0.0 and high <= 1.0 else array.clip(0.0, 1.0)
