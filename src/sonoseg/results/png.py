"""Masks, overlays and maps as PNG bytes, on the image's own grid."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.image.overlay import heatmap
from sonoseg.inference.segmentation import Segmentation

_COMPRESSION = 2
"""zlib's level. Higher levels take longer and hardly save bytes on tissue."""


def mask_png(mask: NDArray[np.bool_]) -> bytes:
    """Encode a mask bool (H, W) as grey PNG: 255 lesion, 0 none."""
    return encode_png(mask.astype(np.uint8) * np.uint8(255))


def probability_png(probability: NDArray[np.float32]) -> bytes:
    """Encode a probability float (H, W) as grey PNG of 16 bits: 0 is 0, 65535 is 1."""
    return encode_png(np.rint(np.clip(probability, 0, 1) * 65535).astype(np.uint16))


def attention_png(segmentation: Segmentation, gate: str) -> bytes:
    """Encode the image with one gate's coefficients laid over as RGB PNG: dark blue 0, yellow 1.

    gate: a key of segmentation.attention, such as "attention_1".
    """
    return encode_png(heatmap(segmentation.frame.pixels, (segmentation.attention or {})[gate]))


def encode_png(values: NDArray[Any]) -> bytes:
    """Encode grey uint8 or uint16 (H, W), or RGB uint8 (H, W, 3), as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()
