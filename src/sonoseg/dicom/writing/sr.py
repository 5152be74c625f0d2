"""DICOM structured report: the lesions of one file as coded measurements (PS3.16, TID 1500 and TID 1410)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

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
from sonoseg.dicom.writing.codes import (
    Category,
    CodedEnum,
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
from sonoseg.dicom.writing.identity import PRODUCT, Algorithm, ModelName, digest, model_name, uid
from sonoseg.dicom.writing.segmented_frames import FrameFindings, each_frame, labelled, tracking
from sonoseg.errors import InputError, first_line
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


def write_sr(
    path: str | Path,
    source: str | Path,
    segmentations: Sequence[Segmentation],
    findings: Sequence[Findings],
    *,
    seg: str | Path | Dataset | None = None,
    anonymise: bool = False,
    algorithm: Algorithm = "AUTOMATIC",
    when: datetime | None = None,
    instance_uid: str | None = None,
) -> str:
    """Write `make_sr` to a file, whole or not at all; returns its SOP Instance UID.

    Raises as `make_sr`, and OutputError.
    """
    dataset = make_sr(
        source,
        segmentations,
        findings,
        seg=seg,
        anonymise=anonymise,
        algorithm=algorithm,
        when=when,
        instance_uid=instance_uid,
    )
    atomic_write_bytes(path, encode(dataset))
    return str(dataset.SOPInstanceUID)


def make_sr(
    source: str | Path,
    segmentations: Sequence[Segmentation],
    findings: Sequence[Findings],
    *,
    seg: str | Path | Dataset | None = None,
    anonymise: bool = False,
    algorithm: Algorithm = "AUTOMATIC",
    when: datetime | None = None,
    instance_uid: str | None = None,
) -> Dataset:
    """The structured report of one DICOM file: an Imaging Measurement Report, complete, not verified.

    source, segmentations, findings, anonymise, algorithm, when, instance_uid: as in `make_seg`.
    seg: the segmentation object that was made of the same, or its file, to be listed in the evidence.

    A lesion is a TID 1410 group: its outline as a closed polyline on the source image (the middles of its
    pixels' outer sides; column and row, 0.5 the middle of the first pixel: PS3.3, C.18.6), its sizes with
    their unit, its words of BI-RADS, and the tracking UID of its segment. A frame without a lesion is a TID
    1501 group that says so. Short axis and perpendicular axis are one figure: readers look for one or the
    other.

    The SOP Instance UID follows from the input, as that of `make_seg` does.
    Raises as `make_seg`, and InputError where the file of `seg` cannot be read.
    """
    header = read_source(Path(source), anonymise=anonymise)
    evidence = [header.still()]
    if seg is not None:
        evidence.append(_read_seg(Path(seg)) if isinstance(seg, str | Path) else seg)
    dataset = _dataset(header, segmentations, findings, evidence, algorithm, instance_uid)
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
            f"this segmentation object cannot be read ({first_line(error)})",
            where=path,
            remedy="Write it again, or leave it out",
        ) from error
    return found


def _dataset(
    source: SourceDataset,
    segmentations: Sequence[Segmentation],
    findings: Sequence[Findings],
    evidence: list[Dataset],
    algorithm: Algorithm,
    instance_uid: str | None,
) -> Dataset:
    from highdicom.sr import ComprehensiveSR

    first = segmentations[0]
    model = model_name(first.model)
    groups: list[Group] = []
    remarks: dict[str, None] = {}
    content = hashlib.sha256()
    for frame in each_frame(source, segmentations, findings):
        made = frame.segmentation
        for lesion, mask in zip(frame.findings.lesions, frame.masks, strict=True):
            groups.append(_lesion(source, frame, lesion, mask))
        if not frame.masks:
            groups.append(_nothing(source, frame))
        remarks |= dict.fromkeys(_remarks(frame.findings))
        said = (made.model, made.runtime, made.threshold, frame.number, digest(made.mask), frame.findings)
        content.update(repr(said).encode())
    dataset = ComprehensiveSR(
        evidence=evidence,
        content=_report(source, model, groups, [NOTICE, *remarks, *_persons_part(algorithm)]),
        **series(source, "sr", model),
        **equipment(model),
        sop_instance_uid=instance_uid
        or uid(
            "sr",
            source.sop_instance,
            source.anonymised,
            algorithm,
            equipment(model)["software_versions"],
            content.hexdigest(),
            *(one.SOPInstanceUID for one in evidence),
        ),
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

    made_by = equipment(model)
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


def _remarks(findings: Findings) -> Iterator[str]:
    """What a reader must know of a frame's sizes."""
    yield findings.plane_note
    for reason in findings.reasons:
        yield f"Sizes in pixels: {reason}."
    if any(lesion.scale.origin in ("given", "table") for lesion in findings.lesions):
        yield "The spacing was given by a person, not by the image."


def _persons_part(algorithm: Algorithm) -> list[str]:
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
        qualitative_evaluations=list(_words(lesion)),
    )


def _nothing(source: SourceDataset, frame: FrameFindings) -> MeasurementsAndQualitativeEvaluations:
    from highdicom.sr import (
        MeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        SourceImageForMeasurementGroup,
        TrackingIdentifier,
    )

    number = frame.number
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=uid("no lesion", source.sop_instance, number, frame.segmentation.model),
            identifier=labelled("No lesion found", number),
        ),
        source_images=[
            SourceImageForMeasurementGroup(
                source.sop_class, source.sop_instance, None if number is None else [number]
            )
        ],
        finding_sites=_sites(source),
        algorithm_id=_algorithm(frame.segmentation),
        qualitative_evaluations=[QualitativeEvaluation(Summary.CONCEPT.concept, Summary.NOTHING.concept)],
    )


def _polyline(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The closed outline of a mask bool (H, W), float (N, 2) as (column, row), its last point the first."""
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
    made_by = equipment(model)
    return AlgorithmIdentification(
        name=f"{PRODUCT} {model.name}",
        version=made_by["software_versions"],
        parameters=[
            f"weights={model.digits}",
            f"threshold={segmentation.threshold:g}",
            f"runtime={segmentation.runtime}",
        ],
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
        # Six significant digits, as in results.json: far finer than any pixel.
        yield Measurement(name=measure.concept, value=float(f"{value:.6g}"), unit=unit.concept)


def _words(lesion: Lesion) -> Iterator[QualitativeEvaluation]:
    from highdicom.sr import QualitativeEvaluation

    said: tuple[tuple[type[CodedEnum], str | None], ...] = (
        (OrientationCode, lesion.orientation.code),
        (EchoPatternCode, lesion.echo_level and lesion.echo_level.code),
        (PosteriorFeatures, lesion.posterior and lesion.posterior.code),
    )
    for words, code in said:
        for word in words:
            if word.value.value == code:
                yield QualitativeEvaluation(words["CONCEPT"].concept, word.concept)


def _refer(dataset: Dataset, source: SourceDataset) -> None:
    """Put the true class of the source into every reference to it, however deep."""
    for element in dataset.iterall():
        if element.VR != "SQ":
            continue
        for item in element.value:
            if item.get("ReferencedSOPInstanceUID") == source.sop_instance:
                item.ReferencedSOPClassUID = source.sop_class
