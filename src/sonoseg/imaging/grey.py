"""Anything with pixels to grey uint8 (H, W), by one set of rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.errors import ShapeError


def grey_picture(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey uint8 (H, W) of a picture in any of Pillow's modes.

    Colour by ITU-R 601 weights; what is transparent lies on black; Lab gives its lightness; integers of more
    than 8 bits and floats are scaled from their own least and greatest value to 0..255.
    """
    picture.load()
    if picture.mode.startswith("I") or picture.mode == "F":
        return _stretched(np.asarray(picture))
    if picture.has_transparency_data:
        shown = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", shown.size, (0, 0, 0, 255)), shown)
    if picture.mode == "LAB":
        picture = picture.getchannel("L")
    elif picture.mode not in ("L", "1"):
        picture = picture.convert("RGB")
    return np.array(picture.convert("L"), dtype=np.uint8)


def grey_array(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey uint8 (H, W) of an array.

    values: (H, W) of any real type, uint8 kept as it is, bool as 0 and 255, others scaled from their own
        least and greatest value to 0..255; or uint8 (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA.

    Raises ShapeError for other shapes and types.
    """
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if 0 not in values.shape:
        if values.ndim == 2 and values.dtype == np.uint8:
            return np.ascontiguousarray(values)
        if values.ndim == 2 and values.dtype == np.bool_:
            return values.astype(np.uint8) * np.uint8(255)
        if values.ndim == 2 and values.dtype.kind in "iuf":
            return _stretched(values)
        if values.ndim == 3 and values.shape[2] in (3, 4) and values.dtype == np.uint8:
            return grey_picture(Image.fromarray(np.ascontiguousarray(values)))
    raise ShapeError(
        f"an array of {values.dtype} {values.shape} is no picture",
        remedy="Give (H, W) of real numbers, or uint8 (H, W, 3) or (H, W, 4)",
    )


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale (H, W) from its own range to 0..255; what is not finite and a flat picture become black."""
    real = values.astype(np.float64)
    finite = np.isfinite(real)
    low = float(real[finite].min(initial=np.inf))
    span = float(real[finite].max(initial=-np.inf)) - low
    if not (np.isfinite(span) and span > 0):
        return np.zeros(real.shape, dtype=np.uint8)
    real[~finite] = low
    scaled: NDArray[np.uint8] = np.rint((real - low) / span * 255).astype(np.uint8)
    return scaled
