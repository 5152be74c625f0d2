"""Read published masks, whatever their encoding."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sonoseg._util.text import first_line
from sonoseg.data.mask_labels import MaskFile, MaskIssue
from sonoseg.data.nrrd_masks import read_nrrd
from sonoseg.dicom.reading.detection import looks_like_dicom
from sonoseg.dicom.reading.segmentation import read_segments
from sonoseg.errors import DatasetError, InputError, SonosegError, SonosegWarning
from sonoseg.image.raster import FORMATS, exif_orientation, is_deep_colour, lower_bytes, unidentified
from sonoseg.image.size_limits import MAX_PIXELS, check_file
from sonoseg.inputs.file_kinds import NRRD

LOSSY_TIFF = ("jpeg", "tiff_jpeg", "webp")
"""Pillow's names of the TIFF compressions with loss."""

JPEG_NOISE, OTHER_NOISE = 0, 8
"""How much the values inside of one region differ after compression with loss, as JPEG and as other formats
(measured on masks of BUSI and BUS-BRA, at quality 50 and more)."""

BACKGROUND = "Save 0 for background and 255 for lesion"
"""What to do about values whose meaning is unknown."""

PLAIN = ("1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of one channel."""

ORIENTATIONS = {
    1: "as it is",
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "upside down",
    5: "mirrored and turned by 270 degrees",
    6: "turned by 90 degrees",
    7: "mirrored and turned by 90 degrees",
    8: "turned by 270 degrees",
}
"""How an image is shown by its orientation in EXIF (Exif 2.32, tag 274), turned clockwise."""


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read one mask: bool (H, W), True on the lesion.

    1-bit, grey, palette, RGB, RGBA and deep masks are read, DICOM segmentations and NRRD label maps. Colours
    count by their brightest channel, transparent pixels as background. Few distinct values in regions of
    their own are labels, and all but 0 are lesion; among grey levels lesion begins at half of the largest
    value, so that smoothed edges and the noise of a JPEG do no harm. A mask without colour whose opaque part
    is the smaller is held by its alpha.
    Raises DatasetError where the file cannot be decoded, has negative values, or several labels after
    compression with loss.
    """
    return read_mask_file(path).lesion


def read_mask_file(path: Path) -> MaskFile:
    """Read one mask with its values. Raises DatasetError as `read_mask` does."""
    try:
        check_file(path)
        return _checked(_decoded(path))
    except SonosegError as error:
        raise DatasetError(
            f"the mask cannot be read: {error.found}", where=path, remedy=error.remedy
        ) from error
    except Exception as error:  # decoders meet damage with any exception (struct, zlib, Syntax, Index ...)
        raise DatasetError(
            f"the mask cannot be read: {first_line(error)}",
            where=path,
            remedy="Export or copy the mask again",
        ) from error


def _decoded(path: Path) -> MaskFile:
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(NRRD):
        values, spacing = read_nrrd(path)
        return MaskFile(values, spacing=spacing, labelled=values.dtype.kind != "f")
    if looks_like_dicom(head):
        segments, spacing = read_segments(path)
        return MaskFile(segments, spacing=spacing, labelled=True)
    try:
        # An open file, not a path: see `read_raster`.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels exceed the limit")
            if (frames := getattr(image, "n_frames", 1)) > 1 and image.format != "MPO":
                raise InputError(f"it holds {frames} frames", remedy="Save the mask as an image of its own")
            # In this order: to find the orientation, Pillow decodes a PNG.
            deep, noise, mode = is_deep_colour(image), _noise(image, path), image.mode
            orientation = exif_orientation(image)
            values, codes = _pixels(image, path, deep=deep)
            return MaskFile(values, codes, noise, orientation, mode=mode)
    except UnidentifiedImageError as error:
        raise unidentified(path) from error


def _pixels(image: Image.Image, path: Path, *, deep: bool) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Decode an opened raster mask: `values` and `codes` of MaskFile. deep: of more than 8 bits a channel."""
    to_values: Callable[[Image.Image], NDArray[Any]] = np.asarray
    if image.format == "TIFF":
        from sonoseg.image import tiff

        to_values = partial(tiff.tiff_values, tags=tiff.prepare(image, path))
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode in PLAIN and not (image.mode == "L" and image.has_transparency_data):
        values = to_values(image)
        return values.astype(np.uint8) if image.mode == "1" else values, None
    # Without alpha it may be CMYK and the like, of which larger values are darker.
    image = image.convert("RGBA" if image.has_transparency_data or image.mode == "P" else "RGB")
    samples = np.asarray(image)
    if deep:
        samples = samples.astype(np.uint16) << 8 | lower_bytes(path)
    colours, half = samples[..., :3], np.iinfo(samples.dtype).max // 2
    opaque = samples[..., 3] > half if image.mode == "RGBA" else np.ones(samples.shape[:2], np.bool_)
    values = colours.max(axis=2) * opaque
    if not values.any() and 0 < opaque.mean() < 0.5:
        return opaque.astype(np.uint8), None
    red, green, blue = (colours[..., band].astype(np.int64) for band in range(3))
    return values, red << 32 | green << 16 | blue


def _noise(image: Image.Image, path: Path) -> int | None:
    """Return `MaskFile.noise` of an image that is not decoded yet."""
    if image.format == "TIFF":
        return JPEG_NOISE if image.info.get("compression") in LOSSY_TIFF else None
    if image.format not in ("WEBP", "JPEG2000"):
        return JPEG_NOISE if image.format in ("JPEG", "MPO") else None
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if image.format == "WEBP":
        return None if b"VP8L" in head else OTHER_NOISE
    style = head.find(b"\xff\x52", head.find(b"\xff\x4f\xff\x51"))
    # COD (ISO 15444-1, A.6.1): 1 is the reversible transform.
    return None if head[style + 13 : style + 14] == b"\1" else OTHER_NOISE


def _checked(file: MaskFile) -> MaskFile:
    """Return a mask whose values have one meaning. Raises InputError."""
    values = file.values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError("some values are infinite or not numbers", remedy=BACKGROUND)
    if (least := float(values.min(initial=0))) < 0:
        raise InputError(
            f"it has negative values (to {least:g}), which may mean lesion or background", remedy=BACKGROUND
        )
    if labels := file.lossy_labels:
        listed = ", ".join(f"{level:g}" for level in (*labels[:5], file.largest))
        raise InputError(
            f"compressed with loss, and with regions of several values ({listed}), whose borders are unknown",
            remedy="Save masks of labels as PNG",
        )
    return file


def issues_of(file: MaskFile, path: Path, image: Path | None) -> list[MaskIssue]:
    """Return what is uncertain about a mask, and about whether it lies over its image, with the files named.

    path: of the mask. image: None where it is unknown.
    """
    found = [MaskIssue(kind, f"{path}: {text}") for kind, text in file.issues]
    if image is not None and (turned := _orientation(image)) != file.orientation:
        found.append(
            MaskIssue(
                "different EXIF orientation",
                f"{path}: EXIF has this mask {ORIENTATIONS[file.orientation]} and its image {image} "
                f"{ORIENTATIONS[turned]}, so they may not match. Save both upright, without EXIF",
            )
        )
    return found


def _orientation(image: Path) -> int:
    try:
        with image.open("rb") as file, Image.open(file, formats=FORMATS) as opened:
            return exif_orientation(opened)
    except Exception:  # DICOM, or damage that reading it names
        return 1


def join_masks(
    masks: tuple[Path, ...], shape: tuple[int, int], image: Path | None = None
) -> NDArray[np.bool_]:
    """Join an image's masks into one, bool (H, W) of `shape`: lesion where any of them has it.

    image: the image, whose orientation in EXIF is compared with the masks'.
    Warns (SonosegWarning) of what is uncertain about a mask.
    Raises DatasetError where a mask has another size or cannot be decoded.
    """
    joined = np.zeros(shape, dtype=np.bool_)
    for path in masks:
        file = read_mask_file(path)
        for issue in issues_of(file, path, image):
            warnings.warn(issue.text, SonosegWarning, stacklevel=2)
        mask = file.lesion
        if mask.shape != shape:
            raise DatasetError(
                f"the mask has {mask.shape[1]}x{mask.shape[0]} pixels, its image {shape[1]}x{shape[0]}",
                where=path,
                remedy="Replace it with the mask of this image",
            )
        joined |= mask
    return joined
