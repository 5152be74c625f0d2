"""Segmentation objects of other programs, and those that are not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
)

from sonoseg.dicom.reading.segmentation import read_segments
from sonoseg.errors import InputError
from sonoseg.image.calibration import Spacing

SHAPE = (21, 13)  # 273 pixels: frames begin within a byte


def masks(*boxes: tuple[int, int, int, int]) -> list[Any]:
    found = []
    for top, left, height, width in boxes:
        mask = np.zeros(SHAPE, np.uint8)
        mask[top : top + height, left : left + width] = 1
        found.append(mask)
    return found


TWO = masks((1, 1, 5, 6), (8, 3, 10, 9))


def seg(
    path: Path,
    frames: list[Any],
    *,
    numbers: list[int] | None = None,
    sources: list[str] | None = None,
    syntax: UID = ExplicitVRLittleEndian,
    spacing: Any = None,
    **values: Any,
) -> Path:
    """A file with a frame for each segment. sources: the image of each frame."""
    item = Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = syntax
    item.file_meta.MediaStorageSOPClassUID = item.SOPClassUID = SegmentationStorage
    item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID = "1.2.3"
    item.Rows, item.Columns = SHAPE
    item.NumberOfFrames, item.BitsAllocated, item.BitsStored = len(frames), 1, 1
    item.SegmentationType = "BINARY"
    shared = Dataset()
    if spacing is not None:
        measures = Dataset()
        measures.PixelSpacing = spacing
        shared.PixelMeasuresSequence = [measures]
    item.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for index in range(len(frames)):
        group, number = Dataset(), Dataset()
        number.ReferencedSegmentNumber = (numbers or range(1, 99))[index]
        group.SegmentIdentificationSequence = [number]
        if sources:
            image, derivation = Dataset(), Dataset()
            image.ReferencedSOPInstanceUID = sources[index]
            derivation.SourceImageSequence = [image]
            group.DerivationImageSequence = [derivation]
        groups.append(group)
    item.PerFrameFunctionalGroupsSequence = groups
    item.PixelData = pack_bits(np.stack(frames))
    for keyword, value in values.items():
        setattr(item, keyword, value)
    item.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("numbers", [[1, 2], [2, 1], [7, 300]])
def test_segments_are_numbered(tmp_path: Path, syntax: UID, numbers: list[int]) -> None:
    path = seg(tmp_path / "a.dcm", TWO, numbers=numbers, sources=["1.5", "1.5"], syntax=syntax)
    labels, spacing = read_segments(path)
    assert np.array_equal(labels, TWO[0] * numbers[0] + TWO[1].astype(int) * numbers[1])
    assert spacing is None


def test_pixel_spacing(tmp_path: Path) -> None:
    assert read_segments(seg(tmp_path / "a.dcm", TWO, spacing=[0.08, 0.1]))[1] == Spacing(0.08, 0.1)
    assert read_segments(seg(tmp_path / "b.dcm", TWO, spacing=[0, 0]))[1] is None
    assert read_segments(seg(tmp_path / "c.dcm", TWO, spacing=0.1))[1] is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SegmentationType": "FRACTIONAL"}, "of the type FRACTIONAL"),
        ({"sources": ["1.5", "1.6"]}, "2 frames, not all of one image"),
        ({"numbers": [1, 1]}, "2 frames, not all of one image"),
        ({"NumberOfFrames": 1}, "1 frames, not all of one image"),
        ({"NumberOfFrames": 0}, "pixel data is truncated"),
        ({"BitsAllocated": 8}, "BINARY with 8 bits"),
        ({"NumberOfFrames": 3}, "pixel data is truncated"),
        ({"Rows": 60000, "Columns": 60000}, "truncated or too large"),
        ({"frames": masks((1, 1, 5, 6), (5, 5, 3, 3))}, "segments overlap"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"}, "not a segmentation object"),
        ({"syntax": RLELossless}, "compressed"),
        ({"syntax": DeflatedExplicitVRLittleEndian}, "compressed"),
    ],
)
def test_what_is_not_read(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    given = {"frames": TWO} | changes
    frames = given.pop("frames")
    if given.get("syntax") == RLELossless:
        from pydicom.encaps import encapsulate

        given["PixelData"] = encapsulate([b"\0" * 64])
    with pytest.raises(InputError, match=named):
        read_segments(seg(tmp_path / "a.dcm", frames, **given))


@pytest.mark.parametrize(
    "keyword",
    ["SegmentationType", "Rows", "PerFrameFunctionalGroupsSequence", "PixelData", "NumberOfFrames"],
)
def test_missing_attributes_are_damage(tmp_path: Path, keyword: str) -> None:
    path = seg(tmp_path / "a.dcm", TWO)
    dataset = dcmread(path)
    del dataset[keyword]
    dataset.save_as(path)
    with pytest.raises(InputError, match="damaged, or lacks attributes"):
        read_segments(path)


def test_cut_files_are_refused(tmp_path: Path) -> None:
    whole = seg(tmp_path / "a.dcm", TWO).read_bytes()
    for cut in range(140, len(whole) - 4, 17):
        (tmp_path / "b.dcm").write_bytes(whole[:cut])
        with pytest.raises(InputError):
            read_segments(tmp_path / "b.dcm")
