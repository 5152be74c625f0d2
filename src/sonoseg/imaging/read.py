"""Reading a raster picture into a Frame, and refusing in plain words what cannot be one."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from sonoseg.errors import InputError, SonosegWarning
from sonoseg.imaging.find import find_pictures as find_pictures
from sonoseg.imaging.frame import Frame, Spacing
from sonoseg.imaging.grey import grey_picture

MIN_SIDE = 16
"""Smallest side of a picture in pixels: below it no lesion could be told from a speck."""

MAX_PIXELS = 64_000_000
"""Most pixels of a picture (8,000 x 8,000), known from its header: nothing larger is decoded."""

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
"""What is read. Not all that Pillow could: its EPS reader, for one, would start Ghostscript."""


def read_frame(path: str | Path, *, spacing: Spacing | None = None) -> Frame:
    """Read one still picture as a grey Frame, as a viewer would show it.

    Colour (palette, CMYK, Lab ...) becomes grey by ITU-R 601 weights; what is transparent lies on black;
    a rotation noted in EXIF is applied; pixels of more than 8 bits (integer or float) are scaled from their
    own least and greatest value to 0..255. Only PNG's 16-bit *colour* is cut to its upper 8 bits.

    spacing: (row, column) millimetres per pixel of the picture as displayed, or None where unknown.

    Raises InputError for a file that is missing, no regular file, not permitted, empty, truncated, damaged,
    of another kind, with a side below MIN_SIDE or more than MAX_PIXELS pixels (told by the header, before
    decoding), or with several frames (animations, clips, multi-page TIFF: one frame of many would be a guess;
    the preview images of an MPO photograph do not count). Warns (SonosegWarning) of unreadable EXIF.
    """
    path = Path(path)
    _check_file(path)
    try:
        # An open file, not a path: given a path Pillow maps raw TIFFs into memory, and then scrambles those
        # with EXIF orientations 5 to 8 (seen in 13.0; a file cut short while mapped would kill us besides).
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as picture:
            _check_header(picture, path)
            picture.load()
            pixels = grey_picture(_upright(picture, path))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise _no_picture(path) from error
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        raise _too_large(path, f"{int(count[0]):,} pixels" if count else "too many pixels") from error
    except MemoryError as error:
        raise InputError(
            "not enough memory to decode this picture", where=path, remedy="Make it smaller"
        ) from error
    except PermissionError as error:
        raise _not_permitted(path) from error
    except Exception as error:  # decoders meet damage with any exception (struct, zlib, Syntax, Index ...)
        raise InputError(
            f"this picture is truncated or damaged ({_reason(error)})",
            where=path,
            remedy="Export or copy it again",
        ) from error
    return Frame(pixels, spacing, path)


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError("a folder, where one picture is needed", where=path, remedy="Name a file in it")
        if not path.exists():
            raise InputError("no such file", where=path, remedy="Check the path")
        if not path.is_file():  # a pipe would hang us, a device would never end
            raise InputError("not a regular file", where=path, remedy="Copy the picture to a file")
        if path.stat().st_size == 0:
            raise InputError("this file is empty (0 bytes)", where=path, remedy="Export or copy it again")
    except PermissionError as error:
        raise _not_permitted(path) from error
    except (OSError, ValueError) as error:  # a name too long for the system, or with a null byte
        raise InputError(
            f"cannot be opened ({_reason(error)})", where=path, remedy="Check the path"
        ) from error


def _check_header(picture: Image.Image, path: Path) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise _too_large(path, f"{width:,} x {height:,} pixels")
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"a picture of {width} x {height} pixels is too small",
            where=path,
            remedy=f"Each side needs at least {MIN_SIDE} pixels",
        )
    frames = int(getattr(picture, "n_frames", 1))
    if frames > 1 and picture.format != "MPO":
        raise InputError(
            f"an animation or clip of {frames} frames; still pictures are read",
            where=path,
            remedy="Save the frames you want as pictures of their own",
        )


def _upright(picture: Image.Image, path: Path) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception as error:  # EXIF is free-form bytes; the pixels are fine without it
        warnings.warn(
            f"{path}: its EXIF block cannot be read ({_reason(error)}): no rotation applied",
            SonosegWarning,
            stacklevel=3,
        )
        return picture


def _no_picture(path: Path) -> InputError:
    """Say what the file seems to be instead, from its first bytes."""
    with path.open("rb") as file:
        head = file.read(512)
    if head[128:132] == b"DICM":
        found, remedy = "a DICOM file, which this version does not read", "Export the picture as PNG"
    elif head.startswith(b"%PDF"):
        found, remedy = "a PDF document, not a picture", "Export the picture as PNG"
    elif head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"GIF8", b"RIFF")):
        found, remedy = "this picture is truncated or damaged (in its header)", "Export or copy it again"
    elif _is_text(head):
        found, remedy = "this file holds text, not a picture", "Check whether it is the right file"
    else:
        found = "not a picture of a kind that is read"
        remedy = f"Save it as one of {', '.join(FORMATS)}"
    return InputError(found, where=path, remedy=remedy)


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut at the end is no fault
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter in "\t\r\n\ufeff" for letter in text)


def _too_large(path: Path, size: str) -> InputError:
    return InputError(
        f"a picture of {size} is larger than the {MAX_PIXELS:,} pixels that are read",
        where=path,
        remedy="Crop it to the scan, or make it smaller",
    )


def _not_permitted(path: Path) -> InputError:
    return InputError("you may not read this file", where=path, remedy="Ask for permission to read it")


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200].rstrip(". ")
