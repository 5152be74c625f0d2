"""DICOM Segmentation: the lesions of one file, pixel for pixel on its grid (PS3.3, A.51)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sonoseg._util.files import atomic_write_bytes
from sonoseg.dicom.writing.attributes import (
    NOTICE,
    SourceDataset,
    encode,
    equipment,
    finish,
    instance_number,
    read_source,
    series,
)
from sonoseg.dicom.writing.bit_packing import BitPacker
from sonoseg.dicom.writing.codes import Category, Family, FindingCode, Side, Site
from sonoseg.dicom.writing.identity import PRODUCT, Algorithm, model_name, uid
from sonoseg.dicom.writing.segmented_frames import each_frame, labelled, tracking
from sonoseg.image.overlay import AMBER
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import Findings

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription
    from pydicom.dataset import Dataset

STEPS = 255
"""What a probability of 1 is in a fractional object (MaximumFractionalValue)."""


def write_seg(
    path: str | Path,
    source: str | Path,
    segmentations: Sequence[Segmentation],
    findings: Sequence[Findings],
    *,
    fractional: bool = False,
    anonymise: bool = False,
    algorithm: Algorithm = "AUTOMATIC",
    when: datetime | None = None,
    instance_uid: str | None = None,
) -> str:
    """Write `make_seg` to a file, whole or not at all; returns its SOP Instance UID.

    Raises as `make_seg`, and OutputError.
    """
    dataset = make_seg(
        source,
        segmentations,
        findings,
        fractional=fractional,
        anonymise=anonymise,
        algorithm=algorithm,
        when=when,
        instance_uid=instance_uid,
    )
    atomic_write_bytes(path, encode(dataset))
    return str(dataset.SOPInstanceUID)


def make_seg(
    source: str | Path,
    segmentations: Sequence[Segmentation],
    findings: Sequence[Findings],
    *,
    fractional: bool = False,
    anonymise: bool = False,
    algorithm: Algorithm = "AUTOMATIC",
    when: datetime | None = None,
    instance_uid: str | None = None,
) -> Dataset:
    """The segmentation of one DICOM file as an object; see `encode`.

    source: the file that was segmented, read again for its attributes.
    segmentations: of one or more of its frames, each with its findings in `findings`; each is asked for once
        or twice and not kept.
    fractional: instead of the masks the probabilities, in steps of 1/255: a segment a frame.
    anonymise: blank what belongs to the patient and the study (see `finish`).
    algorithm: who drew the masks.
    when: it was made; now by default.
    instance_uid: of the object, for a caller who must know it before the pixels; see below for the default.

    One segment a lesion and frame, for nothing shows that lesions of two frames are the same; each carries
    the tracking UID that the report uses too. A file without a lesion gives an object too, of one segment
    that says so and a blank frame: an absent object could as well mean that nobody looked.

    The SOP Instance UID follows from the source, the model, the settings and the pixels: a repeated run makes
    the same object again, and is not twice in an archive.

    Raises InputError for a source that nothing can refer to, ShapeError where segmentations are not of its
    grid, MissingExtra without the extra `dicom`.
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
        instance_uid=instance_uid,
    )
    finish(dataset, header, "Lesion probability" if fractional else "Lesions, segmented", when)
    return dataset


class _Segment(NamedTuple):
    """One segment: its label, the number of the frame it lies on, its tracking identifier and UID."""

    label: str
    frame: int | None
    tracking: tuple[str, str] | None = None


def _lesions(
    source: SourceDataset, segmentations: Sequence[Segmentation], findings: Sequence[Findings]
) -> tuple[list[_Segment], bytes]:
    """A segment a lesion, and their pixels, packed; where there is none, one that says so."""
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
    """A segment a frame, and their pixels, a byte each."""
    segments, pixels = [], bytearray()
    for frame in each_frame(source, segmentations, findings):
        segments.append(_Segment(labelled("Lesion probability", frame.number), frame.number))
        steps = np.rint(np.clip(frame.segmentation.probability, 0, 1) * STEPS)
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
    instance_uid: str | None,
) -> Dataset:
    """The object, with what is not taken from the source.

    highdicom makes it, blank and of two segments at most, and so with everything that such an object needs;
    then it gets all its segments, frames and pixels. Given thousands of frames itself, it would hold them
    all, a byte a pixel, several times.
    """
    from highdicom.seg import Segmentation as Seg

    model = model_name(first.model)
    descriptions = _descriptions(source, first, segments, algorithm)
    few = descriptions[:2]
    instance = instance_uid or uid(
        "seg",
        source.sop_instance,
        first.model,
        first.runtime,
        first.threshold,
        algorithm,
        fractional,
        source.anonymised,
        hashlib.sha256(pixels).hexdigest(),
        *(segment.frame for segment in segments),
        equipment(model)["software_versions"],
    )
    dataset = Seg(
        source_images=[source.still()],
        pixel_array=np.zeros((1, *source.shape, len(few)), dtype=np.uint8),
        segmentation_type="FRACTIONAL" if fractional else "BINARY",
        max_fractional_value=STEPS,
        segment_descriptions=few,
        **series(source, "seg", model),
        **equipment(model),
        sop_instance_uid=instance,
        instance_number=instance_number(source, first),
        content_label="PROBABILITY" if fractional else "LESIONS",
        content_description=NOTICE.split(":")[0],
        omit_empty_frames=False,
    )
    dataset.PatientOrientation = ""  # of Type 2C, and nobody says how the probe was held
    # Lesions of one frame never overlap; of several frames it is not asked.
    dataset.SegmentsOverlap = "NO" if len({segment.frame for segment in segments}) == 1 else "UNDEFINED"
    dataset.SegmentSequence = descriptions
    dataset.NumberOfFrames = len(segments)
    dataset.PixelData = pixels
    _place_frames(dataset, segments)
    _refer(dataset, source, segments)
    _settle_dimensions(dataset, instance)
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
        version=equipment(model)["software_versions"],
        source=PRODUCT,
        parameters={"weights": model.digits, "threshold": f"{first.threshold:g}", "runtime": first.runtime},
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


def _place_frames(dataset: Dataset, segments: Sequence[_Segment]) -> None:
    """Give every segment its frame, as highdicom gave the first ones theirs."""
    pattern = dataset.PerFrameFunctionalGroupsSequence[0]
    groups = []
    for number in range(1, len(segments) + 1):
        group = deepcopy(pattern)
        group.FrameContentSequence[0].DimensionIndexValues = [number]
        # Where there is but one segment, the shared groups name it.
        if "SegmentIdentificationSequence" in group:
            group.SegmentIdentificationSequence[0].ReferencedSegmentNumber = number
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups


def _refer(dataset: Dataset, source: SourceDataset, segments: Sequence[_Segment]) -> None:
    """Put the true class of the source and the frames' numbers into every reference to it."""
    instances = [item for one in dataset.ReferencedSeriesSequence for item in one.ReferencedInstanceSequence]
    for item in [*instances, *dataset.SourceImageSequence]:
        item.ReferencedSOPClassUID = source.sop_class
    for group, segment in zip(dataset.PerFrameFunctionalGroupsSequence, segments, strict=True):
        for item in group.DerivationImageSequence[0].SourceImageSequence:
            item.ReferencedSOPClassUID = source.sop_class
            if segment.frame is not None:
                item.ReferencedFrameNumber = segment.frame


def _settle_dimensions(dataset: Dataset, instance: str) -> None:
    """Replace the random UID of the dimensions by one that a repeated run makes again."""
    settled = uid("dimensions", instance)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = settled
