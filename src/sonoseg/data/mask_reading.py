"""Read published masks, whatever their encoding, to one boolean array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sonoseg._util.text import first_line
from sonoseg.errors import DatasetError
from sonoseg.image.raster import FORMATS
from sonoseg.image.size_limits import MAX_PIXELS

# A mask whose largest value is at most this holds class numbers, not grey levels.
LARGEST_CLASS = 15


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read one mask: bool (H, W), True on the lesion.

    1-bit, grey, palette, RGB, RGBA and 16-bit masks are read; colours count by their brightest channel,
    transparent pixels as background. Values up to 15 are class numbers, and all but 0 is lesion; in a
    wider range lesion begins at half of the largest value, so that the noise of a JPEG does no harm.
    Raises DatasetError where the file cannot be decoded.
    """
    return lesion_of(mask_values(path))


def lesion_of(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Apply the rule of read_mask to a mask's values: bool (H, W)."""
    largest = int(values.max(initial=0))
    if largest <= LARGEST_CLASS:
        return np.asarray(values > 0)
    return np.asarray(values * 2.0 >= largest)


def mask_values(path: Path) -> NDArray[np.float32]:
    """The values of a mask, float32 (H, W): the brightest channel, 0 where transparent."""
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
        values = values[..., :-1].max(axis=2) * (values[..., -1] >= 128)
    elif values.ndim == 3:
        values = values.max(axis=2)
    if lossy:
        values[values <= LARGEST_CLASS] = 0  # JPEG noise on black; a JPEG never holds class numbers
    return values


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
