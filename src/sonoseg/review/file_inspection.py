"""Inspection of a received file: its kind, size, frames and pixel spacing, before it is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO

from PIL import Image

from sonoseg._util.text import first_line
from sonoseg.dicom.reading.clip import Clip
from sonoseg.dicom.reading.detection import is_dicom
from sonoseg.errors import InputError, SonosegError
from sonoseg.image import calibration
from sonoseg.image.calibration import Origin, Spacing
from sonoseg.image.frame import Frame
from sonoseg.image.raster import FORMATS
from sonoseg.image.size_limits import check_file
from sonoseg.inputs.reading import read_frame
from sonoseg.review.form_upload import Upload
from sonoseg.review.http_errors import Unusable
from sonoseg.review.item_store import StoredImage
from sonoseg.review.settings import ServerLimits

MAX_INFLATION = 8
"""How many times the limit of a file's bytes a deflated DICOM file may expand to."""

SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif"} | {
    "WEBP": ".webp",
    "JPEG2000": ".jp2",
    "PPM": ".pnm",
}


def parse_spacing(text: str) -> Spacing | None:
    """ "0.08", or "0.08,0.1" (row, column), as millimetres per pixel; "" is none. Raises Unusable."""
    if not text.strip():
        return None
    try:
        return calibration.parse_spacing(text)
    except ValueError as error:
        raise Unusable(
            f"'{text[:40]}' is not a pixel spacing: {calibration.SPACING_RANGE}",
            where="spacing",
            remedy="Give 0.08, or 0.08,0.1 (row, column), in mm per pixel",
        ) from error


def inspect(
    upload: Upload, limits: ServerLimits, *, spacing: Spacing | None = None, origin: Origin = "given"
) -> StoredImage:
    """Inspect a file: its header, then the image or the first frame of a clip.

    spacing: (row, column) mm per pixel, overrides that of the file. origin: its source.

    Raises InputError, with the name that the user gave, where the file is not an image, is damaged, or has
    more pixels or frames than the limits, which is decided by its header before anything is decoded.
    """
    with _named(upload):
        check_file(upload.path)
        if is_dicom(upload.path):
            return _inspect_dicom(upload, limits, spacing, origin)
        with upload.path.open("rb") as file:
            suffix = _check_header(file, limits)
        frame = read_frame(upload.path, spacing=spacing)
        height, width = frame.shape
        known = frame.calibration
        return StoredImage(
            *(upload.path, upload.name, upload.digest, "raster", suffix, 1, height, width),
            *(known.spacing, known.reason, origin if spacing else known.origin),
        )


def read_one(
    upload: Upload, limits: ServerLimits, *, spacing: Spacing | None = None, number: int | None = None
) -> Frame:
    """Read a file that is not stored; the frame gets its name.

    number: the frame of a clip. Raises InputError as `inspect` does, and where the clip has no such frame.
    """
    stem = upload.name.rpartition(".")[0] or upload.name
    with _named(upload):
        check_file(upload.path)
        if not is_dicom(upload.path):
            with upload.path.open("rb") as file:
                _check_header(file, limits)
            return replace(read_frame(upload.path, spacing=spacing), name=stem)
        with _open_clip(upload, limits, spacing, "given") as clip:
            if clip.count == 1:
                return replace(clip.frame(0), name=stem)
            if number is None:
                raise InputError(
                    f"a clip of {clip.count} frames, one image is needed", remedy="Give the frame number"
                )
            return replace(clip.frame(number), name=f"{stem}_f{number:04}")


def _open_clip(upload: Upload, limits: ServerLimits, spacing: Spacing | None, origin: Origin) -> Clip:
    """Open a clip and check the limits by its header; the caller closes it."""
    inflated = MAX_INFLATION * limits.max_bytes
    clip = Clip(upload.path, spacing=spacing, origin=origin, inflated=inflated)
    try:
        height, width = clip.shape
        _check_size(width, height, limits)
        if clip.count > limits.max_frames:
            raise InputError(
                f"a clip of {clip.count:,} frames; the limit is {limits.max_frames:,}",
                remedy="Shorten it, or start the server with --max-frames",
            )
    except BaseException:
        clip.close()
        raise
    return clip


def _inspect_dicom(
    upload: Upload, limits: ServerLimits, spacing: Spacing | None, origin: Origin
) -> StoredImage:
    with _open_clip(upload, limits, spacing, origin) as clip:
        height, width = clip.shape
        clip.frame(0)
        known = clip.calibration
        return StoredImage(
            *(upload.path, upload.name, upload.digest, "dicom", ".dcm", clip.count, height, width),
            *(known.spacing, known.reason, known.origin),
        )


def _check_header(file: BinaryIO, limits: ServerLimits) -> str:
    """The suffix for this kind of image; "" where Pillow cannot tell, and read_frame reports why."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height, kind = image.width, image.height, image.format
    except Exception:
        return ""
    _check_size(width, height, limits)
    return SUFFIXES.get(kind or "", "")


def _check_size(width: int, height: int, limits: ServerLimits) -> None:
    if width * height > limits.max_pixels:
        raise InputError(
            f"an image of {width:,} x {height:,} pixels; the limit is {limits.max_pixels:,}",
            remedy="Crop it to the scan, or start the server with --max-pixels",
        )


@contextmanager
def _named(upload: Upload) -> Iterator[None]:
    """Raise errors with the name that the user gave to the file."""
    try:
        yield
    except SonosegError as error:
        raise InputError(error.found, where=upload.name, remedy=error.remedy) from error
    except OSError:
        raise
    except Exception as error:  # any exception of a decoder
        raise InputError(
            f"cannot be read ({first_line(error)})",
            where=upload.name,
            remedy="Export or copy it again",
        ) from error
