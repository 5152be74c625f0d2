"""The lesions of a Segmentation, measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sonoseg.findings.geometry import breadth_across, convex_hull, edge_points, longest_axis
from sonoseg.imaging.frame import Spacing
from sonoseg.inference.segmentation import Segmentation

Unit = Literal["mm", "px"]

_EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Lesion:
    """One lesion: an 8-connected component of the mask. Lengths in the Findings' unit, areas in its square.

    number: from 1, the largest first.
    width, height: of the upright box around it, along columns and rows.
    longest_axis: the greatest distance between two points of its outline.
    perpendicular: its whole extent at right angles to the longest axis.
    equivalent_diameter: of the disc of the same area.
    mean_probability, peak_probability: of its pixels, 0..1.
    Places are in pixels of the frame, whatever the unit, (row, column), pixel centres at whole numbers:
    longest_axis_ends: the axis' two end points.
    centroid: the mean of its pixels' centres.
    box: the upright box as (top, left, height, width).
    pixels: how many it has.
    """

    number: int
    area: float
    width: float
    height: float
    longest_axis: float
    perpendicular: float
    equivalent_diameter: float
    mean_probability: float
    peak_probability: float
    longest_axis_ends: tuple[tuple[float, float], tuple[float, float]]
    centroid: tuple[float, float]
    box: tuple[int, int, int, int]
    pixels: int


@dataclass(frozen=True)
class Findings:
    """The lesions of one frame, the largest first.

    name: the frame's.
    unit: "mm" where the frame carries a spacing, else "px".
    share: of the picture's pixels that are lesion, 0..1.
    """

    name: str
    unit: Unit
    share: float
    lesions: tuple[Lesion, ...]


def measure(segmentation: Segmentation) -> Findings:
    """Measure each lesion of a segmentation's mask, on the frame's own grid.

    Sizes are in millimetres where the frame carries a spacing (rows and columns kept apart), else in pixels.
    """
    frame = segmentation.frame
    labels, _ = ndimage.label(segmentation.mask, structure=_EIGHT)
    lesions = [
        _lesion(labels[box] == number, box, segmentation.probability[box], frame.spacing)
        for number, box in enumerate(ndimage.find_objects(labels), start=1)
    ]
    lesions.sort(key=lambda lesion: (-lesion.pixels, lesion.box))
    return Findings(
        name=frame.name,
        unit="px" if frame.spacing is None else "mm",
        share=float(segmentation.mask.mean()),
        lesions=tuple(replace(lesion, number=number) for number, lesion in enumerate(lesions, start=1)),
    )


def _lesion(
    mask: NDArray[np.bool_],
    place: tuple[slice, slice],
    probability: NDArray[np.float32],
    spacing: Spacing | None,
) -> Lesion:
    """Measure one component. mask, probability: (h, w), cut to its box; place: where the box lies."""
    down, right = spacing or (1.0, 1.0)
    top, left = int(place[0].start), int(place[1].start)
    height, width = mask.shape
    hull = convex_hull(edge_points(mask) * (down, right))
    ends, longest = longest_axis(hull)
    (r0, c0), (r1, c1) = ends / (down, right) + (top, left)
    pixels = int(mask.sum())
    area = pixels * down * right
    rows, columns = np.nonzero(mask)
    inside = probability[mask]
    return Lesion(
        number=0,
        area=area,
        width=width * right,
        height=height * down,
        longest_axis=longest,
        perpendicular=breadth_across(hull, ends),
        equivalent_diameter=2 * math.sqrt(area / math.pi),
        mean_probability=float(inside.mean(dtype=np.float64)),
        peak_probability=float(inside.max()),
        longest_axis_ends=((float(r0), float(c0)), (float(r1), float(c1))),
        centroid=(top + float(rows.mean()), left + float(columns.mean())),
        box=(top, left, height, width),
        pixels=pixels,
    )
