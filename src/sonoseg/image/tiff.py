"""Pixels of TIFF files that Pillow decodes otherwise than they are meant, or not at all.

Imported for TIFF files only, since Pillow's plugin takes long to import.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
    ImageFileDirectory_v2,
)

from sonoseg.errors import InputError
from sonoseg.image.grey import grey_array, grey_image

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF and a BigTIFF, in both byte orders."""

MIN_IS_WHITE = 0
"""PhotometricInterpretation of an image whose least value is white."""

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
"""Values of SampleFormat."""


def unsupported(pixels: str, path: Path) -> InputError:
    """Return the error for a sound file with pixels that are not read. pixels: such as "64-bit floats"."""
    return InputError(
        f"unsupported TIFF pixels: {pixels}",
        where=path,
        remedy="Save it with 8 or 16 bits, or as 32-bit floating point",
    )


def check_planes(image: Image.Image, path: Path) -> None:
    """Raise InputError for deep colour in separate planes, of which Pillow takes each byte for a pixel."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    if tags.get(PLANAR_CONFIGURATION) == 2 and max(tags.get(BITSPERSAMPLE, (1,))) > 8:
        raise unsupported("separate colour planes of more than 8 bits", path)


def tiff_grey(image: Image.Image, tags: Any) -> NDArray[np.uint8]:
    """Return the grey uint8 (H, W) of a decoded TIFF, whose tags may be lost: Pillow's `tag_v2`."""
    sample, depth = tags.get(SAMPLEFORMAT, (UNSIGNED,)), tags.get(BITSPERSAMPLE, (1,))
    if image.mode == "L" and sample == (SIGNED,):
        # Pillow gives signed bytes as unsigned ones.
        return np.asarray(image) ^ np.uint8(0x80)
    if not image.mode.startswith("I") and image.mode != "F":
        return grey_image(image)
    values = np.asarray(image)
    if sample == (UNSIGNED,) and depth == (32,):
        values = values.view(np.uint32)  # Pillow gives them as signed ones
    if tags.get(PHOTOMETRIC_INTERPRETATION) == MIN_IS_WHITE:
        # Pillow inverts images of up to 8 bits only.
        values = -values.astype(np.float64)
    return grey_array(values)


def pixel_kind(file: BinaryIO) -> str:
    """Describe the pixels: "64-bit floating-point numbers"; "" where the file's first directory is damaged."""
    file.seek(0)
    start = file.read(16)
    try:
        directory = ImageFileDirectory_v2(start if b"+" in start[:4] else start[:8])
        file.seek(directory.next)
        directory.load(file)
        bits, sample = directory[BITSPERSAMPLE][0], directory.get(SAMPLEFORMAT, (UNSIGNED,))[0]
        inverted = directory[PHOTOMETRIC_INTERPRETATION] == MIN_IS_WHITE
    except Exception:  # damaged files raise anything (struct, Index, Syntax ...)
        return ""
    kinds = {UNSIGNED: "unsigned integers", SIGNED: "signed integers", FLOAT: "floating-point numbers"}
    return f"{bits}-bit {kinds.get(sample, 'numbers')}{', the least white' if inverted else ''}"
