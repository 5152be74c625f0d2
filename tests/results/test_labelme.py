"""LabelMe: the keys its reader needs, polygons within a pixel of the mask."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy import ndimage

from sonoseg import RESEARCH_ONLY
from sonoseg.image.contours import Contour, fill
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import measure
from sonoseg.results.labelme import labelme


def segmentation(*, hole: bool = False) -> Segmentation:
    rows, columns = np.mgrid[:80, :100]
    mask = ((rows - 40) / 25) ** 2 + ((columns - 35) / 30) ** 2 < 1
    mask |= (rows - 60) ** 2 + (columns - 85) ** 2 < 90
    if hole:
        mask[38:42, 33:37] = False
    frame = Frame(np.full((80, 100), 90, dtype=np.uint8), source=Path("a.png"))
    return Segmentation(frame, mask * np.float32(0.75), mask, mask, 0.5, None, "m", "r")


def test_it_holds_what_labelme_reads() -> None:
    found = segmentation()
    value = labelme(found, measure(found), "../images/a.png")
    assert json.loads(json.dumps(value)) == value
    assert {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"} <= set(value)
    assert (value["imageHeight"], value["imageWidth"]) == (80, 100)
    assert value["imagePath"] == "../images/a.png"
    assert value["notice"] == RESEARCH_ONLY
    assert [shape["group_id"] for shape in value["shapes"]] == [1, 2]
    for shape in value["shapes"]:
        assert (shape["label"], shape["shape_type"]) == ("lesion", "polygon")
        assert {"points", "flags", "description", "mask"} <= set(shape)
        assert len(shape["points"]) >= 3


def test_the_polygons_give_the_mask_back_within_a_pixel() -> None:
    found = segmentation()
    shapes = labelme(found, measure(found), "a.png")["shapes"]
    drawn = fill([Contour(np.array(shape["points"]), False) for shape in shapes], (80, 100))
    cross = ndimage.generate_binary_structure(2, 1)
    edge = ndimage.binary_dilation(found.mask, cross) & ~ndimage.binary_erosion(found.mask, cross)
    assert not ((drawn ^ found.mask) & ~edge).any()
    exact = labelme(found, measure(found), "a.png", tolerance=0)["shapes"]
    assert sum(len(shape["points"]) for shape in exact) > 2 * sum(len(shape["points"]) for shape in shapes)
    drawn = fill([Contour(np.array(shape["points"]), False) for shape in exact], (80, 100))
    assert np.array_equal(drawn, found.mask)


def test_a_hole_is_not_a_lesion() -> None:
    found = segmentation(hole=True)
    assert [shape["group_id"] for shape in labelme(found, measure(found), "a.png")["shapes"]] == [1, 2]


def test_no_lesion_is_no_shape() -> None:
    frame = Frame(np.zeros((20, 20), dtype=np.uint8))
    none = np.zeros((20, 20), dtype=bool)
    found = Segmentation(frame, none * np.float32(0), none, none, 0.5, None, "m", "r")
    assert labelme(found, measure(found), "a.png")["shapes"] == []
