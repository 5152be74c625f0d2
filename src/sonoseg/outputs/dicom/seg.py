"""DICOM Segmentation: the lesions of one file, pixel for pixel on its grid (PS3.3, A.51)."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.files import atomic_write_bytes
from sonoseg.findings.lesions import Findings, Lesion
from sonoseg.imaging.overlay import AMBER
from sonoseg.inference.segmentation import Segmentation
from sonoseg.outputs.dicom.attributes import (
    NOTICE,
    Source,
    check_fit,
    encode,
    equipment,
    finish,
    frame_number,
    instance_number,
    read_source,
    series,
)
from sonoseg.outputs.dicom.codes import Category, Family, Finding, Side, Site
from sonoseg.outputs.dicom.identity import PRODUCT, Algorithm, digest, model_name, uid
from sonoseg.outputs.lesions import each_lesion

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


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
) -> Dataset:
    """The segmentation of one DICOM file as an object; see `encode`.

    source: the file that was segmented, read again for its attributes.
    segmentations: of one or more of its frames, each with its findings in `findings`.
    fractional: instead of the masks the probabilities, in steps of 1/255: a segment a frame.
    anonymise: blank what belongs to the patient and the study (see `finish`).
    algorithm: who drew the masks.
    when: it was made; now by default.

    One segment a lesion and frame, for nothing shows that lesions of two frames are the same; each carries
    the tracking UID that the report uses too. A file without a lesion gives an object too, of one segment
    that says so and a blank frame: an absent object could as well mean that nobody looked.

    The SOP Instance UID follows from the source, the model, the settings and the pixels: a repeated run makes
    the same object again, and is not twice in an archive.

    Raises InputError for a source that nothing can refer to, ShapeError where segmentations are not of its
    grid, MissingExtra without the extra `dicom`.
    """
    header = read_source(Path(source), anonymise=anonymise)
    check_fit(header, segmentations)
    if fractional:
        segments = [_of_probability(header, one) for one in segmentations]
    else:
        segments = [_of_lesion(header, *one) for one in each_lesion(segmentations, findings)]
        segments = segments or [_nothing(one) for one in segmentations[:1]]
    dataset = _dataset(header, segmentations, segments, fractional=fractional, algorithm=algorithm)
    finish(dataset, header, "Lesion probability" if fractional else "Lesions, segmented", when)
    return dataset


@dataclass(frozen=True, eq=False)
class _Segment:
    """One segment: its label, its pixels (bool or float (H, W)), the frame it lies on, how it is tracked."""

    label: str
    pixels: NDArray[Any]
    segmentation: Segmentation
    tracking: tuple[str, str] | None = None


def tracking(
    source: Source, segmentation: Segmentation, lesion: Lesion, mask: NDArray[np.bool_]
) -> tuple[str, str]:
    """A lesion's tracking identifier and tracking UID, shared by segmentation and report.

    The UID follows from the source, the frame, the model and the lesion's pixels.
    """
    number = frame_number(source, segmentation)
    label = f"Lesion {lesion.number}" + ("" if number is None else f", frame {number}")
    return label, uid("lesion", source.sop_instance, number, segmentation.model, digest(mask))


def _of_lesion(
    source: Source, segmentation: Segmentation, lesion: Lesion, mask: NDArray[np.bool_]
) -> _Segment:
    tracked = tracking(source, segmentation, lesion, mask)
    return _Segment(tracked[0], mask, segmentation, tracked)


def _of_probability(source: Source, segmentation: Segmentation) -> _Segment:
    number = frame_number(source, segmentation)
    label = "Lesion probability" + ("" if number is None else f", frame {number}")
    return _Segment(label, np.clip(segmentation.probability, 0, 1), segmentation)


def _nothing(segmentation: Segmentation) -> _Segment:
    return _Segment("No lesion found", np.zeros(segmentation.mask.shape, dtype=bool), segmentation)


def _dataset(
    source: Source,
    segmentations: Sequence[Segmentation],
    segments: Sequence[_Segment],
    *,
    fractional: bool,
    algorithm: Algorithm,
) -> Dataset:
    from highdicom.color import CIELabColor
    from highdicom.content import AlgorithmIdentificationSequence
    from highdicom.seg import Segmentation as Seg
    from highdicom.seg import SegmentDescription

    first = segmentations[0]
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
    descriptions = [
        SegmentDescription(
            segment_number=number,
            segment_label=segment.label,
            segmented_property_category=Category.ABNORMAL_STRUCTURE.concept,
            segmented_property_type=Finding.LESION.concept,
            algorithm_type=algorithm,
            algorithm_identification=made_by,
            tracking_id=segment.tracking and segment.tracking[0],
            tracking_uid=segment.tracking and segment.tracking[1],
            anatomic_regions=[region] if source.of_breast else None,
            display_color=CIELabColor.from_rgb(*AMBER),
        )
        for number, segment in enumerate(segments, start=1)
    ]
    pixels = np.stack([segment.pixels for segment in segments], axis=-1)[None]
    instance = uid(
        "seg",
        source.sop_instance,
        first.model,
        first.runtime,
        first.threshold,
        algorithm,
        fractional,
        source.anonymised,
        digest(pixels),
        *(frame_number(source, one) for one in segmentations),
        equipment(model)["software_versions"],
    )
    dataset = Seg(
        source_images=[source.still()],
        pixel_array=pixels if fractional else pixels.astype(np.uint8),
        segmentation_type="FRACTIONAL" if fractional else "BINARY",
        segment_descriptions=descriptions,
        **series(source, "seg", model),
        **equipment(model),
        sop_instance_uid=instance,
        instance_number=instance_number(source, first),
        content_label="PROBABILITY" if fractional else "LESIONS",
        content_description=NOTICE.split(":")[0],
        omit_empty_frames=False,
    )
    dataset.PatientOrientation = ""  # of Type 2C, and nobody says how the probe was held
    _refer(dataset, source, segments)
    _settle_dimensions(dataset, instance)
    return dataset


def _refer(dataset: Dataset, source: Source, segments: Sequence[_Segment]) -> None:
    """Put the true class of the source and the frames' numbers into every reference to it."""
    instances = [item for one in dataset.ReferencedSeriesSequence for item in one.ReferencedInstanceSequence]
    for item in [*instances, *dataset.SourceImageSequence]:
        item.ReferencedSOPClassUID = source.sop_class
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for group in dataset.PerFrameFunctionalGroupsSequence:
        identified = group.get("SegmentIdentificationSequence") or shared.SegmentIdentificationSequence
        segment = segments[int(identified[0].ReferencedSegmentNumber) - 1]
        number = frame_number(source, segment.segmentation)
        for derivation in group.DerivationImageSequence:
            # highdicom lets all frames share one item: each needs its own, for its own frame number.
            derivation.SourceImageSequence = deepcopy(list(derivation.SourceImageSequence))
            for item in derivation.SourceImageSequence:
                item.ReferencedSOPClassUID = source.sop_class
                if number is not None:
                    item.ReferencedFrameNumber = number


def _settle_dimensions(dataset: Dataset, instance: str) -> None:
    """Replace the random UID of the dimensions by one that a repeated run makes again."""
    settled = uid("dimensions", instance)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = settled
