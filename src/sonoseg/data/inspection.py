"""Inspection of one record: faults of its files, and its thumbnail for near-duplicate search."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonoseg.data.mask_labels import NOISE, TOUCHING
from sonoseg.data.mask_reading import issues_of, read_mask_file
from sonoseg.data.record import Record
from sonoseg.dicom.reading.detection import is_dicom
from sonoseg.errors import SonosegError
from sonoseg.image.raster import FORMATS
from sonoseg.inputs.reading import read_frame

THUMBNAIL_SIDE = 24
"""Side of the thumbnail for near-duplicate search, pixels."""

HARMLESS = (NOISE, TOUCHING)
"""Issues of a mask that leave it usable as it is."""


@dataclass
class Inspection:
    """The inspection of one record.

    pixels: SHA-256 of the grey pixels and their shape, "" where the image cannot be read.
    thumbnail: float32 (THUMBNAIL_SIDE ** 2,), of length one: see `thumbnail`.
    area: lesion area as a share of the image, 0..1; None where a mask is missing or cannot be used.
    modes: how each mask is stored: "1", "L", "RGB" ..., "" for SEG and NRRD.
    grey: masks with more than two values.
    warnings: of reading the image, those of its content among them.
    notes: (kind, text) of what a person should know about the masks, and can use.
    faults: (kind, text) for each fault of this record's own files.
    """

    record: Record
    pixels: str = ""
    thumbnail: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(THUMBNAIL_SIDE * THUMBNAIL_SIDE, np.float32)
    )
    area: float | None = None
    image_mode: str = ""
    modes: tuple[str, ...] = ()
    grey: bool = False
    warnings: tuple[str, ...] = ()
    notes: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


def inspect_record(record: Record) -> Inspection:
    """Read all files of a record and list their faults."""
    inspection = Inspection(record)
    shape: tuple[int, int] | None = None
    try:
        frame = read_frame(record.image)
        shape = frame.shape
        inspection.warnings = frame.warnings
        inspection.image_mode = _mode(record.image)
        inspection.pixels = hashlib.sha256(repr(shape).encode() + frame.pixels.tobytes()).hexdigest()
        inspection.thumbnail = thumbnail(frame.pixels)
    except SonosegError as error:
        inspection.faults.append(("unreadable image", str(error)))
    if not record.masks:
        if record.label != "normal":
            inspection.faults.append(("missing mask", f"{record.image}: no mask found"))
        else:
            inspection.area = 0.0
        return inspection
    joined: NDArray[np.bool_] | None = None
    for path in record.masks:
        try:
            file = read_mask_file(path)
            mask = file.lesion
            inspection.modes += (file.mode,)
            inspection.grey |= file.is_grey
            for issue in issues_of(file, path, record.image):
                (inspection.notes if issue.kind in HARMLESS else inspection.faults).append(issue)
        except SonosegError as error:
            inspection.faults.append(("unreadable mask", str(error)))
            continue
        if shape is not None and mask.shape != shape and not record.unusable:
            sizes = f"{mask.shape[1]}x{mask.shape[0]}, its image {shape[1]}x{shape[0]} pixels"
            inspection.faults.append(("mis-sized mask", f"{path}: the mask is {sizes}"))
        elif joined is None or joined.shape == mask.shape:
            joined = mask if joined is None else joined | mask
    if joined is not None and not inspection.faults:
        inspection.area = float(joined.mean())
        if not joined.any() and record.label in ("benign", "malignant"):
            inspection.faults.append(
                ("empty mask", f"{record.masks[0]}: an image of the class {record.label} without a lesion")
            )
        if joined.any() and record.label == "normal":
            inspection.faults.append(
                ("lesion on a normal", f"{record.masks[0]}: an image of the class normal with a lesion")
            )
    return inspection


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The thumbnail of an image, float32 (THUMBNAIL_SIDE ** 2,), for near-duplicate search.

    Box-averaged to THUMBNAIL_SIDE x THUMBNAIL_SIDE, each row's mean subtracted (nearly all scans darken with
    depth, which does not distinguish them), and scaled to length one: the dot product of two is their
    similarity. A flat image gives zeros.
    """
    image = Image.fromarray(pixels).resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    values = np.asarray(image, dtype=np.float32)
    values = (values - values.mean(axis=1, keepdims=True)).ravel()
    length = float(np.linalg.norm(values))
    return values / length if length > 1e-3 else np.zeros_like(values)


def _mode(path: Path) -> str:
    """How an image is stored: "1", "L", "RGB" ...; "" for DICOM."""
    if is_dicom(path):
        return ""
    with Image.open(path, formats=FORMATS) as image:
        return str(image.mode)
