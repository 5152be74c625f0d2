"""Conversion of images and arrays to grey uint8 (H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.errors import ShapeError


def grey_image(image: Image.Image) -> NDArray[np.uint8]:
    """Grey uint8 (H, W) of an image in any of Pillow's modes.

    Colour by ITU-R 601 weights; what is transparent lies on black; Lab gives its lightness; integers of more
    than 8 bits and floats are scaled from their own minimum and maximum to 0..255.
    """
    image.load()
    if image.mode.startswith("I") or image.mode == "F":
        return _stretched(np.asarray(image))
    if image.has_transparency_data:
        shown = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", shown.size, (0, 0, 0, 255)), shown)
    if image.mode == "LAB":
        image = image.getchannel("L")
    elif image.mode not in ("L", "1"):
        image = image.convert("RGB")
    return np.array(image.convert("L"), dtype=np.uint8)


def grey_of_two_bytes(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey uint8 (H, W) of the upper and lower bytes of 16-bit samples, scaled as grey of 16 bits is.

    high, low: uint8 (H, W, 3) RGB or (H, W, 4) RGBA; transparent pixels lie on black.
    """
    values = (high.astype(np.uint16) << 8 | low).astype(np.float64)
    grey = values[..., :3] @ (0.299, 0.587, 0.114)
    if values.shape[2] == 4:
        grey *= values[..., 3] / 65535
    return _stretched(grey)


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
            return grey_image(Image.fromarray(np.ascontiguousarray(values)))
    raise ShapeError(
        f"an array of {values.dtype} {values.shape} is not an image",
        remedy="Give (H, W) of real numbers, or uint8 (H, W, 3) or (H, W, 4)",
    )


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale (H, W) from its own range to 0..255; what is not finite and a flat image become black."""
    with np.errstate(invalid="ignore"):  # of signalling NaNs, which a damaged file may hold
        real = values.astype(np.float64)
    finite = np.isfinite(real)
    low = float(real[finite].min(initial=np.inf))
    span = float(real[finite].max(initial=-np.inf)) - low
    if not (np.isfinite(span) and span > 0):
        return np.zeros(real.shape, dtype=np.uint8)
    real[~finite] = low
    scaled: NDArray[np.uint8] = np.rint((real - low) / span * 255).astype(np.uint8)
    return scaled


def grey_range(pixels: NDArray[np.uint8]) -> int:
    """Return the grey levels between the 1st and the 99th percentile of uint8 pixels (H, W), 0..255.

    Burned-in text, a logo or compression noise on a uniform image does not count.
    """
    below = np.cumsum(np.bincount(pixels.ravel(), minlength=256))
    low, high = np.searchsorted(below, [0.01 * below[-1], 0.99 * below[-1]])
    return int(high - low)
