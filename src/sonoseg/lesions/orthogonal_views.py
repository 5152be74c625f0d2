"""Two views of one lesion at right angles to each other, joined to its three dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sonoseg.errors import InputError
from sonoseg.lesions.measurement import Findings, Lesion, Unit

SHARED = "height"
"""The extent that both views share: the depth, since the probe is rotated about its beam between them."""

AGREE = 0.2
"""Relative difference of the two views' heights above which a pair gets a warning. Our choice."""


@dataclass(frozen=True)
class Pair:
    """One lesion seen in two views at right angles, in the order of the BI-RADS atlas (ultrasound, 2013).

    The probe is turned by 90 degrees about its beam, so both views show the depth: it is the height, measured
    twice. The two widths lie across it, at right angles to each other.

    first, second: the lesion in each view. unit: of the lengths, "mm" or "px".
    dimensions: the longest axis, of the view where it is longer; the perpendicular in that same view; the
        third from the other view: its width, the extent at right angles to the first view's plane.
    volume: of the ellipsoid with these axes, pi / 6 * a * b * c, in the unit's cube.
    heights: of the two views, which should agree.
    warnings: why the measurements may not be valid; empty without a reason.
    """

    first: Lesion
    second: Lesion
    unit: Unit
    dimensions: tuple[float, float, float]
    volume: float
    heights: tuple[float, float]
    warnings: tuple[str, ...] = ()


def join(first: Findings, second: Findings) -> Pair:
    """Join the largest lesions of two views that lie at right angles to each other.

    The order of the two changes no size; which is radial and which antiradial is the user's to know.

    Raises InputError where a view has no lesion, or the two are not in one unit.
    """
    for view in (first, second):
        if not view.lesions:
            raise InputError(
                "no lesion in the view", where=view.name, remedy="Pair two views that show the lesion"
            )
    one, other = first.lesions[0], second.lesions[0]
    if one.unit != other.unit:
        raise InputError(
            f"one view is measured in {one.unit}, the other in {other.unit}",
            where=f"{first.name}, {second.name}",
            remedy="Give a spacing for both, with --spacing",
        )
    lead, turned = (one, other) if one.longest_axis >= other.longest_axis else (other, one)
    dimensions = lead.longest_axis, lead.perpendicular, turned.width
    return Pair(
        first=one,
        second=other,
        unit=one.unit,
        dimensions=dimensions,
        volume=math.pi / 6 * math.prod(dimensions),
        heights=(one.height, other.height),
        warnings=tuple(_check(first, second)),
    )


def _check(first: Findings, second: Findings) -> Iterator[str]:
    one, other = first.lesions[0], second.lesions[0]
    for view in (first, second):
        if len(view.lesions) > 1:
            yield f"{view.name} shows {len(view.lesions)} lesions; the largest was taken"
    if one.unit == "px":
        yield "both views are in pixels, whose sizes may differ"
    apart = abs(one.height - other.height) / max(one.height, other.height)
    if apart > AGREE:
        yield (
            f"the heights, which both views share, are {one.height:.3g} and {other.height:.3g} {one.unit}, "
            f"{apart:.0%} apart: the views may show different lesions, or not be perpendicular"
        )
