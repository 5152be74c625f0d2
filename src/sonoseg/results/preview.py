"""The small view of an image that the page shows: the image itself, and its outlines as a drawing."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.uncertainty import uncertainty_band
from sonoseg.results.entries import Preview
from sonoseg.results.svg_path import svg_path

SIDE = 400
"""The longer side of a preview in pixels: sharp on a card, and 500 of them make a page of some 13 MB."""


def preview(segmentation: Segmentation, side: int = SIDE) -> Preview:
    """A grey JPEG of the image, its longer side at most `side` pixels; outlines and doubt as SVG paths.

    The mask is lesion where half of a preview's pixel is. The band runs where the border may lie: see
    Segmentation.uncertainty_band.
    """
    image = Image.fromarray(segmentation.frame.pixels)
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=75)
    mask = np.asarray(_resized(segmentation.mask.astype(np.float32), small.size)) >= 0.5
    band = ""
    if mask.any():
        probability = np.asarray(_resized(segmentation.probability, small.size))
        inner, outer = uncertainty_band(probability, mask, segmentation.threshold)
        band = svg_path(outer & ~inner)
    return Preview(
        jpeg=buffer.getvalue(),
        width=small.width,
        height=small.height,
        outline=svg_path(mask),
        band=band,
        scale=(small.height / image.height, small.width / image.width),
    )


def _resized(values: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """Values (H, W) on a grid of `size` (width, height), each the mean of the places it stands for."""
    return Image.fromarray(values).resize(size, Image.Resampling.BOX)
