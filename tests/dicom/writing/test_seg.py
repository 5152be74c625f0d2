"""Segmentation objects: pixels, references, reproducible UIDs."""

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
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.utils import pack_bits, unpack_bits
from pydicom.uid import UltrasoundImageStorage, UltrasoundMultiFrameImageStorage

from sonoseg import __version__
from sonoseg.dicom.reading.segmentation import read_segments
from sonoseg.dicom.writing.attributes import write_object
from sonoseg.dicom.writing.codes import Category, Family, FindingCode, Side, Site
from sonoseg.dicom.writing.seg import BitPacker, make_seg
from sonoseg.errors import InputError, OutputError, ShapeError
from sonoseg.lesions.lesion_masks import lesion_masks

Case = tuple[Path, list[Any], list[Any]]
pytestmark = pytest.mark.filterwarnings("error")
WHEN = datetime(2026, 3, 4, 5, 6, 7)


def code(sequence: Any) -> tuple[str, str, str]:
    """The one item of a code sequence."""
    (item,) = sequence
    return item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning


def planes(dataset: Any) -> np.ndarray:
    """The frames of a segmentation object (N, H, W), one frame or many."""
    pixels = dataset.pixel_array
    return pixels if pixels.ndim == 3 else pixels[None]


def test_a_still_is_read_back_pixel_for_pixel(still: Case, tmp_path: Path) -> None:
    source, segmentations, findings = still
    written = write_object(tmp_path / "seg.dcm", make_seg(source, segmentations, findings))
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    masks = lesion_masks(segmentations[0].mask, findings[0].lesions)
    assert read.SOPInstanceUID == written
    assert read.SegmentationType == "BINARY"
    assert read.number_of_segments == len(masks) == 2
    pixels = read.get_pixels_by_source_instance([pydicom.dcmread(source).SOPInstanceUID])
    for number, mask in enumerate(masks):
        assert np.array_equal(pixels[0, :, :, number].astype(bool), mask)
    plain = pydicom.dcmread(tmp_path / "seg.dcm")
    assert np.array_equal(planes(plain).any(axis=0), segmentations[0].mask)


def test_seg_refers_to_its_source(still: Case) -> None:
    source, segmentations, findings = still
    seg, image = make_seg(source, segmentations, findings, when=WHEN), pydicom.dcmread(source)
    assert (seg.Rows, seg.Columns) == (image.Rows, image.Columns)
    assert seg.StudyInstanceUID == image.StudyInstanceUID
    assert seg.SeriesInstanceUID != image.SeriesInstanceUID
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == image.SeriesInstanceUID
    for item in [*series.ReferencedInstanceSequence, *seg.SourceImageSequence]:
        assert item.ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert item.ReferencedSOPClassUID == UltrasoundImageStorage
    for group in seg.PerFrameFunctionalGroupsSequence:
        (item,) = group.DerivationImageSequence[0].SourceImageSequence
        assert item.ReferencedSOPInstanceUID == image.SOPInstanceUID
        assert "ReferencedFrameNumber" not in item
    assert "FrameOfReferenceUID" not in seg
    assert (seg.SeriesNumber, seg.InstanceNumber) == (3901, 7)
    assert (seg.ContentDate, seg.ContentTime) == ("20260304", "050607")
    assert seg.ContentQualification == "RESEARCH"
    assert seg.ContentDescription == "Research software, not a medical device"


def test_every_segment_is_coded_and_tracked(still: Case) -> None:
    source, segmentations, findings = still
    seg = make_seg(source, segmentations, findings)
    for number, segment in enumerate(seg.SegmentSequence, start=1):
        assert (segment.SegmentNumber, segment.SegmentLabel) == (number, f"Lesion {number}")
        assert code(segment.SegmentedPropertyCategoryCodeSequence) == Category.ABNORMAL_STRUCTURE.value[:3]
        assert code(segment.SegmentedPropertyTypeCodeSequence) == FindingCode.LESION.value[:3]
        assert code(segment.AnatomicRegionSequence) == Site.BREAST.value[:3]
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        (made_by,) = segment.SegmentationAlgorithmIdentificationSequence
        assert made_by.AlgorithmName == "sonoseg compact"
        assert made_by.AlgorithmVersion == __version__
        assert "model=0123456789ab" in made_by.AlgorithmParameters
        assert code(made_by.AlgorithmFamilyCodeSequence) == Family.ARTIFICIAL_INTELLIGENCE.value[:3]
        assert segment.TrackingID == f"Lesion {number}"
    assert len({segment.TrackingUID for segment in seg.SegmentSequence}) == 2
    assert seg.DeviceSerialNumber == "0123456789ab"


def test_frames_of_a_clip_name_their_frame(clip: Case, tmp_path: Path) -> None:
    source, segmentations, findings = clip
    write_object(tmp_path / "seg.dcm", make_seg(source, segmentations, findings))
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    uid = pydicom.dcmread(source).SOPInstanceUID
    assert read.number_of_segments == 3
    expected = [
        (one.frame.index + 1, lesion.number, mask)
        for one, found in zip(segmentations, findings, strict=True)
        for lesion, mask in zip(found.lesions, lesion_masks(one.mask, found.lesions), strict=True)
    ]
    assert [(frame, number) for frame, number, _ in expected] == [(2, 1), (2, 2), (5, 1)]
    for place, (frame, number, mask) in enumerate(expected):
        group = read.PerFrameFunctionalGroupsSequence[place]
        (item,) = group.DerivationImageSequence[0].SourceImageSequence
        assert item.ReferencedFrameNumber == frame
        assert item.ReferencedSOPClassUID == UltrasoundMultiFrameImageStorage
        segment = read.SegmentSequence[group.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1]
        assert segment.SegmentLabel == f"Lesion {number}, frame {frame}"
        assert np.array_equal(planes(read)[place].astype(bool), mask)
    for item in [*read.ReferencedSeriesSequence[0].ReferencedInstanceSequence, *read.SourceImageSequence]:
        assert item.ReferencedSOPClassUID == UltrasoundMultiFrameImageStorage
    pixels = read.get_pixels_by_source_frame(uid, [2, 5])
    assert np.array_equal(pixels.any(axis=-1), np.stack([segmentations[k].mask for k in (0, 2)]))


def test_one_frame_of_a_clip_alone_names_its_frame(clip: Case) -> None:
    source, segmentations, findings = clip
    seg = make_seg(source, segmentations[2:], findings[2:])
    (group,) = seg.PerFrameFunctionalGroupsSequence
    assert group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber == 5
    assert seg.InstanceNumber == 70005


def test_probabilities_are_kept_within_a_255th(clip: Case, tmp_path: Path) -> None:
    source, segmentations, findings = clip
    write_object(tmp_path / "seg.dcm", make_seg(source, segmentations, findings, fractional=True))
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert (read.SegmentationType, read.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    assert read.number_of_segments == 3
    values = planes(read) / read.MaximumFractionalValue
    for value, one in zip(values, segmentations, strict=True):
        assert np.abs(value - one.probability).max() <= 0.5 / 255 + 1e-6
    assert all("TrackingUID" not in segment for segment in read.SegmentSequence)


def test_seg_without_a_lesion(nothing: Case, tmp_path: Path) -> None:
    source, segmentations, findings = nothing
    write_object(tmp_path / "seg.dcm", make_seg(source, segmentations, findings))
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    (segment,) = read.SegmentSequence
    assert segment.SegmentLabel == "No lesion found"
    assert not planes(read).any()
    assert "TrackingUID" not in segment


def test_a_repeated_run_makes_the_same_object(clip: Case, tmp_path: Path) -> None:
    source, segmentations, findings = clip
    for name in ("a", "b"):
        write_object(tmp_path / f"{name}.dcm", make_seg(source, segmentations, findings, when=WHEN))
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    later = make_seg(source, segmentations, findings, when=datetime(2027, 1, 1))
    assert later.SOPInstanceUID == pydicom.dcmread(tmp_path / "a.dcm").SOPInstanceUID


def test_another_model_mask_or_setting_makes_another_object(still: Case) -> None:
    source, (segmentation,), (found,) = still
    plain = make_seg(source, [segmentation], [found])
    other_model = replace(segmentation, model="compact (ba9876543210)")
    other_threshold = replace(segmentation, threshold=0.6)
    one_lesion = lesion_masks(segmentation.mask, found.lesions)[0]
    other_mask = replace(segmentation, mask=one_lesion), replace(found, lesions=found.lesions[:1])
    made = [
        plain,
        make_seg(source, [other_model], [found]),
        make_seg(source, [other_threshold], [found]),
        make_seg(source, [other_mask[0]], [other_mask[1]]),
        make_seg(source, [segmentation], [found], fractional=True),
        make_seg(source, [segmentation], [found], anonymise=True),
        make_seg(source, [segmentation], [found], algorithm="SEMIAUTOMATIC"),
    ]
    assert len({one.SOPInstanceUID for one in made}) == len(made)
    assert made[6].SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    series = {one.SeriesInstanceUID for one in made}
    assert len(series) == 2, "one series a source series and model"


@pytest.mark.parametrize(("said", "side"), [("R", Side.RIGHT), ("L", Side.LEFT), ("B", None), ("", None)])
def test_laterality(said: str, side: Side | None, tmp_path: Path, make_case: Callable[..., Case]) -> None:
    source, segmentations, findings = make_case(tmp_path, ImageLaterality=said)
    write_object(tmp_path / "seg.dcm", make_seg(source, segmentations, findings))
    (segment,) = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence
    region = segment.AnatomicRegionSequence[0]
    if side is None:
        assert "AnatomicRegionModifierSequence" not in region
    else:
        assert code(region.AnatomicRegionModifierSequence) == side.value[:3]


def test_a_file_of_another_body_part_is_not_called_breast(
    tmp_path: Path, make_case: Callable[..., Case]
) -> None:
    source, segmentations, findings = make_case(tmp_path, BodyPartExamined="HEART")
    (segment,) = make_seg(source, segmentations, findings).SegmentSequence
    assert "AnatomicRegionSequence" not in segment


@pytest.mark.parametrize("case", ["still", "clip", "anonymous", "nothing"])
@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("anonymise", [False, True])
def test_dciodvfy_finds_no_error(
    case: str,
    fractional: bool,
    anonymise: bool,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    dciodvfy: Callable[[Path], list[str]],
) -> None:
    source, segmentations, findings = request.getfixturevalue(case)
    path = tmp_path / "seg.dcm"
    write_object(path, make_seg(source, segmentations, findings, fractional=fractional, anonymise=anonymise))
    assert dciodvfy(path) == []


def test_segmentations_of_another_file_are_refused(still: Case, clip: Case, tmp_path: Path) -> None:
    source, (segmentation,), (found,) = still
    with pytest.raises(ShapeError, match="no segmentation"):
        make_seg(source, [], [])
    with pytest.raises(ShapeError, match="1 segmentations and 0 findings"):
        make_seg(source, [segmentation], [])
    with pytest.raises(ShapeError, match="is not in the mask"):
        make_seg(source, [replace(segmentation, mask=~segmentation.mask)], [found])
    with pytest.raises(ShapeError, match="frame 1 of a file of 1"):
        make_seg(source, clip[1][:1], clip[2][:1])
    with pytest.raises(ShapeError, match="given twice"):
        make_seg(clip[0], clip[1][:1] * 2, clip[2][:1] * 2)
    small = replace(segmentation, mask=segmentation.mask[:-1], frame=segmentation.frame)
    with pytest.raises(ShapeError, match="for an image of"):
        make_seg(source, [small], [found])


def test_source_without_uids_is_refused(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    source, segmentations, findings = make_case(tmp_path, StudyInstanceUID=None)
    with pytest.raises(InputError, match="StudyInstanceUID is missing or invalid"):
        make_seg(source, segmentations, findings)
    with pytest.raises(InputError, match="cannot be read"):
        make_seg(tmp_path / "absent.dcm", segmentations, findings)
    text = tmp_path / "text.dcm"
    text.write_text("no image at all")
    with pytest.raises(InputError):
        make_seg(text, segmentations, findings)


def test_a_failed_write_leaves_nothing(still: Case, tmp_path: Path) -> None:
    source, segmentations, findings = still
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_object(tmp_path / "file" / "seg.dcm", make_seg(source, segmentations, findings))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "still.dcm"]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_packed_bits_agree_with_pydicom(frames: int, height: int, width: int, seed: int) -> None:
    masks = np.random.default_rng(seed).random((frames, height, width)) < 0.5
    packer = BitPacker()
    for mask in masks:
        packer.add(mask)
    data = packer.packed()
    assert len(data) % 2 == 0
    assert data == pack_bits(masks.astype(np.uint8).ravel(), pad=True)
    assert np.array_equal(unpack_bits(data)[: masks.size].reshape(masks.shape), masks)


def test_it_is_read_as_a_mask(still: Case, tmp_path: Path) -> None:
    """What `sonoseg measure` reads: the lesions, each by its number."""
    source, segmentations, findings = still
    write_object(tmp_path / "seg.dcm", make_seg(source, segmentations, findings))
    labels, spacing = read_segments(tmp_path / "seg.dcm")
    for number, mask in enumerate(lesion_masks(segmentations[0].mask, findings[0].lesions), start=1):
        assert np.array_equal(labels == number, mask)
    assert spacing is None  # ultrasound images have none outside of their regions


def test_a_clip_is_not_read_as_a_mask(clip: Case, tmp_path: Path) -> None:
    source, segmentations, findings = clip
    write_object(tmp_path / "seg.dcm", make_seg(source, segmentations, findings))
    with pytest.raises(InputError, match="not all of one image"):
        read_segments(tmp_path / "seg.dcm")
