"""Pixels of TIFF files that Pillow decodes otherwise than they are meant, or not at all.

Imported for TIFF files only, since Pillow's plugin takes long to import.
"""

from __future__ import annotations

import sys
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

LITTLE = {"I;16BS": "I;16S", "I;32BS": "I;32S", "F;32BF": "F;32F"}
"""Pillow's raw modes of big-endian samples, and those of little-endian ones."""


def unsupported(pixels: str, path: Path) -> InputError:
    """Return the error for a sound file with pixels that are not read. pixels: such as "64-bit floats"."""
    return InputError(
        f"unsupported TIFF pixels: {pixels}",
        where=path,
        remedy="Save it with 8 or 16 bits, or as 32-bit floating point",
    )


def prepare(image: Image.Image, path: Path) -> Any:
    """Make Pillow decode an opened TIFF as it is meant; returns its tags.

    Raises InputError for deep colour in separate planes, of which Pillow takes each byte for a pixel.
    """
    tiles: list[Any] = image.tile  # type: ignore[attr-defined]
    for number, tile in enumerate(tiles):
        # libtiff gives compressed samples in the machine's order, for which Pillow (13.0) takes the file's.
        if tile.codec_name == "libtiff" and sys.byteorder == "little":
            name = LITTLE.get(tile.args[0], tile.args[0])
            tiles[number] = tile._replace(args=(name, *tile.args[1:]))
    tags = image.tag_v2  # type: ignore[attr-defined]
    if tags.get(PLANAR_CONFIGURATION) == 2 and max(tags.get(BITSPERSAMPLE, (1,))) > 8:
        raise unsupported("separate colour planes of more than 8 bits", path)
    return tags


def tiff_grey(image: Image.Image, tags: Any) -> NDArray[np.uint8]:
    """Return the grey uint8 (H, W) of a decoded TIFF, whose tags may be lost: Pillow's `tag_v2`."""
    if image.mode == "L" and tags.get(SAMPLEFORMAT) == (SIGNED,):
        return np.asarray(image) ^ np.uint8(0x80)
    if not image.mode.startswith("I") and image.mode != "F":
        return grey_image(image)
    return grey_array(tiff_values(image, tags))


def tiff_values(image: Image.Image, tags: Any) -> NDArray[Any]:
    """Return the numbers (H, W) that the pixels of a decoded TIFF without colour are.

    Where the least is white, as floating-point numbers of which the least, 0, is black.
    """
    values = np.asarray(image)
    sample = tags.get(SAMPLEFORMAT, (UNSIGNED,))
    if image.mode == "L" and sample == (SIGNED,):
        return values.view(np.int8)  # Pillow gives signed bytes as unsigned ones
    if image.mode == "I" and sample == (UNSIGNED,) and tags.get(BITSPERSAMPLE) == (32,):
        values = values.view(np.uint32)  # Pillow gives them as signed ones
    if image.mode in ("L", "1") or tags.get(PHOTOMETRIC_INTERPRETATION) != MIN_IS_WHITE:
        return values
    # Pillow inverts images of up to 8 bits only.
    values = -values.astype(np.float64)
    return np.asarray(values - values.min(initial=np.inf, where=np.isfinite(values)))


def pixel_kind(file: BinaryIO) -> str:
    """Describe the pixels: "64-bit floating-point numbers"; "" where the first directory is damaged."""
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
