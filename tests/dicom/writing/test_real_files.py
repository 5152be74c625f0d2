"""Objects for real files, and for a source made by other programs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from sonoseg.dicom.writing.attributes import write_object
from sonoseg.dicom.writing.capture import make_capture
from sonoseg.dicom.writing.seg import make_seg
from sonoseg.dicom.writing.sr import make_sr
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inputs.frame_list import list_frames, read
from sonoseg.lesions.measurement import measure

FILES = ("breast-1", "breast-2", "breast-3", "cine-8-frames", "palette-3-regions")


@pytest.mark.real
@pytest.mark.filterwarnings("error", "ignore::sonoseg.errors.SonosegWarning")
@pytest.mark.parametrize("name", FILES)
def test_a_real_file_gets_its_objects(
    name: str, real_data: Path, tmp_path: Path, dciodvfy: Callable[[Path], list[str]]
) -> None:
    source = real_data / "dicom" / f"{name}.dcm"
    frames = [read(ref, keep_burned_in=True) for ref in list_frames(source, keep_burned_in=True)]
    found = []
    for frame in frames[-2:]:
        mask = np.zeros(frame.shape, dtype=bool)
        mask[150:190, 120:200] = True
        mask[100:120, 130:150] = frame.index != 6
        probability = mask.astype(np.float32) * np.float32(0.8)
        found.append(Segmentation(frame, probability, mask, mask, 0.5, None, "m (0123456)", "r"))
    findings = [measure(one) for one in found]
    write_object(tmp_path / "seg.dcm", make_seg(source, found, findings))
    write_object(tmp_path / "fractional.dcm", make_seg(source, found, findings, fractional=True))
    write_object(tmp_path / "sr.dcm", make_sr(source, found, findings, seg=tmp_path / "seg.dcm"))
    write_object(tmp_path / "capture.dcm", make_capture(source, found[-1], findings[-1]))
    for path in tmp_path.iterdir():
        assert dciodvfy(path) == [], path.name

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom finds the source's character set odd; our writers are quiet
        image = pydicom.dcmread(source)
    seg = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert (seg.Rows, seg.Columns) == (image.Rows, image.Columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert str(seg.PatientName) == str(image.get("PatientName", ""))
    planes = seg.pixel_array.reshape(-1, image.Rows, image.Columns).astype(bool)
    numbers = [
        group.DerivationImageSequence[0].SourceImageSequence[0].get("ReferencedFrameNumber")
        for group in seg.PerFrameFunctionalGroupsSequence
    ]
    for one in found:
        number = None if "NumberOfFrames" not in image else (one.frame.index or 0) + 1
        lies = [plane for plane, at in zip(planes, numbers, strict=True) if at == number]
        assert np.array_equal(np.logical_or.reduce(lies), one.mask)
    report = highdicom.sr.srread(tmp_path / "sr.dcm")
    groups = report.content.get_planar_roi_measurement_groups()
    assert len(groups) == sum(len(one.lesions) for one in findings)
    units = {one.unit.value for group in groups for one in group.get_measurements()}
    lengths = {lesion.unit for one in findings for lesion in one.lesions}
    assert units == ({"{pixels}"} if lengths == {"px"} else {"mm", "mm2"})
