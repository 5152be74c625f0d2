"""Frames read one after the other, and tracking UIDs shared by all objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from sonoseg.dicom.writing.attributes import read_source
from sonoseg.dicom.writing.seg import make_seg
from sonoseg.dicom.writing.segmented_frames import each_frame, tracking
from sonoseg.dicom.writing.sr import make_sr
from sonoseg.lesions.lesion_masks import lesion_masks

Case = tuple[Path, list[Any], list[Any]]


class Counted(Sequence[Any]):
    """A sequence that counts how often each of its items is asked for."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items, self.asked = items, [0] * len(items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: Any) -> Any:
        self.asked[place] += 1
        return self.items[place]


@pytest.mark.parametrize("make", [make_seg, make_sr])
def test_each_frame_is_read_once(make: Callable[..., Any], clip: Case) -> None:
    source, segmentations, findings = clip
    segmentations, findings = Counted(segmentations), Counted(findings)
    make(source, segmentations, findings)
    assert segmentations.asked == [2, 1, 1]  # the first one says the model, too
    assert findings.asked == [1, 1, 1]


@pytest.mark.process
def test_many_segments_each_name_their_frame(tmp_path: Path, make_case: Callable[..., Case]) -> None:
    source, (segmentation,), _ = make_case(tmp_path, frames=30)
    from sonoseg.lesions.measurement import measure

    found = [
        replace(segmentation, frame=replace(segmentation.frame, index=k), mask=np.roll(segmentation.mask, k))
        for k in range(30)
    ]
    seg = make_seg(source, found, [measure(one) for one in found])
    assert seg.NumberOfFrames == len(seg.SegmentSequence) == 30
    assert seg.SegmentsOverlap == "UNDEFINED"
    numbers = [
        (
            group.SegmentIdentificationSequence[0].ReferencedSegmentNumber,
            group.FrameContentSequence[0].DimensionIndexValues,
            group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber,
        )
        for group in seg.PerFrameFunctionalGroupsSequence
    ]
    assert numbers == [(k, k, k) for k in range(1, 31)]
    pixels = pydicom.dcmread(pydicom.filebase.DicomBytesIO(_bytes(seg))).pixel_array
    assert np.array_equal(pixels.astype(bool), np.stack([one.mask for one in found]))


def _bytes(dataset: Any) -> bytes:
    from sonoseg.dicom.writing.attributes import encode

    return encode(dataset)


def test_a_tracking_uid_follows_from_source_frame_model_and_pixels(clip: Case) -> None:
    source, segmentations, findings = clip
    header = read_source(source)
    uids = set()
    for model in ("m (0123456)", "m (1234567)"):
        found = [replace(one, model=model) for one in segmentations]
        for frame in each_frame(header, found, findings):
            for lesion, mask in zip(frame.findings.lesions, frame.masks, strict=True):
                uids.add(tracking(header, frame, lesion, mask)[1])
    assert len(uids) == 6


def test_masks_of_lesions_are_the_components_in_their_order(still: Case) -> None:
    _, (segmentation,), (found,) = still
    masks = lesion_masks(segmentation.mask, found.lesions)
    assert [int(mask.sum()) for mask in masks] == [lesion.pixels for lesion in found.lesions]
    assert np.array_equal(np.logical_or.reduce(masks), segmentation.mask)
    assert not np.logical_and(*masks).any()


def test_two_lesions_of_the_same_box_and_size_are_two(still: Case) -> None:
    from sonoseg.lesions.measurement import measure

    mask = np.zeros((60, 83), dtype=bool)
    mask[10:20, 10] = mask[10, 10:18] = True  # two hooks, one in the other's box
    mask[12:22, 20] = mask[21, 12:20] = True
    _, (segmentation,), _ = still
    segmentation = replace(segmentation, mask=mask)
    lesions = measure(segmentation).lesions
    masks = lesion_masks(mask, lesions)
    assert len(masks) == 2
    assert not np.logical_and(*masks).any()
