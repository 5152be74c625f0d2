"""Results as LabelMe annotations, one file for each image, to edit."""

from __future__ import annotations

from typing import Any

import numpy as np

from sonoseg import RESEARCH_ONLY
from sonoseg.image.contours import contours
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.lesion_masks import lesion_masks
from sonoseg.lesions.measurement import Findings

VERSION = "5.5.0"
"""The version of LabelMe whose file format this is."""

TOLERANCE = 0.75
"""Pixels that a dropped point may lie off the outline: enough to remove pixel stairs (0.71)."""


def labelme(
    segmentation: Segmentation, findings: Findings, image: str, *, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Describe an image's lesions as LabelMe polygons.

    image: the image's path relative to the JSON file, with /; a raster image of the same size.
    tolerance: see `contours`; 0 keeps every pixel's corner.

    A lesion is one outer polygon, as LabelMe has no holes; the group is the lesion's number.
    """
    height, width = segmentation.mask.shape
    masks = lesion_masks(segmentation.mask, findings.lesions)
    shapes = [
        {
            "label": "lesion",
            "points": np.round(border.points, 2).tolist(),
            "group_id": lesion.number,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for lesion, mask in zip(findings.lesions, masks, strict=True)
        for border in contours(mask, tolerance=tolerance)
        if not border.hole
    ]
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
        "notice": RESEARCH_ONLY,
    }
