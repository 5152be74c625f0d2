"""Masks and maps as PNG, and back; the header of an uploaded PNG is checked before it is decoded."""

from __future__ import annotations

import hashlib
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.results.png import encode_png, mask_png, probability_png
from sonoseg.review.http_errors import Unusable

THUMBNAIL = 160
"""The largest side of a thumbnail, pixels."""

_END = b"\0\0\0\0IEND\xaeB`\x82"

_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA"}


def read_mask(data: bytes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode an uploaded mask: bool (H, W).

    data: a PNG of 0 and 255 only, grey or with three equal channels; transparent pixels are 0. shape: (H, W).
    Raises Unusable where it is not a PNG, has another size (checked before decoding) or other values.
    """
    if not data.endswith(_END):  # Pillow ignores a missing end
        raise _not_a_mask("not a PNG, or truncated")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            height, width = shape
            if image.size != (width, height):
                raise Unusable(
                    f"a mask of {image.width} x {image.height} pixels (width x height) for an image of "
                    f"{width} x {height}",
                    where="the mask",
                    remedy="Send a mask of the size of the image",
                )
            if image.mode not in _MODES or getattr(image, "n_frames", 1) != 1:
                raise _not_a_mask(f"a PNG of mode {image.mode} or with several frames")
            image.load()
            clear = image.mode in ("P", "PA", "LA") or image.has_transparency_data
            values = np.asarray(image.convert("RGBA") if clear else image)
    except Unusable:
        raise
    except Exception as error:  # decoders raise any exception
        raise _not_a_mask("not a PNG, or damaged") from error
    if values.dtype == np.bool_:
        return values
    if values.ndim == 3:
        colours, opaque = values[..., :3], values[..., 3:] if values.shape[2] == 4 else None
        if opaque is not None:
            if not np.isin(opaque, (0, 255)).all():
                raise _not_a_mask("half-transparent pixels")
            colours = np.where(opaque == 255, colours, 0)
        if (colours != colours[..., :1]).any():
            raise _not_a_mask("colours")
        values = colours[..., 0]
    if not np.isin(values, (0, 255)).all():
        raise _not_a_mask("values other than 0 and 255")
    return np.asarray(values == 255)


def _not_a_mask(found: str) -> Unusable:
    return Unusable(found, where="the mask", remedy="Send a grey PNG, 255 on lesions and 0 elsewhere")


def mask_of(data: bytes) -> NDArray[np.bool_]:
    """Decode a stored mask: bool (H, W)."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        return np.asarray(image.convert("L")) >= 128


def fraction_of(data: bytes) -> NDArray[np.float32]:
    """Decode stored probabilities (16 bits) or coefficients (8 bits): float32 (H, W), 0..1."""
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        values = np.asarray(image)
    top = 255 if values.dtype == np.uint8 else 65535
    return (values.astype(np.float32) / np.float32(top)).astype(np.float32)


def fraction_png(values: NDArray[np.float32]) -> bytes:
    """Encode values float (H, W) in 0..1 as a grey PNG of 8 bits; 255 is 1."""
    return encode_png(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))


def thumbnail_png(pixels: NDArray[np.uint8]) -> bytes:
    """The thumbnail of an image uint8 (H, W), at most THUMBNAIL pixels wide and high, as PNG."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return encode_png(np.asarray(image))


def fingerprint(mask: NDArray[np.bool_]) -> str:
    """The SHA-256 of a mask's pixels, independent of the PNG encoding."""
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()


__all__ = [
    "THUMBNAIL",
    "encode_png",
    "fingerprint",
    "fraction_of",
    "fraction_png",
    "mask_of",
    "mask_png",
    "probability_png",
    "read_mask",
    "thumbnail_png",
]
