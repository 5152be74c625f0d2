"""DICOM structured report: the lesions of one file as coded measurements (PS3.16 TID 1500 and TID 1410)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.text import first_line
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
from sonoseg.dicom.writing.codes import (
    Category,
    CodedEnum,
    Detections,
    EchoPatternCode,
    Family,
    FindingCode,
    MeasureCode,
    OrientationCode,
    PosteriorFeatures,
    ReportCode,
    Side,
    Site,
    Summary,
    Unit,
)
from sonoseg.dicom.writing.identity import PRODUCT, Algorithm, ModelName, model_name, uid
from sonoseg.dicom.writing.segmented_frames import FrameFindings, each_frame, labelled, tracking
from sonoseg.errors import InputError
from sonoseg.image.calibration import by_person, cautions, pixels_note
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import Findings, Lesion
from sonoseg.lesions.outline import outline

if TYPE_CHECKING:
    from highdicom.sr import (
        AlgorithmIdentification,
        FindingSite,
        Measurement,
        MeasurementReport,
        MeasurementsAndQualitativeEvaluations,
        PlanarROIMeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        SourceImageForRegion,
    )
    from pydicom.dataset import Dataset

    Group = PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations


def make_sr(
    source: str | Path,
    segmentations: Sequence[Segmentation],
    findings: Sequence[Findings],
    *,
    seg: str | Path | Dataset | None = None,
    anonymise: bool = False,
    algorithm: Algorithm = "AUTOMATIC",
    when: datetime | None = None,
) -> Dataset:
    """Return the structured report of one DICOM file: an Imaging Measurement Report, complete, unverified.

    source, segmentations, findings, anonymise, algorithm, when: as in `make_seg`.
    seg: the segmentation object of the same segmentations, or its file, to be listed in the evidence.

    A lesion is a TID 1410 group: its outline as a closed polyline on the source image (the midpoints of its
    pixels' outer edges as column and row, 0.5 being the centre of the first pixel: PS3.3 C.18.6), its sizes
    with units, its BI-RADS descriptors, and the tracking UID of its segment. A frame without a lesion is a
    TID 1501 group; that of an image without contrast states that the detection failed. Short axis and
    perpendicular axis are the same figure: readers look for one or the other.

    Raises as `make_seg`, and InputError if the file of `seg` cannot be read.
    """
    header = read_source(Path(source), anonymise=anonymise)
    evidence = [header.still()]
    if seg is not None:
        evidence.append(_read_seg(Path(seg)) if isinstance(seg, str | Path) else seg)
    dataset = _dataset(header, segmentations, findings, evidence, algorithm)
    finish(dataset, header, "Lesions, measured", when)
    return dataset


def _read_seg(path: Path) -> Dataset:
    import pydicom
    from pydicom.errors import InvalidDicomError

    wanted = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
    try:
        found = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(wanted))
    except (OSError, InvalidDicomError) as error:
        raise InputError(
            f"segmentation object cannot be read: {first_line(error)}",
            where=path,
            remedy="Write it again, or omit it",
        ) from error
    return found


def _dataset(
    source: SourceDataset,
    segmentations: Sequence[Segmentation],
    findings: Sequence[Findings],
    evidence: list[Dataset],
    algorithm: Algorithm,
) -> Dataset:
    from highdicom.sr import ComprehensiveSR

    first = segmentations[0]
    model = model_name(first.model)
    groups: list[Group] = []
    comments: dict[str, None] = {}
    for frame in each_frame(source, segmentations, findings):
        for lesion, mask in zip(frame.findings.lesions, frame.masks, strict=True):
            groups.append(_lesion(source, frame, lesion, mask))
        if not frame.masks:
            groups.append(_no_lesion(source, frame))
        comments |= dict.fromkeys(_comments(frame.findings))
    dataset = ComprehensiveSR(
        evidence=evidence,
        content=_report(source, model, groups, [NOTICE, *comments, *_algorithm_comments(algorithm)]),
        **series_attributes(source, "sr", model),
        **equipment_attributes(model),
        sop_instance_uid=PLACEHOLDER,
        instance_number=instance_number(source, first),
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    _refer(dataset, source)
    return dataset


def _report(
    source: SourceDataset,
    model: ModelName,
    groups: Sequence[Group],
    comments: Sequence[str],
) -> MeasurementReport:
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
        RelationshipTypeValues,
        TextContentItem,
    )

    made_by = equipment_attributes(model)
    observer = ObserverContext(
        observer_type=ReportCode.OBSERVER.concept,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=uid("device", model.name, model.digits, made_by["software_versions"]),
            name=f"{PRODUCT} {model.name}",
            manufacturer_name=made_by["manufacturer"],
            model_name=f"{PRODUCT} {made_by['software_versions']}",
            serial_number=made_by["device_serial_number"],
        ),
    )
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=(ReportCode.PROCEDURE if source.of_breast else ReportCode.OTHER_PROCEDURE).concept,
        imaging_measurements=groups,
        title=ReportCode.TITLE.concept,
    )
    for comment in comments:  # TID 1500 is extensible
        report[0].ContentSequence.append(
            TextContentItem(
                name=ReportCode.COMMENT.concept,
                value=comment,
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
        )
    return report


def _comments(findings: Findings) -> Iterator[str]:
    """Yield the comments on a frame's sizes."""
    yield findings.plane_note
    for warning in findings.warnings:
        yield f"{warning[0].upper()}{warning[1:]}."
    for reason in findings.reasons:
        yield pixels_note(reason)
    origins = dict.fromkeys(lesion.local_spacing.origin for lesion in findings.lesions)
    for origin in origins:
        if rules := cautions(origin):
            yield f"Pixel spacing from the {origin}. Caution: {'; '.join(rules)}."
    if any(by_person(origin) for origin in origins):
        yield "The spacing was given by a person, not by the image."


def _algorithm_comments(algorithm: Algorithm) -> list[str]:
    return {
        "AUTOMATIC": [],
        "SEMIAUTOMATIC": ["Outlines made by the software and edited by a person."],
        "MANUAL": ["Outlines drawn by a person; measured by the software."],
    }[algorithm]


def _lesion(
    source: SourceDataset, frame: FrameFindings, lesion: Lesion, mask: NDArray[np.bool_]
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    from highdicom.sr import (
        ImageRegion,
        PlanarROIMeasurementsAndQualitativeEvaluations,
        TrackingIdentifier,
    )

    label, tracked = tracking(source, frame, lesion, mask)
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=tracked, identifier=label),
        referenced_region=ImageRegion("POLYLINE", _polyline(mask), _image(source, frame.number)),
        finding_category=Category.ABNORMAL_STRUCTURE.concept,
        finding_type=FindingCode.LESION.concept,
        finding_sites=_sites(source),
        algorithm_id=_algorithm(frame.segmentation),
        measurements=list(_measurements(lesion)),
        qualitative_evaluations=list(_descriptors(lesion)),
    )


def _no_lesion(source: SourceDataset, frame: FrameFindings) -> MeasurementsAndQualitativeEvaluations:
    from highdicom.sr import (
        MeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        SourceImageForMeasurementGroup,
        TrackingIdentifier,
    )

    number = frame.number
    assessed = frame.findings.assessable
    concept, value = (
        (Summary.CONCEPT, Summary.NOTHING) if assessed else (Detections.CONCEPT, Detections.FAILED)
    )
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=uid(
                "no lesion",
                source.sop_instance,
                number,
                frame.segmentation.model,
                frame.segmentation.settings_hash,
            ),
            identifier=labelled("No lesion found" if assessed else "Not assessed", number),
        ),
        source_images=[
            SourceImageForMeasurementGroup(
                source.sop_class, source.sop_instance, None if number is None else [number]
            )
        ],
        finding_sites=_sites(source),
        algorithm_id=_algorithm(frame.segmentation),
        qualitative_evaluations=[QualitativeEvaluation(concept.concept, value.concept)],
    )


def _polyline(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the closed outline of a mask bool (H, W) as (column, row), float (N, 2), first repeated."""
    points = outline(mask)[:, ::-1] + 0.5
    return np.concatenate([points, points[:1]])


def _image(source: SourceDataset, number: int | None) -> SourceImageForRegion:
    from highdicom.sr import SourceImageForRegion
    from pydicom.uid import UltrasoundImageStorage

    return SourceImageForRegion(
        UltrasoundImageStorage, source.sop_instance, None if number is None else [number]
    )


def _sites(source: SourceDataset) -> list[FindingSite] | None:
    from highdicom.sr import FindingSite

    if not source.of_breast:
        return None
    side = {"R": Side.RIGHT.concept, "L": Side.LEFT.concept}.get(source.side or "")
    return [FindingSite(anatomic_location=Site.BREAST.concept, laterality=side)]


def _algorithm(segmentation: Segmentation) -> AlgorithmIdentification:
    from highdicom.sr import AlgorithmIdentification

    model = model_name(segmentation.model)
    made_by = equipment_attributes(model)
    return AlgorithmIdentification(
        name=f"{PRODUCT} {model.name}",
        version=made_by["software_versions"],
        parameters=[f"{name}={value}" for name, value in algorithm_parameters(segmentation).items()],
        family=Family.ARTIFICIAL_INTELLIGENCE.concept,
        manufacturer=made_by["manufacturer"],
    )


def _measurements(lesion: Lesion) -> Iterator[Measurement]:
    from highdicom.sr import Measurement

    length = Unit.MILLIMETRE if lesion.unit == "mm" else Unit.PIXELS
    area = Unit.SQUARE_MILLIMETRE if lesion.unit == "mm" else Unit.PIXELS
    for measure, value, unit in (
        (MeasureCode.LONG_AXIS, lesion.longest_axis, length),
        (MeasureCode.SHORT_AXIS, lesion.perpendicular, length),
        (MeasureCode.PERPENDICULAR_AXIS, lesion.perpendicular, length),
        (MeasureCode.WIDTH, lesion.width, length),
        (MeasureCode.HEIGHT, lesion.height, length),
        (MeasureCode.AREA, lesion.area, area),
        (MeasureCode.PERIMETER, lesion.perimeter, length),
    ):
        # Six significant digits, as in results.json.
        yield Measurement(name=measure.concept, value=float(f"{value:.6g}"), unit=unit.concept)


def _descriptors(lesion: Lesion) -> Iterator[QualitativeEvaluation]:
    from highdicom.sr import QualitativeEvaluation

    descriptors: tuple[tuple[type[CodedEnum], str | None], ...] = (
        (OrientationCode, lesion.orientation.code),
        (EchoPatternCode, lesion.echo_level and lesion.echo_level.code),
        (PosteriorFeatures, lesion.posterior and lesion.posterior.code),
    )
    for codes, value in descriptors:
        for code in codes:
            if code.value.value == value:
                yield QualitativeEvaluation(codes["CONCEPT"].concept, code.concept)


def _refer(dataset: Dataset, source: SourceDataset) -> None:
    """Set the source's SOP class in every reference to it, at any depth."""
    for element in dataset.iterall():
        if element.VR != "SQ":
            continue
        for item in element.value:
            if item.get("ReferencedSOPInstanceUID") == source.sop_instance:
                item.ReferencedSOPClassUID = source.sop_class
