"""Checks of the arrays that metrics take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError

Mask = NDArray[np.bool_]

ROUNDING = 1e-5
"""How far a resized probability may lie outside 0..1; it is clipped."""


def as_mask(mask: NDArray[Any], name: str) -> Mask:
    """Return `mask` as bool (H, W): all but zero is lesion. Raises ShapeError."""
    array = np.asarray(mask)
    if array.ndim != 2 or 0 in array.shape:
        raise ShapeError(
            f"the {name} mask has shape {array.shape}, expected (H, W)",
            remedy="Give one two-dimensional mask",
        )
    return array if array.dtype == np.bool_ else array != 0


def as_pair(true: NDArray[Any], predicted: NDArray[Any]) -> tuple[Mask, Mask]:
    """Return both masks as bool (H, W). Raises ShapeError unless their shapes are equal."""
    first, second = as_mask(true, "true"), as_mask(predicted, "predicted")
    if first.shape != second.shape:
        raise ShapeError(
            f"the true mask has shape {first.shape} and the predicted mask {second.shape}",
            remedy="Resample both to the image's grid",
        )
    return first, second


def as_probability(probability: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.floating[Any]]:
    """Return `probability` as a float array of `shape`, in 0..1. Raises ShapeError."""
    array = np.asarray(probability)
    if array.shape != shape:
        raise ShapeError(
            f"the probability has shape {array.shape} and the mask {shape}",
            remedy="Resample both to the image's grid",
        )
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32)
    low, high = float(array.min()), float(array.max())
    if not (low >= -ROUNDING and high <= 1.0 + ROUNDING):  # NaN fails here too
        raise ShapeError(
            f"the probability ranges from {low:g} to {high:g}",
            remedy="Give values from 0 to 1 without NaN; apply a sigmoid to logits",
        )
    return array if low >= 0.0 and high <= 1.0 else array.clip(0.0, 1.0)
