"""The outline of a phantom's lesion, exact in millimetres, and its mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

F32 = NDArray[np.float32]

_VERTICES = 720
_DIRECTIONS = 360


@dataclass(frozen=True)
class Outline:
    """A closed curve, star-shaped about `centre`.

    radius: (720,) mm at the angles k * 2 pi / 720, measured from the columns' axis towards growing rows.
    centre: (row, column) in mm from the middle of the first pixel.
    """

    radius: NDArray[np.float64]
    centre: tuple[float, float]

    @property
    def points(self) -> NDArray[np.float64]:
        """(720, 2) vertices as (row, column) in mm."""
        angle = _angles()
        return np.stack([np.sin(angle), np.cos(angle)], axis=1) * self.radius[:, None] + self.centre

    @property
    def area(self) -> float:
        """The polygon's area in square millimetres."""
        row, column = self.points.T
        return float(abs(np.dot(column, np.roll(row, -1)) - np.dot(row, np.roll(column, -1))) / 2)

    @property
    def longest_axis(self) -> float:
        """The largest distance between two vertices in mm."""
        return float(_widths(self.points).max())

    def longest_chord(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The two ends of the longest axis, (row, column) in mm."""
        points = self.points
        turn = int(_widths(points).argmax())
        along = points @ _directions()[turn]
        first, last = points[int(along.argmin())], points[int(along.argmax())]
        return (float(first[0]), float(first[1])), (float(last[0]), float(last[1]))

    def opened(self, radius: float) -> NDArray[np.float64]:
        """What discs of `radius` mm reach inside the curve: tips and necks narrower than them are left out.

        Returns (n, 2) points as (row, column) in mm, on a grid of a fifth of the radius. Every disc of half
        a pixel's diagonal holds the middle of a pixel, so with that radius it is what a mask cannot miss.
        """
        step = radius / 5
        points = self.points
        first = points.min(axis=0) - 2 * radius
        rows, columns = (
            np.arange(start, stop, step, dtype=np.float32)
            for start, stop in zip(first, points.max(axis=0) + 2 * radius, strict=True)
        )
        inside = self.distance(*np.meshgrid(rows, columns, indexing="ij"))[0] < 0
        middles = distance_transform_edt(inside, sampling=step) >= radius
        reached = distance_transform_edt(~middles, sampling=step) <= radius
        return np.asarray(np.argwhere(reached) * step + first)

    def distance(self, row: F32, column: F32) -> tuple[F32, F32]:
        """Signed distance to the curve in mm (below 0 inside; first order, exact on the curve) and the angle.

        row, column: (H, W) in mm. The sign is exact to rounding: it makes the mask.
        """
        down, across = row - np.float32(self.centre[0]), column - np.float32(self.centre[1])
        angle: F32 = np.arctan2(down, across)
        slope = (np.roll(self.radius, -1) - np.roll(self.radius, 1)) * _VERTICES / (4 * np.pi)
        lean = 1 / np.sqrt(1 + np.square(slope / self.radius))
        # Linear interpolation between the vertices, over a full turn.
        place = angle * np.float32(_VERTICES / (2 * np.pi))
        first = np.floor(place)
        place -= first
        vertex = first.astype(np.intp) % _VERTICES
        radius, rise = (
            table.astype(np.float32) for table in (self.radius, np.roll(self.radius, -1) - self.radius)
        )
        distance: F32 = np.hypot(down, across) - radius[vertex] - place * rise[vertex]
        distance *= lean.astype(np.float32)[vertex]
        return distance, angle


def _angles() -> NDArray[np.float64]:
    return np.linspace(0, 2 * np.pi, _VERTICES, endpoint=False)


def _directions() -> NDArray[np.float64]:
    turn = np.arange(_DIRECTIONS) * (np.pi / _DIRECTIONS)
    return np.stack([np.sin(turn), np.cos(turn)], axis=1)


def _widths(points: NDArray[np.float64]) -> NDArray[np.float64]:
    along = points @ _directions().T
    widths: NDArray[np.float64] = along.max(axis=0) - along.min(axis=0)
    return widths


def make_outline(
    rng: np.random.Generator,
    *,
    size_mm: float,
    centre: tuple[float, float],
    aspect: float,
    angle_deg: float,
    lobes: float,
    corners: int,
) -> Outline:
    """An ellipse with soft lobes and angular points, scaled so that its longest axis is `size_mm`.

    centre: (row, column) in mm of the middle of its bounding box. aspect: short over long axis.
    angle_deg: the long axis against the columns' axis. lobes: relative height of the lobulation.
    corners: number of angular points drawn out of the margin.
    """
    angle = _angles()
    turned = angle - np.deg2rad(angle_deg)
    radius = aspect / np.sqrt((aspect * np.cos(turned)) ** 2 + np.sin(turned) ** 2)
    wave = np.zeros(_VERTICES)
    for order in range(3, 8):
        wave += rng.normal() / order**0.8 * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    radius = radius * np.exp(lobes * wave)
    for place in (np.arange(corners) + rng.uniform(-0.35, 0.35, corners)) * (2 * np.pi / max(corners, 1)):
        off = np.abs((angle - place + np.pi) % (2 * np.pi) - np.pi)
        radius *= 1 + rng.uniform(0.06, 0.32) * np.clip(1 - off / rng.uniform(0.15, 0.5), 0, None) ** 1.4
    unit = Outline(radius, (0.0, 0.0))
    radius = radius * (size_mm / unit.longest_axis)
    extent = Outline(radius, (0.0, 0.0)).points
    middle = (extent.max(axis=0) + extent.min(axis=0)) / 2
    return Outline(radius, (float(centre[0] - middle[0]), float(centre[1] - middle[1])))
