"""Results as COCO annotations (Lin et al., 2014; format: cocodataset.org, "object detection")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.image.contours import contours, run_lengths
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.lesion_masks import lesion_masks
from sonoseg.lesions.measurement import Findings

CATEGORY = {"id": 1, "name": "lesion", "supercategory": "finding"}


def coco_image(
    segmentation: Segmentation, findings: Findings, file: str, *, rle: bool = False
) -> dict[str, Any]:
    """Describe one image with its annotations, without ids, as a JSON object.

    file: the path of the image for annotation tools.
    rle: run lengths instead of polygons. A lesion with a hole always has them: polygons have no holes.

    Positions and sizes are in pixels, (0, 0) is the outer corner of the first pixel. `bbox` is x, y, width,
    height; `area` counts pixels; `score` is the lesion's mean probability, null without a network.
    """
    height, width = segmentation.mask.shape
    annotations = []
    masks = lesion_masks(segmentation.mask, findings.lesions)
    for lesion, mask in zip(findings.lesions, masks, strict=True):
        borders = contours(mask)
        shape: Any = [border.points.ravel().tolist() for border in borders]
        if rle or any(border.hole for border in borders):
            shape = {"size": [height, width], "counts": run_lengths(mask)}
        top, left, tall, wide = lesion.box
        score = lesion.mean_probability
        annotations.append(
            {
                "category_id": CATEGORY["id"],
                "lesion": lesion.number,
                "bbox": [left, top, wide, tall],
                "area": lesion.pixels,
                "iscrowd": 0,
                "score": None if score != score else round(score, 6),
                "segmentation": shape,
            }
        )
    frame = segmentation.frame.index
    return {
        "file_name": file,
        "height": height,
        "width": width,
        **({} if frame is None else {"frame": frame}),
        "annotations": annotations,
    }


def coco(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Assemble the data set from the results of `coco_image`, numbered from 1 in their order."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(entries, start=1):
        images.append({"id": number} | {key: image[key] for key in image if key != "annotations"})
        for one in image["annotations"]:
            annotations.append({"id": len(annotations) + 1, "image_id": number, **one})
    return {
        "info": {"description": f"Lesions found by sonoseg. {RESEARCH_ONLY}", "version": __version__},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [CATEGORY],
    }
