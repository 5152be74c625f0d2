"""Reading one image, raster or DICOM, into a Frame, and refusing in plain words what cannot be one."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from sonoseg._util.text import first_line
from sonoseg.dicom.reading.clip import open_dicom
from sonoseg.dicom.reading.detection import is_dicom
from sonoseg.errors import InputError, SonosegWarning
from sonoseg.image.frame import Frame, Spacing
from sonoseg.image.grey import grey_image
from sonoseg.image.size_limits import MAX_PIXELS as MAX_PIXELS
from sonoseg.image.size_limits import MIN_SIDE as MIN_SIDE
from sonoseg.image.size_limits import check_file, not_permitted
from sonoseg.inputs.file_search import find_images as find_images

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
"""What is read. Not all that Pillow could: its EPS reader, for one, would start Ghostscript."""


def read_frame(path: str | Path, *, spacing: Spacing | None = None, keep_burned_in: bool = False) -> Frame:
    """Read one still image as a grey Frame, as a viewer would show it.

    What is DICOM by its content is read by sonoseg.dicom.reading: calibrated by its regions, blanked outside
    of them unless `keep_burned_in`. A clip has several frames: see sonoseg.inputs.frame_list.

    Colour (palette, CMYK, Lab ...) becomes grey by ITU-R 601 weights; what is transparent lies on black;
    a rotation noted in EXIF is applied; pixels of more than 8 bits (integer or float) are scaled from their
    own least and greatest value to 0..255. Only PNG's 16-bit *colour* is cut to its upper 8 bits.

    spacing: (row, column) millimetres per pixel of the image as displayed, or None where unknown; it goes
        before what a DICOM file says.
    keep_burned_in: keep what lies outside a DICOM file's scan regions, text too.

    Raises InputError for a file that is missing, no regular file, not permitted, empty, truncated, damaged,
    of another kind, with a side below MIN_SIDE or more than MAX_PIXELS pixels (told by the header, before
    decoding), or with several frames (animations, clips, multi-page TIFF: one frame of many would be a guess;
    the preview images of an MPO photograph do not count). Warns (SonosegWarning) of unreadable EXIF.
    """
    path = Path(path)
    check_file(path)
    if is_dicom(path):
        with open_dicom(path, keep_burned_in=keep_burned_in, spacing=spacing) as clip:
            if clip.count > 1:
                raise InputError(
                    f"a clip of {clip.count} frames, where one image is needed",
                    where=path,
                    remedy="Say which: --frames, or sonoseg.inputs.frame_list in Python",
                )
            return clip.frame(0)
    try:
        # An open file, not a path: given a path Pillow maps raw TIFFs into memory, and then scrambles those
        # with EXIF orientations 5 to 8 (seen in 13.0; a file cut short while mapped would kill us besides).
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            _check_header(image, path)
            image.load()
            pixels = grey_image(_upright(image, path))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise _no_image(path) from error
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        raise _too_large(path, f"{int(count[0]):,} pixels" if count else "too many pixels") from error
    except MemoryError as error:
        raise InputError(
            "not enough memory to decode this image", where=path, remedy="Make it smaller"
        ) from error
    except PermissionError as error:
        raise not_permitted(path) from error
    except Exception as error:  # decoders meet damage with any exception (struct, zlib, Syntax, Index ...)
        raise InputError(
            f"this image is truncated or damaged ({first_line(error)})",
            where=path,
            remedy="Export or copy it again",
        ) from error
    return Frame(pixels, spacing, path)


def _check_header(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(path, f"{width:,} x {height:,} pixels")
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"an image of {width} x {height} pixels is too small",
            where=path,
            remedy=f"Each side needs at least {MIN_SIDE} pixels",
        )
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1 and image.format != "MPO":
        raise InputError(
            f"an animation or clip of {frames} frames; still images are read",
            where=path,
            remedy="Save the frames you want as images of their own",
        )


def _upright(image: Image.Image, path: Path) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # EXIF is free-form bytes; the pixels are fine without it
        warnings.warn(
            f"{path}: its EXIF block cannot be read ({first_line(error)}): no rotation applied",
            SonosegWarning,
            stacklevel=3,
        )
        return image


def _no_image(path: Path) -> InputError:
    """Say what the file seems to be instead, from its first bytes."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"%PDF"):
        found, remedy = "a PDF document, not an image", "Export the image as PNG"
    elif head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"GIF8", b"RIFF")):
        found, remedy = "this image is truncated or damaged (in its header)", "Export or copy it again"
    elif _is_text(head):
        found, remedy = "this file holds text, not an image", "Check whether it is the right file"
    else:
        found = "not an image of a kind that is read"
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
        f"an image of {size} is larger than the {MAX_PIXELS:,} pixels that are read",
        where=path,
        remedy="Crop it to the scan, or make it smaller",
    )
