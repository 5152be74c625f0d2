"""COCO: read back by pycocotools, the format's own library."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from sonoseg import RESEARCH_ONLY
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.lesion_masks import lesion_masks
from sonoseg.lesions.measurement import Findings, measure, measure_mask
from sonoseg.results.coco import coco, coco_image


def found(*boxes: tuple[int, int, int, int], hole: bool = False) -> tuple[Segmentation, Findings]:
    mask = np.zeros((50, 70), dtype=bool)
    rows, columns = np.mgrid[:50, :70]
    for top, left, height, width in boxes:
        y, x = top + (height - 1) / 2, left + (width - 1) / 2
        mask |= ((rows - y) / height * 2) ** 2 + ((columns - x) / width * 2) ** 2 < 1
    if hole:
        mask[boxes[0][0] + boxes[0][2] // 2, boxes[0][1] + boxes[0][3] // 2] = False
    frame = Frame(np.full((50, 70), 90, dtype=np.uint8), source=Path("a.png"))
    segmentation = Segmentation(frame, mask * np.float32(0.75), mask, mask, 0.5, None, "m", "r")
    return segmentation, measure(segmentation)


CASES = [found((4, 5, 20, 30), (30, 40, 12, 14)), found(), found((10, 10, 30, 40), hole=True)]


def read(value: dict[str, Any], folder: Path) -> COCO:
    (folder / "coco.json").write_text(json.dumps(value))
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(folder / "coco.json")


@pytest.mark.parametrize("rle", [False, True])
def test_pycocotools_reads_every_mask_back(rle: bool, tmp_path: Path) -> None:
    data = read(coco(coco_image(*case, f"{k}.png", rle=rle) for k, case in enumerate(CASES)), tmp_path)
    assert data.getCatIds(catNms=["lesion"]) == [1]
    assert [image["file_name"] for image in data.loadImgs(data.getImgIds())] == ["0.png", "1.png", "2.png"]
    for number, (segmentation, findings) in enumerate(CASES, start=1):
        annotations = data.loadAnns(data.getAnnIds(imgIds=number))
        masks = lesion_masks(segmentation.mask, findings.lesions)
        assert [one["lesion"] for one in annotations] == [lesion.number for lesion in findings.lesions]
        for one, mask, lesion in zip(annotations, masks, findings.lesions, strict=True):
            assert np.array_equal(data.annToMask(one).astype(bool), mask)
            assert one["area"] == mask.sum()
            top, left, height, width = lesion.box
            assert one["bbox"] == [left, top, width, height]
            assert one["score"] == 0.75
            assert isinstance(one["segmentation"], dict) == (rle or number == 3)


def test_ids_run_over_all_images_and_the_notice_is_there() -> None:
    value = coco([coco_image(*CASES[0], "a.png"), coco_image(*CASES[0], "b.png")])
    assert [one["id"] for one in value["annotations"]] == [1, 2, 3, 4]
    assert [one["image_id"] for one in value["annotations"]] == [1, 1, 2, 2]
    assert all("annotations" not in image for image in value["images"])
    assert RESEARCH_ONLY in value["info"]["description"]


def test_a_frame_of_a_clip_and_a_mask_without_a_network() -> None:
    segmentation = CASES[0][0]
    frame = replace(segmentation.frame, index=4)
    findings = measure_mask(frame, segmentation.mask)
    image = coco_image(replace(segmentation, frame=frame), findings, "c.dcm")
    assert image["frame"] == 4
    assert image["annotations"][0]["score"] is None
    assert json.loads(json.dumps(image, allow_nan=False)) == image
