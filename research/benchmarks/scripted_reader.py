"""Correct a mask with the tools of the review page by a script, and count its actions.

The script knows the true mask, so it does not hesitate and does not miss, from every start.
Positions are pixels of the image. A step corrects the largest region that is wrong (missing or too much):

- click: the middle of the region, where it is deepest, as inside or outside; all clicks on one lesion count
  together, as the page sends them (server/click.py).
- stroke: of the brush or the eraser along the region. The brush's edge never passes the true border (by more
  than half a pixel). Among the brushes of BRUSHES the one that corrects most is taken; changing it takes key
  presses, as the page steps it. The stroke is one drag along the longest path through the positions where the
  brush may stand, by those where it corrects most.
- delete: a false-positive lesion is removed by a key with the pointer on it.
- polygon: corners around the region, or around a whole lesion.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, uniform_filter
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from smart_click import next_click, overlap
from sonoseg.image.components import label
from sonoseg.image.contours import Contour, contours, fill, simplify
from sonoseg.inference.smart_click import Point, smart_click

Mask = NDArray[np.bool_]

GOAL = 0.95
BRUSHES = (60, 28, 14, 6, 2)
"""Diameters in image pixels; the page begins with 14 and offers 1 to 120."""
HELPS = 0.005
"""A click that raises Dice by less is undone; after two of these the brush is used."""


class Stroke(NamedTuple):
    """A stroke: its diameter, its path, int (N, 2) of (row, column), and the covered pixels, bool (H, W)."""

    brush: int
    way: NDArray[np.int64]
    covers: Mask


@dataclass
class Work:
    """The work done. done: how often each action. dice: at the start and after each step.

    corners: of polygons. drawn: image pixels that strokes went. pieces: straight pieces of their ways.
    """

    done: Counter[str] = field(default_factory=Counter)
    dice: list[float] = field(default_factory=list)
    corners: int = 0
    drawn: float = 0.0
    pieces: int = 0

    @property
    def actions(self) -> int:
        """The number of actions: clicks, strokes, deletions, corners and undo steps."""
        return (
            sum(self.done[name] for name in ("click", "stroke", "delete", "clear", "undo"))
            + self.corners
            + self.done["polygon"]
        )

    @property
    def reached(self) -> bool:
        """Whether the goal was reached."""
        return self.dice[-1] >= GOAL


@dataclass
class Scene:
    """What the reader sees and knows. probability: None where smart click has no model."""

    pixels: NDArray[np.uint8]
    truth: Mask
    probability: NDArray[np.float32] | None


def correct(scene: Scene, start: Mask, tools: str, most: int = 150) -> Work:
    """Correct a mask until Dice is GOAL, with some tools.

    tools: "both", at each step a click or a stroke, whichever corrects more; "clicks",
        and the brush where they do not help; "brush"; "polygon".
    most: the maximum number of steps.
    """
    work = Work(dice=[overlap(start, scene.truth)])
    if tools == "polygon":
        return _polygons(scene, start, work)
    mask, points, helpless, brush = start.copy(), list[Point](), 0, 14
    for _ in range(most):
        if work.reached:
            break
        aim = next_click(mask, scene.truth)
        alone = _false_lesion(mask, scene.truth, aim)
        if alone is not None:
            mask, points = mask & ~alone, []
            work.done["delete"] += 1
            work.dice.append(overlap(mask, scene.truth))
            continue
        clicked = stroked = stroke = None
        if tools == "both" or (tools == "clicks" and helpless < 2):
            clicked = smart_click(scene.pixels, scene.probability, mask, [*points, aim])
        if clicked is None or tools == "both":
            stroke = best_stroke(mask, scene.truth, aim)
            stroked = (mask | stroke.covers) if aim.inside else (mask & ~stroke.covers)
        if clicked is not None and (stroked is None or _better(clicked, stroked, scene.truth)):
            work.done["click"] += 1
            if overlap(clicked, scene.truth) - work.dice[-1] < HELPS and tools == "clicks":
                work.done["undo"] += 1
                points, helpless = [], helpless + 1
                continue
            mask, points = clicked, [*points, aim]
        else:
            assert stroke is not None
            assert stroked is not None
            mask, points = stroked, []
            work.done["stroke"] += 1
            work.done["size"] += presses(brush, stroke.brush)
            brush = stroke.brush
            work.drawn += float(np.hypot(*np.diff(stroke.way, axis=0).T).sum())
            work.pieces += max(1, len(simplify(stroke.way.astype(float), stroke.brush / 4)) - 1)
        work.dice.append(overlap(mask, scene.truth))
    return work


def _better(one: Mask, other: Mask, truth: Mask) -> bool:
    return overlap(one, truth) >= overlap(other, truth)


def _false_lesion(mask: Mask, truth: Mask, aim: Point) -> Mask | None:
    """The whole lesion at a false-positive pixel, if none of it is true."""
    if aim.inside:
        return None
    numbers, _ = label(mask)
    lesion = numbers == numbers[aim.row, aim.column]
    return None if (lesion & truth).any() else lesion


def presses(before: int, after: int) -> int:
    """Key presses from one brush to another: each a sixth of the size, at least a pixel, as on the page."""
    count = 0
    while before != after:
        step = max(1, int(np.floor(before / 6 + 0.5)))
        nearer = min(before + step, after) if after > before else max(before - step, after)
        before, count = nearer, count + 1
    return count


def best_stroke(mask: Mask, truth: Mask, aim: Point) -> Stroke:
    """The stroke that corrects most of the region around a pixel; of equal ones that of the larger brush."""
    wrong = (truth & ~mask) if aim.inside else (mask & ~truth)
    numbers, _ = label(wrong)
    region = numbers == numbers[aim.row, aim.column]
    free = distance_transform_edt(truth if aim.inside else ~truth)
    best: Stroke | None = None
    for brush in BRUSHES:
        stroke = _stroke(region, free, brush, aim)
        if stroke is not None and (best is None or _gain(stroke, region) > 1.1 * _gain(best, region)):
            best = stroke
    assert best is not None, "the smallest brush may stand on any pixel"
    return best


def _gain(stroke: Stroke, region: Mask) -> int:
    return int((stroke.covers & region).sum())


def _stroke(region: Mask, free: NDArray[np.float64], brush: int, aim: Point) -> Stroke | None:
    """A stroke with one brush; None where the brush does not fit. free: distance from the true border."""
    radius = brush / 2
    window = _window(region, brush)
    near = distance_transform_edt(~region[window]) < radius
    may = (free[window] >= radius - 0.5) & near
    if not may.any():
        return None
    numbers, count = label(may)
    # How much of the region a brush around each place covers, nearly: a square in place of a disc.
    worth = uniform_filter(region[window].astype(np.float32), size=brush + 1) * (brush + 1) ** 2
    totals = np.bincount(numbers.ravel(), weights=worth.ravel(), minlength=count + 1)
    totals[0] = -1
    part = numbers == int(totals.argmax())
    way = _way(part, worth)
    covers = np.zeros_like(region)
    places = np.ones(part.shape, dtype=bool)
    places[way[:, 0], way[:, 1]] = False
    covers[window] = distance_transform_edt(places) <= radius
    origin = np.array([window[0].start, window[1].start])
    return Stroke(brush, way + origin, covers)


def _window(region: Mask, margin: int) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )


def _way(part: Mask, worth: NDArray[np.float32]) -> NDArray[np.int64]:
    """The cheapest path from end to end of a connected part, bool (h, w); pixels of high value are cheap."""
    places = np.argwhere(part)
    if len(places) == 1:
        return places
    numbers = np.full(part.shape, -1)
    numbers[part] = np.arange(len(places))
    starts, ends, lengths = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        rows, columns = places[:, 0] + down, places[:, 1] + right
        inside = (rows < part.shape[0]) & (columns >= 0) & (columns < part.shape[1])
        other = np.full(len(places), -1)
        other[inside] = numbers[rows[inside], columns[inside]]
        kept = other >= 0
        starts.append(np.flatnonzero(kept))
        ends.append(other[kept])
        lengths.append(np.full(int(kept.sum()), np.hypot(down, right)))
    start, end, length = (np.concatenate(lists) for lists in (starts, ends, lengths))
    shape = (len(places), len(places))

    def far(costs: NDArray[np.float64], origin: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        graph = coo_matrix((costs, (start, end)), shape=shape).tocsr()
        reached, before = dijkstra(graph, directed=False, indices=origin, return_predecessors=True)
        return np.where(np.isfinite(reached), reached, -1), before

    first = int(far(length, 0)[0].argmax())
    last = int(far(length, first)[0].argmax())
    here = worth[part]
    most = float(here.max())
    price = 1 + 20 * (1 - (here[start] + here[end]) / (2 * most)) ** 2
    _, before = far(length * price, first)
    way = [last]
    while way[-1] != first:
        way.append(int(before[way[-1]]))
    return places[way[::-1]]


def _polygons(scene: Scene, start: Mask, work: Work) -> Work:
    """The cheaper of two ways: around each wrong region, or around each lesion after clearing the mask."""
    if work.reached:
        return work
    ways = [
        _corrected(scene, start, Work(dice=list(work.dice))),
        _redrawn(scene, start, Work(dice=list(work.dice))),
    ]
    return min((way for way in ways if way.reached), key=lambda way: way.actions, default=ways[0])


def _corrected(scene: Scene, start: Mask, work: Work) -> Work:
    mask = start
    for _ in range(40):
        if work.reached:
            break
        aim = next_click(mask, scene.truth)
        alone = _false_lesion(mask, scene.truth, aim)
        if alone is not None:
            mask = mask & ~alone
            work.done["delete"] += 1
        else:
            wrong = (scene.truth & ~mask) if aim.inside else (mask & ~scene.truth)
            numbers, _ = label(wrong)
            drawn, corners = polygon(numbers == numbers[aim.row, aim.column], 0.8)
            mask = (mask | drawn) if aim.inside else (mask & ~drawn)
            work.done["polygon"] += 1
            work.corners += corners
        work.dice.append(overlap(mask, scene.truth))
    return work


def _redrawn(scene: Scene, start: Mask, work: Work) -> Work:
    mask = np.zeros_like(start)
    work.done["clear"] += int(start.any())
    numbers, count = label(scene.truth)
    for number in sorted(range(1, count + 1), key=lambda n: -int((numbers == n).sum())):
        drawn, corners = polygon(numbers == number, GOAL)
        mask = mask | drawn
        work.done["polygon"] += 1
        work.corners += corners
        work.dice.append(overlap(mask, scene.truth))
        if work.reached:
            break
    return work


def polygon(region: Mask, wanted: float) -> tuple[Mask, int]:
    """The coarsest polygon of a region that reaches a Dice with it, and its corners."""
    (outer,) = [one for one in contours(region) if not one.hole][:1]
    filled = fill([outer], region.shape)
    for tolerance in (32.0, 16.0, 11.0, 8.0, 5.6, 4.0, 2.8, 2.0, 1.4, 1.0, 0.7, 0.5):
        coarse = simplify(outer.points, tolerance)
        if len(coarse) >= 3:
            drawn = fill([Contour(coarse, outer.hole)], region.shape)
            if overlap(drawn, filled) >= wanted:
                return drawn, len(coarse)
    return filled, len(outer.points)
