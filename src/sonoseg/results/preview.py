"""The preview of an image in the report: a small JPEG, with the lesions' outlines as SVG paths."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.image.mask_border import STEPS, walks
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.uncertainty import uncertainty_band

SIDE = 400
"""The longer side of a preview in pixels: sharp on a card, and 500 of them make a page of some 13 MB."""


@dataclass(frozen=True)
class Preview:
    """A small view of one image.

    jpeg: the image, in grey. width, height: of the JPEG in pixels.
    outline: SVG path around each lesion, in their order. band: SVG path of the uncertainty band, "" where
    unknown. The paths' grid is twice as fine as the JPEG's; see `svg_path`.
    scale: the JPEG's pixels per pixel of the image, (down, right).
    """

    jpeg: bytes
    width: int
    height: int
    outline: str = ""
    band: str = ""
    scale: tuple[float, float] = (1.0, 1.0)


def make_preview(segmentation: Segmentation, side: int = SIDE) -> Preview:
    """Make the preview of an image; its longer side has at most `side` pixels.

    A pixel of the preview belongs to the mask where at least half of it does. The band is where the border
    may lie: see `Segmentation.uncertainty_band`.
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
    """Resample values (H, W) to `size` (width, height); each is the mean of the pixels it stands for."""
    return Image.fromarray(values).resize(size, Image.Resampling.BOX)


def svg_path(mask: NDArray[np.bool_]) -> str:
    """Trace every border of a mask bool (H, W), holes included, as SVG path data for `fill-rule: evenodd`.

    The border runs through the middles of the pixel edges, so that slanted lines look slanted. Coordinates
    are twice the mask's pixels, and whole: a mask of W x H pixels fills the box 0 0 2W 2H. "" for an
    empty mask.
    """
    return "".join(_ring_path(ring) for ring in rings(mask))


def rings(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Trace the closed borders of a mask: int (N, 2) each, (row, column) in half pixels from the corner.

    Points are the middles of the pixel edges, without those on a straight line. The lesion lies on the right
    side; diagonal neighbours are one lesion (8-connected), as in Findings.
    """
    found = [_corners(2 * corners + STEPS[ways]) for corners, ways in walks(mask)]
    return sorted(found, key=lambda ring: tuple(ring.min(axis=0).tolist()))


def _corners(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out the points of a closed line at which it does not turn."""
    before, behind = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turning = (np.sign(before) != np.sign(behind)).any(axis=1)
    turning |= before[:, 0] * behind[:, 1] != before[:, 1] * behind[:, 0]
    return np.asarray(points[turning], dtype=np.int64)


def _ring_path(points: NDArray[np.int64]) -> str:
    row, column = points[0].tolist()
    steps = np.diff(points, axis=0)[:, ::-1]
    text = f"M{column} {row}l" + " ".join(map(str, steps.ravel().tolist()))
    return text.replace(" -", "-").rstrip("l") + "z"
