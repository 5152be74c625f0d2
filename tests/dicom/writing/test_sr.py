"""Structured reports: codes, figures, outlines, tracking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import UltrasoundMultiFrameImageStorage

from sonoseg import RESEARCH_ONLY
from sonoseg.dicom.writing.attributes import write_object
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
from sonoseg.dicom.writing.seg import make_seg
from sonoseg.dicom.writing.sr import make_sr
from sonoseg.errors import InputError
from sonoseg.image.calibration import pixels_note
from sonoseg.image.contours import Contour, fill
from sonoseg.lesions.lesion_masks import lesion_masks

Case = tuple[Path, list[Any], list[Any]]
FINDING_CATEGORY, ALGORITHM_FAMILY = "276214006", "111000"  # concept names that highdicom gives
WHEN = datetime(2026, 3, 4, 5, 6, 7)
pytestmark = pytest.mark.filterwarnings("error")


def written(path: Path, case: Case, **options: Any) -> Any:
    """The report of a case, written and read by highdicom."""
    write_object(path / "sr.dcm", make_sr(*case, **options))
    return highdicom.sr.srread(path / "sr.dcm")


def same(concept: Any, coded: CodedEnum) -> bool:
    return (concept.value, concept.scheme_designator, concept.meaning) == coded.value[:3]


def comments(report: Any) -> list[str]:
    found = highdicom.sr.utils.find_content_items(report, name=ReportCode.COMMENT.concept)
    return [item.TextValue for item in found]


def test_figures_codes_and_units_are_read_back(still: Case, tmp_path: Path) -> None:
    report = written(tmp_path, still)
    groups = report.content.get_planar_roi_measurement_groups()
    assert len(groups) == 2
    for group, lesion in zip(groups, still[2][0].lesions, strict=True):
        assert same(group.finding_type, FindingCode.LESION)
        assert same(group.finding_sites[0].value, Site.BREAST)
        found = {}
        for one in group.get_measurements():
            (measure,) = [measure for measure in MeasureCode if same(one.name, measure)]
            found[measure] = one
        assert set(found) == set(MeasureCode)
        expected = {
            MeasureCode.LONG_AXIS: lesion.longest_axis,
            MeasureCode.SHORT_AXIS: lesion.perpendicular,
            MeasureCode.PERPENDICULAR_AXIS: lesion.perpendicular,
            MeasureCode.WIDTH: lesion.width,
            MeasureCode.HEIGHT: lesion.height,
            MeasureCode.AREA: lesion.area,
            MeasureCode.PERIMETER: lesion.perimeter,
        }
        for measure, value in expected.items():
            assert found[measure].value == pytest.approx(value, rel=1e-5)
            unit = Unit.SQUARE_MILLIMETRE if measure is MeasureCode.AREA else Unit.MILLIMETRE
            assert same(found[measure].unit, unit)
        words = {one.name.value: one.value.value for one in group.get_qualitative_evaluations()}
        assert words == {
            FINDING_CATEGORY: Category.ABNORMAL_STRUCTURE.value.value,
            ALGORITHM_FAMILY: Family.ARTIFICIAL_INTELLIGENCE.value.value,
            OrientationCode.CONCEPT.value.value: lesion.orientation.code,
            EchoPatternCode.CONCEPT.value.value: lesion.echo_level.code,
            PosteriorFeatures.CONCEPT.value.value: lesion.posterior.code,
        }


@pytest.mark.process
def test_the_outline_gives_the_mask_back(clip: Case, tmp_path: Path) -> None:
    source, segmentations, findings = clip
    report = written(tmp_path, clip)
    image = pydicom.dcmread(source)
    expected = [
        (one.frame.index + 1, mask)
        for one, found in zip(segmentations, findings, strict=True)
        for mask in lesion_masks(one.mask, found.lesions)
    ]
    groups = report.content.get_planar_roi_measurement_groups()
    for group, (frame, mask) in zip(groups, expected, strict=True):
        region = group.roi
        assert region.GraphicType == "POLYLINE"
        points = region.value
        assert np.array_equal(points[0], points[-1])
        assert np.array_equal(fill([Contour(points[:-1], False)], mask.shape), mask)
        (item,) = region.ContentSequence[0].ReferencedSOPSequence
        assert item.ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert item.ReferencedSOPClassUID == UltrasoundMultiFrameImageStorage
        assert item.ReferencedFrameNumber == frame


@pytest.mark.process
def test_tracking_uids_match_the_segmentation(clip: Case, tmp_path: Path) -> None:
    write_object(tmp_path / "seg.dcm", make_seg(*clip))
    report = written(tmp_path, clip, seg=tmp_path / "seg.dcm")
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    groups = report.content.get_planar_roi_measurement_groups()
    assert [(group.tracking_uid, group.tracking_identifier) for group in groups] == [
        (segment.TrackingUID, segment.TrackingID) for segment in seg.SegmentSequence
    ]
    evidence = {(instance, kind) for _, _, instance, kind in report.get_evidence()}
    image = pydicom.dcmread(clip[0])
    assert evidence == {
        (image.SOPInstanceUID, image.SOPClassUID),
        (seg.SOPInstanceUID, seg.SOPClassUID),
    }


def test_seg_in_memory_as_evidence(still: Case) -> None:
    seg = make_seg(*still)
    report = make_sr(*still, seg=seg)
    assert seg.SOPInstanceUID in {instance for _, _, instance, _ in report.get_evidence()}
    with pytest.raises(InputError, match="segmentation object cannot be read"):
        make_sr(*still, seg=still[0].parent / "absent.dcm")


def test_report_status(still: Case, tmp_path: Path) -> None:
    report = written(tmp_path, still, when=WHEN)
    assert (report.CompletionFlag, report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert report.PreliminaryFlag == "PRELIMINARY"
    assert same(report.content[0].name, ReportCode.TITLE)
    assert RESEARCH_ONLY in comments(report)
    assert any("third needs a view" in one for one in comments(report))
    assert "The spacing was given by a person, not by the image." in comments(report)
    assert report.ContentQualification == "RESEARCH"
    (observer,) = report.content.get_observer_contexts()
    attributes = observer.observer_identifying_attributes
    assert attributes.name == "sonoseg compact"
    assert attributes.serial_number == "0123456789ab"
    assert (report.SeriesNumber, report.InstanceNumber, report.Modality) == (3902, 7, "SR")
    group = report.content.get_planar_roi_measurement_groups()[0]
    texts = [item.TextValue for item in group[0].ContentSequence if item.ValueType == "TEXT"]
    assert {"sonoseg compact", "model=0123456789ab", "threshold=0.5"} <= set(texts)


def test_report_without_spacing(anonymous: Case, tmp_path: Path) -> None:
    report = written(tmp_path, anonymous)
    (group,) = report.content.get_planar_roi_measurement_groups()
    assert all(same(one.unit, Unit.PIXELS) for one in group.get_measurements())
    area = [one.value for one in group.get_measurements() if same(one.name, MeasureCode.AREA)]
    assert area == [anonymous[1][0].mask.sum()]
    assert pixels_note("the file carries no calibration") in comments(report)


@pytest.mark.process
def test_report_of_a_frame_without_a_lesion(clip: Case, nothing: Case, tmp_path: Path) -> None:
    for case, frames in ((clip, [4]), (nothing, None)):
        report = written(tmp_path, case)
        (group,) = report.content.get_image_measurement_groups()
        (said,) = group.get_qualitative_evaluations(Summary.CONCEPT.concept)
        assert same(said.name, Summary.CONCEPT)
        assert same(said.value, Summary.NOTHING)
        images = highdicom.sr.utils.find_content_items(group[0], value_type="IMAGE")
        (item,) = images[0].ReferencedSOPSequence
        assert item.ReferencedSOPInstanceUID == pydicom.dcmread(case[0]).SOPInstanceUID
        assert (item.get("ReferencedFrameNumber") and [int(item.ReferencedFrameNumber)]) == frames


@pytest.mark.process
@pytest.mark.parametrize(("algorithm", "word"), [("SEMIAUTOMATIC", "edited by"), ("MANUAL", "drawn by")])
def test_edited_outlines_are_stated(algorithm: Any, word: str, still: Case) -> None:
    assert any(word in one for one in comments(make_sr(*still, algorithm=algorithm)))
    assert not any(word in one for one in comments(make_sr(*still)))


def test_laterality_and_body_part(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    report = written(tmp_path, make_case(tmp_path, ImageLaterality="L", BodyPartExamined="BREAST"))
    (site,) = report.content.get_planar_roi_measurement_groups()[0].finding_sites
    assert same(site.laterality, Side.LEFT)
    report = written(tmp_path, make_case(tmp_path, BodyPartExamined="THYROID"))
    assert report.content.get_planar_roi_measurement_groups()[0].finding_sites == []
    procedure = highdicom.sr.utils.find_content_items(report, value_type="CODE")
    assert any(same(item.value, ReportCode.OTHER_PROCEDURE) for item in procedure)


@pytest.mark.process
def test_a_repeated_run_makes_the_same_report(clip: Case, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_object(tmp_path / f"{name}.dcm", make_sr(*clip, when=WHEN))
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    source, segmentations, findings = clip
    other = replace(segmentations[0], model="compact (ba9876543210)")
    assert (
        make_sr(source, [other, *segmentations[1:]], findings).SOPInstanceUID
        != pydicom.dcmread(tmp_path / "a.dcm").SOPInstanceUID
    )


@pytest.mark.process
@pytest.mark.parametrize("case", ["still", "clip", "anonymous", "nothing"])
@pytest.mark.parametrize("anonymise", [False, True])
def test_dciodvfy_finds_no_error(
    case: str,
    anonymise: bool,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    dciodvfy: Callable[[Path], list[str]],
) -> None:
    made = request.getfixturevalue(case)
    write_object(tmp_path / "seg.dcm", make_seg(*made, anonymise=anonymise))
    write_object(tmp_path / "sr.dcm", make_sr(*made, seg=tmp_path / "seg.dcm", anonymise=anonymise))
    assert dciodvfy(tmp_path / "sr.dcm") == []
