"""Decoding raster images (PNG, JPEG, TIFF and others) with Pillow to a grey Frame, after size checks."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from sonoseg._util.text import first_line
from sonoseg.errors import InputError, SonosegWarning
from sonoseg.image.calibration import UNCALIBRATED, Calibration
from sonoseg.image.content_checks import content_warnings
from sonoseg.image.frame import Frame
from sonoseg.image.grey import grey_image, grey_of_two_bytes
from sonoseg.image.size_limits import MAX_PIXELS, MIN_SIDE, not_permitted

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
"""The formats that are read. Not all of Pillow's: its EPS reader, for one, starts Ghostscript."""

_VIDEO = "a video"
_HEIF = "a HEIC or AVIF image"
OTHER_KINDS = (
    (0, b"%PDF", "a PDF document"),
    (128, b"DICM", "DICOM"),
    (0, b"NRRD", "NRRD"),
    *((4, b"ftyp" + brand, _HEIF) for brand in (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis")),
    (4, b"ftyp", _VIDEO),
    (8, b"AVI ", _VIDEO),
    (0, b"\x1aE\xdf\xa3", _VIDEO),
    (0, b"\0\0\1\xba", _VIDEO),
    (0, b"0&\xb2u\x8ef\xcf\x11", _VIDEO),
)
"""Kinds of files that are named where they are refused: the position and the bytes by which they are known.
The videos are MP4, AVI, Matroska, MPEG and WMV."""


def read_raster(path: Path, calibration: Calibration = UNCALIBRATED) -> Frame:
    """Decode a raster image to a grey Frame, as a viewer shows it.

    Colours become grey by `grey_image`; the rotation in EXIF is applied.

    Raises InputError for a file that cannot be decoded, has a side below MIN_SIDE or more than MAX_PIXELS
    pixels (checked in the header, before decoding), or has several frames; the preview images of an MPO
    photograph do not count. Warns (SonosegWarning) of unreadable EXIF, of an image without contrast, and of
    content that is unlikely to be a B-mode scan (see `content_warnings`).
    """
    try:
        # An open file, not a path: given a path Pillow maps raw TIFFs into memory, and then scrambles those
        # with EXIF orientations 5 to 8 (seen in 13.0; a file truncated while mapped would kill the process).
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            _check_header(image, path)
            pixels, irregularities = _decode(image, path)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise unidentified(path) from error
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
    frame = Frame(pixels, source=path, calibration=calibration, irregularities=irregularities)
    for text in frame.warnings:
        warnings.warn(f"{path}: {text}", SonosegWarning, stacklevel=3)
    return frame


def _decode(image: Image.Image, path: Path) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Return the grey of an open image, upright, and what is uncertain about it."""
    deep = is_deep_colour(image)
    to_grey: Callable[[Image.Image], NDArray[np.uint8]] = grey_image
    if image.format == "TIFF":
        from sonoseg.image import tiff

        to_grey = partial(tiff.tiff_grey, tags=tiff.prepare(image, path))
    image.load()
    upright, irregularities = _upright(image)
    irregularities += content_warnings(_for_content(upright))
    if not deep:
        return to_grey(upright), irregularities
    return grey_of_two_bytes(np.asarray(upright), lower_bytes(path)), irregularities


def lower_bytes(path: Path) -> NDArray[np.uint8]:
    """Decode the lower bytes of deep colour, uint8 (H, W, 3) or (H, W, 4), upright."""
    with path.open("rb") as file, Image.open(file, formats=FORMATS) as low:
        pairs = _ask_for_lower_bytes(low)
        lower = np.asarray(_upright(low)[0])
    return lower[..., [1, 1, 1, 3]] if pairs else lower


def exif_orientation(image: Image.Image) -> int:
    """Return the orientation in the EXIF of an image that is not decoded yet: 1 (upright) to 8."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF is free-form bytes
        return 1
    return found if found in range(1, 9) else 1


def _for_content(image: Image.Image) -> NDArray[Any]:
    """Return an image for the checks of its content: grey (H, W) or RGB (H, W, 3)."""
    if image.mode in ("L", "1", "F") or image.mode.startswith("I"):
        return np.asarray(image)
    if image.mode == "LAB":
        return np.asarray(image.getchannel("L"))
    rgba = image.convert("RGBA")
    return np.asarray(
        Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba).convert("RGB")
    )


def is_deep_colour(image: Image.Image) -> bool:
    """Whether pixels are colour, or grey with alpha, of 16 bits, of which Pillow decodes the upper byte."""
    names = [_rawmode(tile) for tile in getattr(image, "tile", ())]
    return bool(names) and all(re.fullmatch("(RGB|RGBX|RGBA|LA);16[LBN]", name) for name in names)


def _ask_for_lower_bytes(image: Image.Image) -> bool:
    """Make Pillow decode the lower byte of each sample: it is the upper one in the other byte order.

    Returns whether it is grey with alpha, for which Pillow has no other order: the channels will be the upper
    and lower byte of grey, then of alpha.
    """
    pairs = False
    native = sys.byteorder[0].upper()
    tiles: list[Any] = image.tile  # type: ignore[attr-defined]
    for number, tile in enumerate(tiles):
        name = _rawmode(tile)
        order = "B" if (native if name[-1] == "N" else name[-1]) == "L" else "L"
        pairs = name.startswith("LA")
        other = "RGBA" if pairs else name[:-1] + order
        args = (other, *tile.args[1:]) if isinstance(tile.args, tuple) else other
        tiles[number] = tile._replace(args=args)
    return pairs


def _rawmode(tile: Any) -> str:
    return str(tile.args[0] if isinstance(tile.args, tuple) and tile.args else tile.args)


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


def _upright(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Apply the rotation in EXIF; returns the image, and what is uncertain about it."""
    try:
        return ImageOps.exif_transpose(image), ()
    except Exception as error:  # EXIF is free-form bytes; the pixels are valid without it
        return image, (f"its EXIF block cannot be read ({first_line(error)}): no rotation applied",)


def unidentified(path: Path) -> InputError:
    """Return the error for a file that Pillow does not recognise, by what its first bytes look like."""
    with path.open("rb") as file:
        head = file.read(512)
        if head.startswith((b"II", b"MM")):
            from sonoseg.image import tiff

            if head[:4] in tiff.STARTS and (kind := tiff.pixel_kind(file)):
                return tiff.unsupported(kind, path)
    kind = next((kind for at, start, kind in OTHER_KINDS if head[at : at + len(start)] == start), "")
    if kind:
        found, remedy = f"the file is {kind}, which is unsupported here", "Export the image as PNG"
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
