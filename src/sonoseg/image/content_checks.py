"""Checks of an image's content before the network: colours, and large areas of one bright grey level."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.image.frame import MIN_CONTRAST
from sonoseg.image.grey import grey_range

MAX_COLOUR = 0.05
"""Share of coloured pixels, 0..1, above which an image is warned of. The most of the 2,911 images of BUSI,
BUS-BRA and BrEaST is 0.009: callipers and text."""

COLOURED = 32
"""Grey levels by which the red, green or blue of a coloured pixel at least leaves the average tint of its
grey level."""

MAX_FLAT = 0.25
"""Share of pixels with one grey level from FLAT_FROM, 0..1, above which an image is warned of. The most of
the same images is 0.035."""

FLAT_FROM = 200
"""Darkest grey level of the paper of a document or the background of a screenshot. Below, a flat area may be
the background of a scan."""

COLOURS = (
    "{share:.0%} of the image is strongly coloured: it may be colour Doppler or a photograph, not the B-mode "
    "image that is needed"
)

FLAT = (
    "{share:.0%} of the image has one bright grey level: it may be a document or a screenshot; crop a scan "
    "that it shows"
)

_SAMPLES = 200  # rows and columns that are looked at: enough for a share, and fast


def content_warnings(pixels: NDArray[Any]) -> tuple[str, ...]:
    """Return what makes an image unlikely to be a B-mode scan, as messages.

    pixels: (H, W) grey or (H, W, 3) RGB; uint8, other types are not checked.
    """
    return (*colour_warnings(pixels), *_flat_warnings(pixels))


def colour_warnings(pixels: NDArray[Any]) -> tuple[str, ...]:
    """Return whether an image is strongly coloured, as a message or none; pixels as in `content_warnings`.

    A tinted display (sepia, blue) gives each grey level one colour: the tint, a parabola over the grey levels
    fitted to the image, is therefore subtracted.
    """
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        return ()
    rgb = _thin(pixels).reshape(-1, 3).astype(np.float64)
    grey = rgb @ (0.299, 0.587, 0.114)
    terms = np.stack([np.ones_like(grey), grey / 255, (grey / 255) ** 2], axis=1)
    excess = rgb - grey[:, None]
    away = np.abs(excess - terms @ np.linalg.lstsq(terms, excess, rcond=None)[0]).max(axis=1)
    share = float((away >= COLOURED).mean())
    return (COLOURS.format(share=share),) if share > MAX_COLOUR else ()


def _flat_warnings(pixels: NDArray[Any]) -> tuple[str, ...]:
    if pixels.dtype != np.uint8 or 0 in pixels.shape:
        return ()
    thin = _thin(pixels)
    grey = thin if thin.ndim == 2 else np.rint(thin @ (0.299, 0.587, 0.114)).astype(np.uint8)
    if grey_range(grey) < MIN_CONTRAST:  # warned of by Frame
        return ()
    share = np.bincount(grey.ravel(), minlength=256)[FLAT_FROM:].max() / grey.size
    return (FLAT.format(share=share),) if share > MAX_FLAT else ()


def _thin(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[:: max(1, pixels.shape[0] // _SAMPLES), :: max(1, pixels.shape[1] // _SAMPLES)]
