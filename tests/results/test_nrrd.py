"""NRRD: read back by another reader (pynrrd), with the fields that 3D Slicer asks for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nrrd import read_data, read_header

from sonoseg.data.mask_reading import read_mask_file
from sonoseg.errors import ShapeError
from sonoseg.image.calibration import Box, Calibration, Region, Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import Findings, measure
from sonoseg.results.nrrd import nrrd

BOXES = [(5, 6, 20, 30), (40, 50, 10, 12)]


def found(
    *boxes: tuple[int, int, int, int],
    spacing: Spacing | None = None,
    shape: tuple[int, int] = (60, 80),
    calibration: Calibration | None = None,
) -> tuple[Segmentation, Findings]:
    mask = np.zeros(shape, dtype=bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    calibration = calibration or Calibration.of(spacing)
    frame = Frame(np.full(shape, 90, dtype=np.uint8), source=Path("a.png"), calibration=calibration)
    segmentation = Segmentation(frame, mask * np.float32(0.75), mask, mask, 0.5, None, "m (0123456)", "r")
    return segmentation, measure(segmentation)


def read(content: bytes) -> tuple[dict[str, Any], np.ndarray]:
    file = io.BytesIO(content)
    header = read_header(file)
    return header, read_data(header, file, index_order="F")


def test_labels_and_spacing_are_read_back() -> None:
    segmentation, findings = found(*BOXES, spacing=Spacing(0.08, 0.1))
    header, labels = read(nrrd(segmentation, findings))
    assert labels.shape == (80, 60, 1)
    for lesion in findings.lesions:
        top, left, height, width = lesion.box
        assert (labels[left : left + width, top : top + height, 0] == lesion.number).all()
    assert np.array_equal(labels[:, :, 0].T > 0, segmentation.mask)
    assert np.allclose(header["space directions"], [[0.1, 0, 0], [0, 0.08, 0], [0, 0, 1]])
    assert header["space"] == "left-posterior-superior"
    assert header["space units"] == ["mm", "mm", "mm"]
    assert header["kinds"] == ["domain", "domain", "domain"]
    assert header["type"] == "uint8"


def test_the_segments_are_named_as_slicer_reads_them() -> None:
    header, _ = read(nrrd(*found(*BOXES)))
    for place in (0, 1):
        assert header[f"Segment{place}_Name"] == f"Lesion {place + 1}"
        assert header[f"Segment{place}_LabelValue"] == str(place + 1)
        assert header[f"Segment{place}_Layer"] == "0"
        assert header[f"Segment{place}_Extent"] == "0 79 0 59 0 0"
        assert len(header[f"Segment{place}_Color"].split()) == 3
        assert "SCT^52988006^Lesion" in header[f"Segment{place}_Tags"]
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert "Research software" in nrrd(*found(*BOXES)).split(b"\n\n")[0].decode()


def test_a_regions_spacing_serves_where_all_lesions_lie_in_it() -> None:
    inside = Region(Box(0, 0, 60, 80), Spacing(0.2, 0.3))
    split = (Region(Box(0, 0, 30, 80), Spacing(0.2, 0.3)), Region(Box(30, 0, 30, 80), Spacing(0.4, 0.4)))
    header, _ = read(nrrd(*found(*BOXES, calibration=Calibration(reason="two", regions=(inside,)))))
    assert np.allclose(np.diag(header["space directions"]), [0.3, 0.2, 1])
    header, _ = read(nrrd(*found(*BOXES, calibration=Calibration(reason="two", regions=split))))
    assert header["space units"] == ["pixel"] * 3


def test_an_unknown_spacing_is_said_and_no_lesion_is_an_empty_map() -> None:
    header, labels = read(nrrd(*found()))
    assert header["space units"] == ["pixel"] * 3
    assert np.allclose(np.diag(header["space directions"]), 1)
    assert not labels.any()
    assert "Segment0_ID" not in header


@pytest.mark.process
def test_many_lesions_take_two_bytes() -> None:
    boxes = [(3 * (k // 20), 3 * (k % 20), 2, 2) for k in range(300)]
    header, labels = read(nrrd(*found(*boxes)))
    assert header["type"] == "uint16"
    assert len(np.unique(labels)) == 301


def test_the_same_mask_gives_the_same_bytes() -> None:
    assert nrrd(*found(*BOXES)) == nrrd(*found(*BOXES))


def test_findings_of_another_mask_are_refused() -> None:
    with pytest.raises(ShapeError):
        nrrd(found(BOXES[0])[0], found(BOXES[1])[1])


@pytest.mark.parametrize("spacing", [Spacing(0.08, 0.1), None])
def test_it_is_read_as_a_mask(tmp_path: Path, spacing: Spacing | None) -> None:
    segmentation, findings = found(*BOXES, (70, 60, 1, 1), spacing=spacing, shape=(90, 80))
    (tmp_path / "a.seg.nrrd").write_bytes(nrrd(segmentation, findings))
    file = read_mask_file(tmp_path / "a.seg.nrrd")
    assert np.array_equal(file.lesion, segmentation.mask)
    assert file.spacing == spacing
    assert [int((file.values == lesion.number).sum()) for lesion in findings.lesions] == [600, 120, 1]
