"""Masks, overlays and maps as PNG bytes, on the picture's own grid."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.imaging.overlay import heatmap
from sonoseg.inference.segmentation import Segmentation

_EFFORT = 3  # zlib's level: 6 takes 2.5 times as long for 5 % of an overlay's bytes


def mask_png(mask: NDArray[np.bool_]) -> bytes:
    """Grey PNG of a mask bool (H, W): 255 lesion, 0 none."""
    return _png(mask.astype(np.uint8) * np.uint8(255))


def colour_png(picture: NDArray[np.uint8]) -> bytes:
    """RGB PNG of a picture uint8 (H, W, 3), such as an overlay."""
    return _png(picture)


def probability_png(probability: NDArray[np.float32]) -> bytes:
    """Grey PNG of 16 bits of a probability float (H, W): 0 is 0, 65535 is 1."""
    return _png(np.rint(np.clip(probability, 0, 1) * 65535).astype(np.uint16))


def attention_png(segmentation: Segmentation, gate: str) -> bytes:
    """RGB PNG of the picture with one gate's coefficients laid over: dark blue 0, yellow 1.

    gate: a key of segmentation.attention, such as "attention_1".
    """
    return _png(heatmap(segmentation.frame.pixels, (segmentation.attention or {})[gate]))


def _png(values: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format="PNG", compress_level=_EFFORT)
    return buffer.getvalue()
