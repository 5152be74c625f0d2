"""Checks of an image's content before the network: colours, areas of one bright grey level, split screens."""

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

GAP = 16
"""Brightest grey level of the dark gap between the two images of a split screen."""

MAX_IN_GAP = 0.02
"""Share of a gap's rows that may be brighter: a line of text."""

MIN_LIT = 0.35
"""Least share of an image's box that is brighter than a gap. Text beside an image has less."""

MIN_WIDTHS, MIN_HEIGHTS = 0.6, 0.8
"""Least ratio of the widths, and of the heights, of the two images of a split screen."""

MIN_SPLIT = 128
"""Least height and width in pixels of a split screen."""

SPLIT = (
    "two images side by side: it may be a split screen; they are segmented together, and a lesion that both "
    "show counts twice. Crop each image to assess one"
)

_SAMPLES = 200  # rows and columns that are looked at: enough for a share, and fast


def content_warnings(pixels: NDArray[Any]) -> tuple[str, ...]:
    """Return what makes an image unlikely to be a B-mode scan, as messages.

    pixels: (H, W) grey or (H, W, 3) RGB; uint8, other types are not checked.
    """
    return (*colour_warnings(pixels), *_flat_warnings(pixels), *_split_warnings(pixels))


def colour_warnings(pixels: NDArray[Any]) -> tuple[str, ...]:
    """Return whether an image is strongly coloured, as a message or none; pixels as in `content_warnings`.

    A tinted display (sepia, blue) gives each grey level one colour: the tint, a parabola over the grey levels
    fitted to the image, is therefore subtracted.
    """
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        return ()
    rgb = thinned(pixels).reshape(-1, 3).astype(np.float64)
    grey = rgb @ (0.299, 0.587, 0.114)
    terms = np.stack([np.ones_like(grey), grey / 255, (grey / 255) ** 2], axis=1)
    excess = rgb - grey[:, None]
    away = np.abs(excess - terms @ np.linalg.lstsq(terms, excess, rcond=None)[0]).max(axis=1)
    share = float((away >= COLOURED).mean())
    return (COLOURS.format(share=share),) if share > MAX_COLOUR else ()


def _flat_warnings(pixels: NDArray[Any]) -> tuple[str, ...]:
    if pixels.dtype != np.uint8 or 0 in pixels.shape:
        return ()
    grey = _grey(thinned(pixels))
    if grey_range(grey) < MIN_CONTRAST:  # warned of by Frame
        return ()
    share = np.bincount(grey.ravel(), minlength=256)[FLAT_FROM:].max() / grey.size
    return (FLAT.format(share=share),) if share > MAX_FLAT else ()


def _split_warnings(pixels: NDArray[Any]) -> tuple[str, ...]:
    """Return whether a dark gap divides an image into two of about the same size, as a message or none."""
    if pixels.dtype != np.uint8 or min(pixels.shape[:2]) < MIN_SPLIT:
        return ()
    lit = _grey(pixels[:: max(1, pixels.shape[0] // _SAMPLES)]) > GAP
    share = lit.mean(axis=0)
    inside = np.flatnonzero(share > MAX_IN_GAP)
    dark = np.flatnonzero(share <= MAX_IN_GAP)
    for gap in dark[np.diff(dark, prepend=-2) > 1]:
        left, right = lit[:, inside[inside < gap]], lit[:, inside[inside > gap]]
        if left.size and right.size and _similar(left, right):
            return (SPLIT,)
    return ()


def _similar(left: NDArray[np.bool_], right: NDArray[np.bool_]) -> bool:
    """Whether the bright pixels of two parts, (H, W) each, may be two images of one size side by side."""
    widths = sorted(part.shape[1] for part in (left, right))
    rows = [np.flatnonzero(part.mean(axis=1) > 0.1) for part in (left, right)]
    if not all(each.size for each in rows):
        return False
    heights = sorted(each[-1] + 1 - each[0] for each in rows)
    lit = [part[each[0] : each[-1] + 1].mean() for part, each in zip((left, right), rows, strict=True)]
    return bool(
        widths[0] >= MIN_WIDTHS * widths[1]
        and heights[0] >= MIN_HEIGHTS * heights[1]
        and abs(rows[0][0] - rows[1][0]) <= (1 - MIN_HEIGHTS) * heights[1]
        and min(lit) >= MIN_LIT
    )


def _grey(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        return pixels
    grey: NDArray[np.uint8] = np.rint(pixels @ (0.299, 0.587, 0.114)).astype(np.uint8)
    return grey


def thinned(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the rows and columns of an image, (H, W) or (H, W, 3), that the checks look at."""
    return pixels[:: max(1, pixels.shape[0] // _SAMPLES), :: max(1, pixels.shape[1] // _SAMPLES)]
