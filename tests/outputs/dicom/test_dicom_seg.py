"""Segmentation objects: read back pixel for pixel, aligned with their source, the same when made again."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pydicom

from sonoseg.outputs.lesions import lesion_masks
from sonoseg.outputs.dicom.seg import write_seg

Case = tuple[Path, list, list]


def test_a_still_is_read_back_pixel_for_pixel(still: Case, tmp_path: Path) -> None:
    source, segmentations, findings = still
    write_seg(tmp_path / "seg.dcm", source, segmentations, findings)
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    masks = lesion_masks(segmentations[0].mask, findings[0].lesions)
    assert read.SegmentationType == "BINARY"
    assert read.number_of_segments == len(masks) == 2
    pixels = read.get_pixels_by_source_instance([pydicom.dcmread(source).SOPInstanceUID])
    for number, mask in enumerate(masks):
        assert np.array_equal(pixels[0, :, :, number].astype(bool), mask)
