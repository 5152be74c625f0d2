"""Reading DICOM Segmentation objects of one image (PS3.3 A.51) as numbered segments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.packages import require
from sonoseg.dicom.reading.header import quiet_pydicom
from sonoseg.errors import InputError
from sonoseg.image.calibration import Spacing, plausible
from sonoseg.image.size_limits import MAX_PIXELS

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
"""The SOP class Segmentation Storage."""

NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
"""Implicit and explicit VR, little endian: the transfer syntaxes without compression that are read."""


def read_segments(path: Path) -> tuple[NDArray[np.int32], Spacing | None]:
    """Read the segments of an object: int32 (H, W), 0 or the segment's number; and their pixel spacing.

    Ultrasound images have no spacing that an object could repeat (Pixel Measures): it is None then.

    Raises InputError for other objects, probabilities, compression, segments of several images, and segments
    that overlap; MissingExtra without pydicom.
    """
    require("dicom", "pydicom")
    with quiet_pydicom():
        from pydicom import dcmread

        try:
            # The header alone first: what is compressed is not inflated.
            head = dcmread(path, force=True, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        except Exception as error:
            raise _damaged(path) from error
        if head.get("SOPClassUID") != SEGMENTATION:
            raise InputError(
                "a DICOM file that is not a segmentation object",
                where=path,
                remedy="Give the mask as PNG, DICOM segmentation (SEG) or NRRD",
            )
        if head.file_meta.get("TransferSyntaxUID") not in NATIVE:
            raise InputError("the segmentation object is compressed", where=path, remedy="Save it without")
        try:
            return _segments(dcmread(path), path)
        except InputError:
            raise
        except Exception as error:  # pydicom raises anything on damage, with values of the file
            raise _damaged(path) from error


def _damaged(path: Path) -> InputError:
    return InputError(
        "the segmentation object is damaged, or lacks attributes", where=path, remedy="Export it again"
    )


def _segments(dataset: Dataset, path: Path) -> tuple[NDArray[np.int32], Spacing | None]:
    if dataset.SegmentationType != "BINARY" or dataset.BitsAllocated != 1:
        raise InputError(
            f"a segmentation object of the type {dataset.SegmentationType} with {dataset.BitsAllocated} bits",
            where=path,
            remedy="Give one with masks (BINARY)",
        )
    height, width, frames = int(dataset.Rows), int(dataset.Columns), int(dataset.NumberOfFrames)
    size = height * width
    if not 0 < size <= MAX_PIXELS or frames < 1 or 8 * len(dataset.PixelData) < frames * size:
        raise InputError("pixel data is truncated or too large", where=path, remedy="Export the file again")
    shared = dataset.SharedFunctionalGroupsSequence[0]
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    numbers = [_number(group, shared) for group in groups]
    sources = {source for group in groups if (source := _source(group))}
    if len(groups) != frames or len(sources) > 1 or len(set(numbers)) < frames:
        raise InputError(
            f"a segmentation object of {frames} frames, not all of one image",
            where=path,
            remedy="Give one of a single image",
        )
    data = np.frombuffer(dataset.PixelData, np.uint8)
    labels = np.zeros(size, dtype=np.int32)
    for frame, number in enumerate(numbers):
        # A frame begins at any bit (PS3.5, 8.1.1); the first pixel is the lowest bit of a byte.
        first, skipped = divmod(frame * size, 8)
        bits = np.unpackbits(data[first : first + size // 8 + 2], bitorder="little")
        mask = bits[skipped : skipped + size].astype(np.bool_)
        if labels[mask].any():
            raise InputError("segments overlap", where=path, remedy="Give one object for each of them")
        labels[mask] = number
    return labels.reshape(height, width), _spacing(shared)


def _number(group: Any, shared: Any) -> int:
    there = group if "SegmentIdentificationSequence" in group else shared
    return int(there.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _source(group: Any) -> tuple[str, str] | None:
    """The image, and its frame, that a frame was derived from; None where the object does not say."""
    try:
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        return str(image.ReferencedSOPInstanceUID), str(image.get("ReferencedFrameNumber", ""))
    except (AttributeError, IndexError):
        return None


def _spacing(shared: Any) -> Spacing | None:
    try:
        row, column = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
    return Spacing(row, column) if plausible((row, column)) else None
