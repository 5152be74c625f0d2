"""The segmented frames of a source, one after the other, so that memory does not grow with a clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoseg.dicom.writing.attributes import SourceDataset, frame_number
from sonoseg.dicom.writing.identity import digest, uid
from sonoseg.errors import ShapeError
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.lesion_masks import lesion_masks
from sonoseg.lesions.measurement import Findings, Lesion


class FrameFindings(NamedTuple):
    """One frame: number in the source from 1 (None for a still image), and a mask bool (H, W) per lesion."""

    number: int | None
    segmentation: Segmentation
    findings: Findings
    masks: list[NDArray[np.bool_]]


def each_frame(
    source: SourceDataset, segmentations: Sequence[Segmentation], findings: Sequence[Findings]
) -> Iterator[FrameFindings]:
    """Yield every frame in order, taking each segmentation once.

    Raises ShapeError unless there are findings for each segmentation, which has the shape of the source and a
    frame of its own.
    """
    if len(segmentations) != len(findings):
        raise ShapeError(
            f"{len(segmentations)} segmentations and {len(findings)} findings", where=source.path
        )
    if not segmentations:
        raise ShapeError("no segmentation to write", where=source.path)
    seen: set[int | None] = set()
    for position in range(len(segmentations)):
        segmentation, found = segmentations[position], findings[position]
        if segmentation.mask.shape != source.shape:
            raise ShapeError(
                f"a mask of shape {segmentation.mask.shape} for an image of {source.shape}",
                where=source.path,
                remedy="Segment the frame as it is read from this file, whole",
            )
        index = segmentation.frame.index or 0
        if not 0 <= index < (source.frames or 1):
            raise ShapeError(f"frame {index} of a file of {source.frames or 1}", where=source.path)
        if index in seen:
            raise ShapeError(f"frame {index} is given twice", where=source.path)
        seen.add(index)
        masks = lesion_masks(segmentation.mask, found.lesions)
        yield FrameFindings(frame_number(source, segmentation), segmentation, found, masks)


def labelled(text: str, number: int | None) -> str:
    """Return a label with the frame's number, if it has one."""
    return text if number is None else f"{text}, frame {number}"


def tracking(
    source: SourceDataset, frame: FrameFindings, lesion: Lesion, mask: NDArray[np.bool_]
) -> tuple[str, str]:
    """Return a lesion's tracking identifier and tracking UID, shared by segmentation and report.

    The UID is derived from the source, the frame, the model and the lesion's pixels.
    """
    model = frame.segmentation.model
    return (
        labelled(f"Lesion {lesion.number}", frame.number),
        uid("lesion", source.sop_instance, frame.number, model, digest(mask)),
    )
