"""SOP Instance UIDs follow from the content: one UID, one content (PS3.3 C.12.1.1)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest

from sonoseg.dicom.writing.capture import make_capture
from sonoseg.dicom.writing.seg import make_seg
from sonoseg.dicom.writing.sr import make_sr
from sonoseg.errors import OutputError
from sonoseg.image.calibration import UNCALIBRATED, Spacing
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inputs.reading_options import ReadingOptions
from sonoseg.lesions.measurement import Findings, measure
from sonoseg.results.journal import JOURNAL, recorded_fingerprint
from sonoseg.results.prediction_run import OutputOptions, PredictionRun

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    Make = Callable[..., Dataset]
    Case = tuple[Path, list[Segmentation], list[Findings]]


def _capture(
    source: Path, segmentations: list[Segmentation], findings: list[Findings], **options: Any
) -> Dataset:
    return make_capture(source, segmentations[0], findings[0], **options)


KINDS = pytest.mark.parametrize("make", [make_seg, make_sr, _capture])


def _measured(segmentation: Segmentation) -> tuple[list[Segmentation], list[Findings]]:
    return [segmentation], [measure(segmentation)]


@KINDS
@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.2},
        {"runtime": "openvino 2026.4.1 (CPU, int8)"},
        {"model": "compact (ba9876543210)"},
        {"settings_hash": "ba9876543210"},
    ],
)
def test_another_setting_makes_another_object(still: Case, make: Make, change: dict[str, Any]) -> None:
    source, (segmentation,), (found,) = still
    plain = make(source, [segmentation], [found])
    assert make(source, [replace(segmentation, **change)], [found]).SOPInstanceUID != plain.SOPInstanceUID


@KINDS
@pytest.mark.parametrize(
    "option", [{"anonymise": True}, {"algorithm": "MANUAL"}, {"algorithm": "SEMIAUTOMATIC"}]
)
def test_another_way_of_making_it_makes_another_object(
    still: Case, make: Make, option: dict[str, Any]
) -> None:
    assert make(*still, **option).SOPInstanceUID != make(*still).SOPInstanceUID


@KINDS
def test_one_pixel_makes_another_object(still: Case, make: Make) -> None:
    source, (segmentation,), _ = still
    mask = segmentation.mask.copy()
    row, column = np.argwhere(mask)[0]
    mask[row, column] = False
    plain = make(source, *_measured(segmentation))
    changed = make(source, *_measured(replace(segmentation, mask=mask)))
    assert changed.SOPInstanceUID != plain.SOPInstanceUID


def test_another_spacing_makes_another_report_of_the_same_segmentation(still: Case) -> None:
    source, (segmentation,), _ = still
    frame = replace(segmentation.frame, spacing=Spacing(0.2, 0.2), calibration=UNCALIBRATED)
    plain, other = _measured(segmentation), _measured(replace(segmentation, frame=frame))
    assert make_sr(source, *other).SOPInstanceUID != make_sr(source, *plain).SOPInstanceUID
    assert make_seg(source, *other).SOPInstanceUID == make_seg(source, *plain).SOPInstanceUID


@pytest.mark.parametrize("make", [make_seg, make_sr])
def test_another_choice_of_frames_makes_another_object(clip: Case, make: Make) -> None:
    source, segmentations, findings = clip
    fewer = make(source, segmentations[:2], findings[:2])
    assert fewer.SOPInstanceUID != make(source, segmentations, findings).SOPInstanceUID


@KINDS
def test_corrected_attributes_of_the_source_make_another_object(still: Case, make: Make) -> None:
    source, *rest = still
    before = make(source, *rest).SOPInstanceUID
    dataset = pydicom.dcmread(source)
    dataset.PatientID = "MF-1235"
    dataset.save_as(source)
    assert make(source, *rest).SOPInstanceUID != before


@KINDS
@pytest.mark.parametrize("anonymise", [False, True])
def test_the_time_of_creation_does_not_count(still: Case, make: Make, anonymise: bool) -> None:
    one = make(*still, anonymise=anonymise, when=datetime(2026, 5, 1, 10))
    other = make(*still, anonymise=anonymise, when=datetime(2027, 6, 2, 11))
    assert other.SOPInstanceUID == one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID
    assert anonymise or (one.ContentDate, other.ContentTime) == ("20260501", "110000")


def _run(source: Path, out: Path, **options: Any) -> tuple[str, dict[str, Dataset]]:
    """The settings' hash in results.json, and the objects by kind."""
    outputs = OutputOptions(seg=True, sr=True, capture=True)
    reading = ReadingOptions(keep_burned_in=True)
    done = PredictionRun([source], out, runtime="onnx", reading=reading, outputs=outputs, **options).execute()
    value = json.loads(done.summary.read_text("utf-8"))
    assert not value["refused"]
    files = value["images"][0]["files"]
    kinds = ("seg", "sr", "capture")
    return value["settings_hash"], {kind: pydicom.dcmread(out / files[kind]) for kind in kinds}


@pytest.mark.process
def test_results_objects_and_the_check_of_resume_name_the_same_settings(
    still: Case, dark_model: Path, tmp_path: Path
) -> None:
    source = still[0]
    settings, objects = _run(source, tmp_path / "a", model=dark_model)
    assert settings == Predictor(dark_model, runtime="onnx").settings_hash
    made_by = objects["seg"].SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert f"settings={settings}" in made_by.AlgorithmParameters
    texts = [one.value for one in objects["sr"].iterall() if one.keyword == "TextValue"]
    assert f"settings={settings}" in texts
    assert f"settings {settings}" in objects["capture"].DerivationDescription
    assert recorded_fingerprint(tmp_path / "a" / JOURNAL)["settings_hash"] == settings

    same, again = _run(source, tmp_path / "b", model=dark_model, batch=1)
    other, changed = _run(source, tmp_path / "c", model=dark_model, threshold=0.2)
    assert (same, other != settings) == (settings, True)
    for kind, one in objects.items():
        assert again[kind].SOPInstanceUID == one.SOPInstanceUID
        assert changed[kind].SOPInstanceUID != one.SOPInstanceUID
    with pytest.raises(OutputError, match="cannot resume: threshold was"):
        _run(source, tmp_path / "a", model=dark_model, threshold=0.2, resume=True)
