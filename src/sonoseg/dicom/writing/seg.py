"""DICOM Segmentation of one file, on its pixel grid (PS3.3 A.51)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonoseg.dicom.writing.attributes import (
    NOTICE,
    PLACEHOLDER,
    SourceDataset,
    algorithm_parameters,
    equipment_attributes,
    finish,
    instance_number,
    read_source,
    series_attributes,
)
from sonoseg.dicom.writing.codes import Category, Family, FindingCode, Side, Site
from sonoseg.dicom.writing.identity import PRODUCT, Algorithm, model_name, uid
from sonoseg.dicom.writing.segmented_frames import each_frame, labelled, tracking
from sonoseg.image.overlay import AMBER
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import Findings

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset

MAX_FRACTIONAL_VALUE = 255
"""MaximumFractionalValue: a probability of 1 in a fractional object."""


def make_seg(
    source: str | Path,
    segmentations: Sequence[Segmentation],
    findings: Sequence[Findings],
    *,
    fractional: bool = False,
    anonymise: bool = False,
    algorithm: Algorithm = "AUTOMATIC",
    when: datetime | None = None,
) -> Dataset:
    """Return the segmentation object of one DICOM file; `write_object` writes it.

    source: the file that was segmented, read again for its attributes.
    segmentations: of one or more of its frames, each with its `findings`; each is read at most twice and not
        kept in memory.
    fractional: hold probabilities in steps of 1/255, a segment per frame, instead of masks.
    anonymise: blank the attributes of patient and study (see `finish`).
    algorithm: who made the masks. when: creation time, now by default.

    The SOP Instance UID is derived from the content (see `finish`): a repeated run makes the same object,
    which a PACS stores once.

    One segment per lesion and frame, since lesions are not tracked between frames; each has the tracking UID
    that the report uses. Without a lesion the object has one blank segment, "No lesion found": a missing
    object could also mean that the file was never segmented.

    Raises InputError for a source without the attributes that a reference needs, ShapeError if a segmentation
    has another shape, MissingExtra without the extra `dicom`.
    """
    header = read_source(Path(source), anonymise=anonymise)
    if fractional:
        segments, pixels = _probabilities(header, segmentations, findings)
    else:
        segments, pixels = _lesions(header, segmentations, findings)
    dataset = _dataset(
        header,
        segmentations[0],
        segments,
        pixels,
        fractional=fractional,
        algorithm=algorithm,
    )
    finish(dataset, header, "Lesion probability" if fractional else "Lesions, segmented", when)
    return dataset


class BitPacker:
    """Packs masks into native pixel data of one allocated bit (PS3.5 8.1.1 and Annex D).

    The first pixel is the lowest bit of the first byte; frames are not aligned to bytes.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._rest = np.zeros(0, dtype=bool)

    def add(self, mask: NDArray[np.bool_]) -> None:
        """Append a frame, bool (H, W)."""
        bits = np.concatenate([self._rest, mask.ravel()])
        whole = bits.size - bits.size % 8
        self._bytes += np.packbits(bits[:whole], bitorder="little").tobytes()
        self._rest = bits[whole:]

    def packed(self) -> bytes:
        """Return all frames, padded to an even number of bytes."""
        data = bytes(self._bytes) + np.packbits(self._rest, bitorder="little").tobytes()
        return data + b"\0" * (len(data) % 2)


class _Segment(NamedTuple):
    """One segment: label, frame number, tracking identifier and UID."""

    label: str
    frame: int | None
    tracking: tuple[str, str] | None = None


def _lesions(
    source: SourceDataset, segmentations: Sequence[Segmentation], findings: Sequence[Findings]
) -> tuple[list[_Segment], bytes]:
    """Return a segment per lesion and their packed pixels; one blank segment without any lesion."""
    segments, pixels, number = [], BitPacker(), None
    for frame in each_frame(source, segmentations, findings):
        for lesion, mask in zip(frame.findings.lesions, frame.masks, strict=True):
            tracked = tracking(source, frame, lesion, mask)
            segments.append(_Segment(tracked[0], frame.number, tracked))
            pixels.add(mask)
        number = number or frame.number
    if not segments:
        segments.append(_Segment("No lesion found", number))
        pixels.add(np.zeros(source.shape, dtype=bool))
    return segments, pixels.packed()


def _probabilities(
    source: SourceDataset, segmentations: Sequence[Segmentation], findings: Sequence[Findings]
) -> tuple[list[_Segment], bytes]:
    """Return a segment per frame and their pixels, a byte each."""
    segments, pixels = [], bytearray()
    for frame in each_frame(source, segmentations, findings):
        segments.append(_Segment(labelled("Lesion probability", frame.number), frame.number))
        steps = np.rint(np.clip(frame.segmentation.probability, 0, 1) * MAX_FRACTIONAL_VALUE)
        pixels += steps.astype(np.uint8).tobytes()
    return segments, bytes(pixels) + b"\0" * (len(pixels) % 2)


def _dataset(
    source: SourceDataset,
    first: Segmentation,
    segments: Sequence[_Segment],
    pixels: bytes,
    *,
    fractional: bool,
    algorithm: Algorithm,
) -> Dataset:
    """Return the object without the source's patient and study.

    highdicom makes it with two blank segments at most, then all segments, frames and pixels are put in: given
    all frames of a long clip, highdicom would hold several copies of them, a byte per pixel.
    """
    from highdicom.seg import Segmentation as Seg

    model = model_name(first.model)
    descriptions = _descriptions(source, first, segments, algorithm)
    few = descriptions[:2]
    dataset = Seg(
        source_images=[source.still()],
        pixel_array=np.zeros((1, *source.shape, len(few)), dtype=np.uint8),
        segmentation_type="FRACTIONAL" if fractional else "BINARY",
        max_fractional_value=MAX_FRACTIONAL_VALUE,
        segment_descriptions=few,
        **series_attributes(source, "seg", model),
        **equipment_attributes(model),
        sop_instance_uid=PLACEHOLDER,
        instance_number=instance_number(source, first),
        content_label="PROBABILITY" if fractional else "LESIONS",
        content_description=NOTICE.split(":")[0],
        omit_empty_frames=False,
    )
    dataset.PatientOrientation = ""  # Type 2C; the orientation of the probe is unknown
    # Lesions of one frame never overlap; lesions of several frames are not compared.
    dataset.SegmentsOverlap = "NO" if len({segment.frame for segment in segments}) == 1 else "UNDEFINED"
    dataset.SegmentSequence = descriptions
    dataset.NumberOfFrames = len(segments)
    dataset.PixelData = pixels
    _set_frames(dataset, segments)
    _refer(dataset, source, segments)
    _set_dimension_uids(dataset, source, pixels)
    return dataset


def _descriptions(
    source: SourceDataset, first: Segmentation, segments: Sequence[_Segment], algorithm: Algorithm
) -> list[SegmentDescription]:
    from highdicom.color import CIELabColor
    from highdicom.content import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription

    model = model_name(first.model)
    made_by = AlgorithmIdentificationSequence(
        name=f"{PRODUCT} {model.name}",
        family=Family.ARTIFICIAL_INTELLIGENCE.concept,
        version=equipment_attributes(model)["software_versions"],
        source=PRODUCT,
        parameters=algorithm_parameters(first),
    )
    region = Site.BREAST.concept
    if source.side:
        region.AnatomicRegionModifierSequence = [(Side.RIGHT if source.side == "R" else Side.LEFT).item]
    return [
        SegmentDescription(
            segment_number=number,
            segment_label=segment.label,
            segmented_property_category=Category.ABNORMAL_STRUCTURE.concept,
            segmented_property_type=FindingCode.LESION.concept,
            algorithm_type=algorithm,
            algorithm_identification=made_by,
            tracking_id=segment.tracking and segment.tracking[0],
            tracking_uid=segment.tracking and segment.tracking[1],
            anatomic_regions=[region] if source.of_breast else None,
            display_color=CIELabColor.from_rgb(*AMBER),
        )
        for number, segment in enumerate(segments, start=1)
    ]


def _set_frames(dataset: Dataset, segments: Sequence[_Segment]) -> None:
    """Add the functional groups of every frame, copied from highdicom's first one."""
    pattern = dataset.PerFrameFunctionalGroupsSequence[0]
    groups = []
    for number in range(1, len(segments) + 1):
        group = deepcopy(pattern)
        group.FrameContentSequence[0].DimensionIndexValues = [number]
        # With one segment only, highdicom puts it into the shared groups.
        if "SegmentIdentificationSequence" in group:
            group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = number
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups


def _refer(dataset: Dataset, source: SourceDataset, segments: Sequence[_Segment]) -> None:
    """Set the source's SOP class and frame numbers in every reference to it."""
    instances = [item for one in dataset.ReferencedSeriesSequence for item in one.ReferencedInstanceSequence]
    for item in [*instances, *dataset.SourceImageSequence]:
        item.ReferencedSOPClassUID = source.sop_class
    for group, segment in zip(dataset.PerFrameFunctionalGroupsSequence, segments, strict=True):
        for item in group.DerivationImageSequence[0].SourceImageSequence:
            item.ReferencedSOPClassUID = source.sop_class
            if segment.frame is not None:
                item.ReferencedFrameNumber = segment.frame


def _set_dimension_uids(dataset: Dataset, source: SourceDataset, pixels: bytes) -> None:
    """Replace the random UID of the dimensions by a reproducible one."""
    derived = uid("dimensions", source.sop_instance, hashlib.sha256(pixels).hexdigest())
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = derived
