"""Decoding raster images (PNG, JPEG, TIFF and others) with Pillow to grey pixels, after size checks."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sonoseg._util.text import first_line
from sonoseg.errors import InputError, SonosegWarning
from sonoseg.image.grey import grey_image
from sonoseg.image.size_limits import MAX_PIXELS, MIN_SIDE, not_permitted

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
"""The formats that are read. Not all of Pillow's: its EPS reader, for one, starts Ghostscript."""


def read_raster(path: Path) -> NDArray[np.uint8]:
    """Decode a raster image to grey uint8 (H, W), as a viewer shows it.

    Colours become grey by `grey_image`; the rotation in EXIF is applied.

    Raises InputError for a file that cannot be decoded, has a side below MIN_SIDE or more than MAX_PIXELS
    pixels (checked in the header, before decoding), or has several frames; the preview images of an MPO
    photograph do not count. Warns (SonosegWarning) of unreadable EXIF.
    """
    try:
        # An open file, not a path: given a path Pillow maps raw TIFFs into memory, and then scrambles those
        # with EXIF orientations 5 to 8 (seen in 13.0; a file truncated while mapped would kill the process).
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            _check_header(image, path)
            image.load()
            return grey_image(_upright(image, path))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise _unidentified(path) from error
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        raise _too_large(path, f"{int(count[0]):,} pixels" if count else "too many pixels") from error
    except MemoryError as error:
        raise InputError(
            "not enough memory to decode this image", where=path, remedy="Make it smaller"
        ) from error
    except PermissionError as error:
        raise not_permitted(path) from error
    except Exception as error:  # decoders raise anything on damage (struct, zlib, Syntax, Index ...)
        raise InputError(
            f"the image is truncated or damaged ({first_line(error)})",
            where=path,
            remedy="Export or copy it again",
        ) from error


def _check_header(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(path, f"{width:,} x {height:,} pixels")
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"the image is too small: {width} x {height} pixels",
            where=path,
            remedy=f"Each side needs at least {MIN_SIDE} pixels",
        )
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1 and image.format != "MPO":
        raise InputError(
            f"the file holds an animation or clip of {frames} frames; only still images are read",
            where=path,
            remedy="Save the frames you need as images of their own",
        )


def _upright(image: Image.Image, path: Path) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # EXIF is free-form bytes; the pixels are valid without it
        warnings.warn(
            f"{path}: its EXIF block cannot be read ({first_line(error)}): no rotation applied",
            SonosegWarning,
            stacklevel=4,
        )
        return image


def _unidentified(path: Path) -> InputError:
    """Return the error for a file that Pillow does not recognise, by what its first bytes look like."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"%PDF"):
        found, remedy = "the file is a PDF document, not an image", "Export the image as PNG"
    elif head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"GIF8", b"RIFF")):
        found, remedy = "the image is truncated or damaged (in its header)", "Export or copy it again"
    elif _is_text(head):
        found, remedy = "the file holds text, not an image", "Check whether it is the right file"
    else:
        found = "the image format is unsupported"
        remedy = f"Save it as one of {', '.join(FORMATS)}"
    return InputError(found, where=path, remedy=remedy)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut at the end is still text
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter in "\t\r\n\ufeff" for letter in text)


def _too_large(path: Path, size: str) -> InputError:
    return InputError(
        f"the image is too large: {size}, at most {MAX_PIXELS:,} pixels are read",
        where=path,
        remedy="Crop it to the scan, or make it smaller",
    )
