"""Secondary captures: overlay, strip of text, BurnedInAnnotation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import SecondaryCaptureImageStorage, UltrasoundMultiFrameImageStorage

from sonoseg import RESEARCH_ONLY
from sonoseg.dicom.writing.attributes import write_object
from sonoseg.dicom.writing.capture import make_capture
from sonoseg.dicom.writing.codes import Purpose
from sonoseg.image.calibration import Box, Calibration, Region
from sonoseg.image.frame import Frame
from sonoseg.lesions.callipers import draw_callipers

Case = tuple[Path, list[Any], list[Any]]
pytestmark = pytest.mark.filterwarnings("error")


def of(case: Case, place: int = 0) -> tuple[Path, Any, Any]:
    return case[0], case[1][place], case[2][place]


def blanked(segmentation: Any, *, blank: bool) -> Any:
    """The segmentation of a frame with one scan region, what lies outside blanked or not."""
    frame = segmentation.frame
    region = Region(Box(2, 3, 50, 70), None, "no reason")
    pixels = frame.pixels.copy()
    if blank:
        pixels[:2] = pixels[52:] = 0
        pixels[:, :3] = pixels[:, 73:] = 0
    calibration = Calibration(reason="no reason", regions=(region,))
    return replace(
        segmentation,
        frame=Frame(pixels, source=frame.source, index=frame.index, calibration=calibration, kind="dicom"),
    )


def test_the_image_is_the_overlay_with_callipers_above_a_strip_of_text(still: Case, tmp_path: Path) -> None:
    source, segmentation, found = of(still)
    written = write_object(tmp_path / "sc.dcm", make_capture(source, segmentation, found))
    read = pydicom.dcmread(tmp_path / "sc.dcm")
    assert read.SOPInstanceUID == written
    assert read.SOPClassUID == SecondaryCaptureImageStorage
    pixels = read.pixel_array
    height, width = segmentation.mask.shape
    assert pixels.shape[1:] == (width, 3)
    expected = draw_callipers(segmentation.overlay(), found, mask=segmentation.mask)
    assert np.array_equal(pixels[:height], expected)
    strip = pixels[height:]
    assert strip.shape[0] > 11
    assert strip.max() > 200


def test_a_strip_of_a_wide_image_holds_its_text(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    for width in (300, 420, 800):
        capture = make_capture(*of(make_case(tmp_path, shape=(240, width))))
        strip = capture.pixel_array[240:]
        assert strip[:, -4:].max() == 0
        assert strip.max() > 200


def test_source_reference_and_equipment(clip: Case) -> None:
    source, segmentation, found = of(clip)
    capture = make_capture(source, segmentation, found, when=datetime(2026, 3, 4, 5, 6, 7))
    image = pydicom.dcmread(source)
    (origin,) = capture.SourceImageSequence
    assert origin.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert origin.ReferencedSOPClassUID == UltrasoundMultiFrameImageStorage
    assert origin.ReferencedFrameNumber == 2
    (purpose,) = origin.PurposeOfReferenceCodeSequence
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning) == Purpose.SOURCE.value[
        :3
    ]
    assert capture.StudyInstanceUID == image.StudyInstanceUID
    assert capture.ImageType == ["DERIVED", "SECONDARY"]
    assert RESEARCH_ONLY in capture.DerivationDescription
    assert capture.ContentQualification == "RESEARCH"
    assert (capture.SeriesNumber, capture.InstanceNumber) == (3903, 70002)
    assert capture.ContentDate == capture.DateOfSecondaryCapture == "20260304"
    assert capture.ContentTime == capture.TimeOfSecondaryCapture == "050607"
    assert "PixelSpacing" not in capture


@pytest.mark.parametrize("blank", [False, True])
def test_burned_in_annotation_follows_the_pixels(blank: bool, still: Case) -> None:
    source, segmentation, found = of(still)
    capture = make_capture(source, blanked(segmentation, blank=blank), found, anonymise=True)
    assert capture.BurnedInAnnotation == ("NO" if blank else "YES")
    assert capture.PatientIdentityRemoved == ("YES" if blank else "NO")
    assert ("DeidentificationMethod" in capture) == blank


def test_burned_in_annotation_without_regions(still: Case) -> None:
    assert make_capture(*of(still)).BurnedInAnnotation == "YES"


def test_a_repeated_run_makes_the_same_capture_and_another_frame_another(clip: Case, tmp_path: Path) -> None:
    when = datetime(2026, 3, 4)
    for name in ("a", "b"):
        write_object(tmp_path / f"{name}.dcm", make_capture(*of(clip), when=when))
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    first, third = make_capture(*of(clip)), make_capture(*of(clip, 2))
    assert first.SOPInstanceUID != third.SOPInstanceUID
    assert first.SeriesInstanceUID == third.SeriesInstanceUID


@pytest.mark.parametrize("case", ["still", "clip", "anonymous", "nothing"])
@pytest.mark.parametrize("anonymise", [False, True])
def test_dciodvfy_finds_no_error(
    case: str,
    anonymise: bool,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    dciodvfy: Callable[[Path], list[str]],
) -> None:
    write_object(tmp_path / "sc.dcm", make_capture(*of(request.getfixturevalue(case)), anonymise=anonymise))
    assert dciodvfy(tmp_path / "sc.dcm") == []
