"""The lesions of a Segmentation, measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError
from sonoseg.image.calibration import Box, LocalSpacing
from sonoseg.image.components import boxes, label
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.uncertainty import lesion_uncertainty
from sonoseg.lesions.birads import EchoLevel, Orientation, Posterior
from sonoseg.lesions.echo import echo_of
from sonoseg.lesions.geometry import convex_hull, edge_points, longest_axis, perpendicular
from sonoseg.lesions.orientation import angle_to_skin, orientation_of
from sonoseg.lesions.outline import outline, smooth_outline
from sonoseg.lesions.posterior_features import posterior_of
from sonoseg.lesions.shape import shape_of
from sonoseg.lesions.surroundings import Surroundings, surroundings, top_of

Unit = Literal["mm", "px"]
Ends = tuple[tuple[float, float], tuple[float, float]]

PLANE_NOTE = (
    "One image shows two of a lesion's three dimensions; the third needs a view at right angles to it."
)


@dataclass(frozen=True)
class Lesion:
    """One lesion: an 8-connected component of the mask. docs/measuring.md has definitions and sources.

    number: from 1, the largest first.
    unit: of its lengths, "mm" or "px"; areas are in its square.
    local_spacing: the pixel spacing at the lesion, its origin, and the reason where there is none.
    longest_axis: the greatest distance between two points of its outline.
    perpendicular: the longest chord perpendicular to it, of the hull of the smoothed outline.
    width, height: of the upright box around it, along columns and rows.
    height_width_ratio: height / width.
    angle: of the longest axis to the skin line (the image's rows), degrees, 0..90.
    orientation: parallel to the skin line or not, by the rule of orientation.py.
    area: of its pixels. perimeter: of its smoothed outer outline.
    equivalent_diameter: of the disc of the same area.
    depth: of its uppermost row below the top of the scan region that holds it, or of the frame: a proxy for
        the distance from the skin; 0 where it extends above the region.
    circularity, solidity, margin_smoothness: 0..1, 1 for a disc, a convex outline, a margin without lobes.
    echo_contrast: median grey of the lesion minus that of the ring around it, -255..255; echo_level: its
        BI-RADS category. posterior_contrast: mean grey below the lesion minus that beside it, -255..255;
        posterior: its BI-RADS category. The four are None where too little tissue is visible, or without an
        image.
    mean_probability, peak_probability: of its pixels, 0..1. uncertainty: of its outline, 0 certain ..
        1 uncertain. NaN for a mask that no network made.
    Positions are in pixels of the frame, whatever the unit, (row, column), pixel centres at integers:
    longest_axis_ends, perpendicular_ends: the axes' end points.
    centroid: the mean of its pixels' centres.
    box: the upright box as (top, left, height, width).
    pixels: their number.
    """

    number: int
    unit: Unit
    local_spacing: LocalSpacing
    longest_axis: float
    perpendicular: float
    width: float
    height: float
    height_width_ratio: float
    angle: float
    orientation: Orientation
    area: float
    perimeter: float
    equivalent_diameter: float
    depth: float
    circularity: float
    solidity: float
    margin_smoothness: float
    echo_contrast: float | None
    echo_level: EchoLevel | None
    posterior_contrast: float | None
    posterior: Posterior | None
    mean_probability: float
    peak_probability: float
    uncertainty: float
    longest_axis_ends: Ends
    perpendicular_ends: Ends
    centroid: tuple[float, float]
    box: tuple[int, int, int, int]
    pixels: int


@dataclass(frozen=True)
class Findings:
    """The lesions of one frame, the largest first.

    name: the frame's.
    unit: "mm" where every lesion is in mm (without lesions: where the frame has a spacing), else "px".
    share: the fraction of lesion pixels, 0..1.
    plane_note: the limitation of a single plane.
    assessable: False for an image without contrast, of which no lesion found means nothing.
    warnings: what is uncertain about the image, as messages (see Frame.warnings).
    """

    name: str
    unit: Unit
    share: float
    lesions: tuple[Lesion, ...]
    plane_note: str = PLANE_NOTE
    assessable: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """The distinct reasons why sizes are not in mm; empty where all are."""
        return tuple(
            dict.fromkeys(lesion.local_spacing.reason for lesion in self.lesions if lesion.unit == "px")
        )


UNLIKE_TRAINING = (
    "the image is unlike the images that the model was trained on: it may not be breast ultrasound, and the "
    "result may be meaningless"
)


def measure(segmentation: Segmentation) -> Findings:
    """Measure each lesion of a segmentation's mask, on the frame's own grid.

    Sizes are in millimetres where the frame's calibration holds at the lesion (rows and columns kept apart),
    else in pixels.
    """
    found = _measure(
        segmentation.frame, segmentation.mask, segmentation.probability, segmentation.threshold, image=True
    )
    return replace(found, warnings=(*found.warnings, *_training_warnings(segmentation, found)))


def _training_warnings(segmentation: Segmentation, found: Findings) -> Iterator[str]:
    """Yield what exceeds the range of the images that the model was trained on."""
    if segmentation.unlike_training:
        yield UNLIKE_TRAINING
    largest = segmentation.largest_training_lesion
    for lesion in found.lesions:
        share = lesion.pixels / segmentation.mask.size
        if largest is not None and share > largest:
            yield (
                f"lesion {lesion.number} covers {share:.0%} of the image, more than any lesion in the "
                f"training data ({largest:.0%})"
            )


def measure_mask(
    frame: Frame,
    mask: NDArray[np.bool_],
    *,
    image: bool = True,
    instances: NDArray[np.int32] | None = None,
) -> Findings:
    """Measure the lesions of a mask without probabilities; those and the uncertainty are NaN.

    mask: bool (H, W) on the frame's grid. image: whether the frame's pixels are the scan; False omits the
    echo measurements. instances: int32 (H, W), the number of each lesion pixel's lesion, 1, 2 ..., where
    lesions may touch; by default its connected component. Raises ShapeError.
    """
    if mask.shape != frame.shape:
        raise ShapeError(
            f"an image of {frame.shape} pixels (rows, columns) and a mask of {mask.shape}",
            where=frame.source,
            remedy="Give the mask of this image",
        )
    return _measure(frame, mask.astype(bool), None, math.nan, image=image, instances=instances)


def _measure(
    frame: Frame,
    mask: NDArray[np.bool_],
    probability: NDArray[np.float32] | None,
    threshold: float,
    *,
    image: bool,
    instances: NDArray[np.int32] | None = None,
) -> Findings:
    around = surroundings(frame, mask) if image and mask.any() else None
    lesions = []
    for component, place in _components(mask, instances):
        lesion = _lesion(frame, component, place, around)
        if probability is not None:
            inside = probability[place][component]
            alone = np.zeros(frame.shape, dtype=bool)
            alone[place] = component
            lesion = replace(
                lesion,
                mean_probability=float(inside.mean(dtype=np.float64)),
                peak_probability=float(inside.max()),
                uncertainty=lesion_uncertainty(probability, alone, threshold),
            )
        lesions.append(lesion)
    lesions.sort(key=lambda lesion: (-lesion.pixels, lesion.box))
    known = all(lesion.unit == "mm" for lesion in lesions) if lesions else frame.spacing is not None
    return Findings(
        name=frame.name,
        unit="mm" if known else "px",
        share=float(mask.mean()),
        lesions=tuple(replace(lesion, number=number) for number, lesion in enumerate(lesions, start=1)),
        assessable=frame.has_contrast if image else True,
        warnings=frame.warnings if image else (),
    )


def _components(
    mask: NDArray[np.bool_], instances: NDArray[np.int32] | None
) -> Iterator[tuple[NDArray[np.bool_], tuple[slice, slice]]]:
    """Each lesion of a mask, cut to its box, bool (h, w), with the box' place in the mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return
    # Only the box around all lesions is labelled: it is much smaller than the image.
    top, left = int(rows[0]), int(columns[0])
    window = np.s_[top : rows[-1] + 1, left : columns[-1] + 1]
    labels, count = label(mask[window])
    if instances is not None:
        labels, count = instances[window], int(instances.max())
    for number, (down, across) in enumerate(boxes(labels, count), start=1):
        place = slice(down.start + top, down.stop + top), slice(across.start + left, across.stop + left)
        yield labels[down, across] == number, place


def _lesion(
    frame: Frame, mask: NDArray[np.bool_], place: tuple[slice, slice], around: Surroundings | None
) -> Lesion:
    """Measure one component without its probabilities.

    mask: bool (h, w), cut to its box. place: of the box in the frame.
    """
    top, left = int(place[0].start), int(place[1].start)
    box = Box(top, left, *mask.shape)
    local = frame.calibration.at(box)
    spacing = down, right = local.spacing or (1.0, 1.0)
    border = outline(mask)
    ends, longest = longest_axis(convex_hull(edge_points(mask) * spacing))
    # Smoothed once: pixel corners would lengthen every chord, which they do not do to height and width.
    across, short = perpendicular(convex_hull(smooth_outline(border, 1) * spacing), ends)
    width, height, angle = box.width * right, box.height * down, angle_to_skin(ends)
    shape = shape_of(smooth_outline(border) * spacing)
    pixels = int(mask.sum())
    area = pixels * down * right
    diameter = 2 * math.sqrt(area / math.pi)
    reach = diameter / down, diameter / right
    contrast, level = (None, None) if around is None else echo_of(around, mask, box, reach)
    behind, posterior = (None, None) if around is None else posterior_of(around, box, reach)
    rows, columns = np.nonzero(mask)
    return Lesion(
        number=0,
        unit="px" if local.spacing is None else "mm",
        local_spacing=local,
        longest_axis=longest,
        perpendicular=short,
        width=width,
        height=height,
        height_width_ratio=height / width,
        angle=angle,
        orientation=orientation_of(width, height, longest, short, angle),
        area=area,
        perimeter=shape.perimeter,
        equivalent_diameter=diameter,
        # What a drawn mask has above the scan region is no tissue: such a lesion begins at its top.
        depth=max(0, top - top_of(frame, box)) * down,
        circularity=shape.circularity,
        solidity=shape.solidity,
        margin_smoothness=shape.margin_smoothness,
        echo_contrast=contrast,
        echo_level=level,
        posterior_contrast=behind,
        posterior=posterior,
        mean_probability=math.nan,
        peak_probability=math.nan,
        uncertainty=math.nan,
        longest_axis_ends=_on_frame(ends, spacing, top, left),
        perpendicular_ends=_on_frame(across, spacing, top, left),
        centroid=(top + float(rows.mean()), left + float(columns.mean())),
        box=(top, left, box.height, box.width),
        pixels=pixels,
    )


def _on_frame(ends: NDArray[np.float64], spacing: tuple[float, float], top: int, left: int) -> Ends:
    """Convert end points from lengths, relative to the box's corner, to pixels of the frame."""
    (r0, c0), (r1, c1) = (ends / spacing + (top, left)).tolist()
    return (r0, c0), (r1, c1)
