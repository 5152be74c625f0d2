"""Read published masks, whatever their encoding, to one boolean array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sonoseg._util.text import first_line
from sonoseg.errors import DatasetError
from sonoseg.image.raster import FORMATS
from sonoseg.image.size_limits import MAX_PIXELS

LARGEST_CLASS = 15
"""A mask whose largest value is at most this holds class numbers, not grey levels."""

MAX_LABELS = 64
"""Most distinct values of a mask of labels; more are grey levels."""

MIN_INTERIOR = 0.2
"""The share of a label's pixels whose eight neighbours have its value too, at least. The pixels between
background and lesion of a smoothed mask have hardly any."""


@dataclass(frozen=True, eq=False)
class MaskFile:
    """A mask as its file holds it.

    values: float32 (H, W), the brightest channel, 0 where transparent. lossy: whether a JPEG was decoded.
    """

    values: NDArray[np.float32]
    lossy: bool = False

    @property
    def is_classes(self) -> bool:
        """Whether the values are class numbers, not grey levels."""
        return float(self.values.max(initial=0)) <= LARGEST_CLASS

    @cached_property
    def lesion(self) -> NDArray[np.bool_]:
        """The lesions, bool (H, W); see `read_mask`."""
        largest = float(self.values.max(initial=0))
        bright = np.asarray((self.values * 2.0 >= largest) & (self.values > 0))
        if self.lossy:
            # In a JPEG of class numbers 1 is a region; the noise of a black one is single pixels.
            noise = self.is_classes and _share_inside(bright) < MIN_INTERIOR
            return np.zeros_like(bright) if noise else bright
        if self.is_classes:
            return np.asarray(self.values > 0)
        return bright | self.is_label

    @cached_property
    def is_label(self) -> NDArray[np.bool_]:
        """Where a value below half of the largest is a label, bool (H, W)."""
        return np.isin(self.values, [] if self.lossy or self.is_classes else self._labels())

    def _labels(self) -> list[float]:
        found = np.unique(self.values)
        if found.size - (found[:1] == 0).sum() > MAX_LABELS:
            return []
        low = [float(value) for value in found if 0 < value * 2.0 < float(found[-1])]
        return [value for value in low if _share_inside(self.values == value) >= MIN_INTERIOR]

    @property
    def dropped(self) -> int:
        """Pixels inside of regions whose value is neither background nor taken for lesion."""
        left = (self.values > 0) & ~self.lesion
        return int(_interior(left).sum())


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read one mask: bool (H, W), True on the lesion.

    1-bit, grey, palette, RGB, RGBA and 16-bit masks are read; colours count by their brightest channel,
    transparent pixels as background. Few distinct values in regions of their own are labels, and all but 0
    are lesion; among grey levels lesion begins at half of the largest value, so that smoothed edges and the
    noise of a JPEG do no harm. A mask without colour whose opaque part is the smaller is held by its alpha.
    Raises DatasetError where the file cannot be decoded.
    """
    return read_mask_file(path).lesion


def read_mask_file(path: Path) -> MaskFile:
    """Read one mask with its values. Raises DatasetError where the file cannot be decoded."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels exceed the limit")
            image.load()
            upright = ImageOps.exif_transpose(image)
            lossy = image.format in ("JPEG", "MPO")
    except Exception as error:  # decoders meet damage with any exception (struct, zlib, Syntax, Index ...)
        raise DatasetError(
            f"the mask cannot be read: {first_line(error)}",
            where=path,
            remedy="Export or copy the mask again",
        ) from error
    if upright.has_transparency_data or upright.mode == "P":
        upright = upright.convert("RGBA")
    elif upright.mode not in ("1", "L", "RGB") and len(upright.getbands()) > 1:
        upright = upright.convert("RGB")  # CMYK and the like: larger values are darker
    values = np.asarray(upright).astype(np.float32)
    if values.ndim == 3 and upright.getbands()[-1] == "A":
        opaque = values[..., -1] >= 128
        values = values[..., :-1].max(axis=2) * opaque
        if not values.any() and 0 < opaque.mean() < 0.5:
            values = opaque.astype(np.float32)
    elif values.ndim == 3:
        values = values.max(axis=2)
    if lossy and values.max(initial=0) > LARGEST_CLASS:
        values[values <= LARGEST_CLASS] = 0  # JPEG noise on black
    return MaskFile(values, lossy)


def _interior(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a mask, bool (H, W), whose eight neighbours are of it too."""
    inside = np.zeros_like(mask)
    rows = mask[:-2] & mask[1:-1] & mask[2:]
    inside[1:-1, 1:-1] = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return inside


def _share_inside(mask: NDArray[np.bool_]) -> float:
    return float(_interior(mask).sum() / max(1, mask.sum()))


def join_masks(masks: tuple[Path, ...], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Join an image's masks into one, bool (H, W) of `shape`: lesion where any of them has it.

    Raises DatasetError where a mask has another size or cannot be decoded.
    """
    joined = np.zeros(shape, dtype=np.bool_)
    for path in masks:
        mask = read_mask(path)
        if mask.shape != shape:
            raise DatasetError(
                f"the mask has {mask.shape[1]}x{mask.shape[0]} pixels, its image {shape[1]}x{shape[0]}",
                where=path,
                remedy="Replace it with the mask of this image",
            )
        joined |= mask
    return joined
