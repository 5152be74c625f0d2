"""A lesion painted into the tissue: its inside, its margin, and what it does to all that lies below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from sonoseg.datasets.phantoms.fields import smooth_field
from sonoseg.datasets.phantoms.outline import Outline
from sonoseg.datasets.phantoms.spec import LesionSpec, PhantomSpec
from sonoseg.datasets.phantoms.tissue import Scene

F32 = NDArray[np.float32]


def paint_lesion(scene: Scene, spec: PhantomSpec, lesion: LesionSpec, outline: Outline) -> NDArray[np.bool_]:
    """Paint the lesion into `scene` (changed in place) and return its exact mask (H, W).

    A pixel belongs to the lesion when its middle lies inside the outline.
    """
    height, width = spec.inner
    points = outline.points
    reach = 7.0 if spec.kind == "spiculated" else 2.0
    top, left = np.floor((points.min(axis=0) - reach) / spec.spacing).astype(int)
    bottom, right = np.ceil((points.max(axis=0) + reach) / spec.spacing).astype(int) + 1
    box = np.s_[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    row = (np.arange(box[0].start, box[0].stop, dtype=np.float32) * np.float32(spec.spacing.row))[:, None]
    column = (np.arange(box[1].start, box[1].stop, dtype=np.float32) * np.float32(spec.spacing.column))[
        None, :
    ]
    distance, angle = outline.distance(row, column)
    inside = distance < 0
    mask = np.zeros((height, width), bool)
    mask[box] = inside

    rng = spec.rng(3)
    echo, mirror = scene.echo[box], scene.mirror[box]
    if spec.kind == "spiculated":
        _halo(echo, lesion, rng, distance, angle)
    weight = 1 / (1 + np.exp(np.clip(distance / np.float32(lesion.soft_mm), -20, 20)))
    echo += weight * (_inside(spec, lesion, rng, inside.shape) - echo)
    mirror *= 1 - weight
    facing = np.abs(np.sin(angle)) ** 3
    if spec.kind == "spiculated":
        _calcifications(mirror, rng, inside)
    else:
        wall = np.exp(-np.square((distance - np.float32(0.06)) / np.float32(0.11)))
        mirror += wall * facing.astype(np.float32) * np.float32(10 ** (lesion.rim_db / 20))
        echo += wall * np.float32(lesion.rim_db * 0.5)
    scene.loss -= _through(spec, lesion, outline, mask)
    return mask


def _inside(spec: PhantomSpec, lesion: LesionSpec, rng: np.random.Generator, shape: tuple[int, int]) -> F32:
    rows, columns = 1 / spec.spacing.row, 1 / spec.spacing.column
    if spec.kind == "cyst":
        return np.float32(lesion.contrast_db) + np.float32(2) * smooth_field(
            rng, shape, (0.8 * rows, 1.5 * columns)
        )
    coarse = smooth_field(rng, shape, (0.9 * rows, 1.8 * columns))
    fine = smooth_field(rng, shape, (0.2 * rows, 0.7 * columns))
    rough = 2.5 if spec.kind == "spiculated" else 1.4
    out: F32 = np.float32(lesion.contrast_db) + np.float32(rough) * (coarse + np.float32(0.7) * fine)
    return out


def _halo(echo: F32, lesion: LesionSpec, rng: np.random.Generator, distance: F32, angle: F32) -> None:
    """The echogenic rim of a desmoplastic reaction and the spicules that cross it."""
    thick = float(rng.uniform(0.7, 1.6))
    rim = np.exp(-np.square((distance - np.float32(thick)) / np.float32(thick)))
    patchy = 0.7 + 0.3 * np.cos(angle * 3 + rng.uniform(0, 6)) + 0.2 * np.cos(angle * 7 + rng.uniform(0, 6))
    echo += (rim * patchy * (np.float32(lesion.rim_db) - np.float32(0.4) * np.minimum(echo, 0))).astype(
        np.float32
    )
    outside = np.maximum(distance, 0)
    for place in rng.uniform(-np.pi, np.pi, int(rng.integers(7, 15))):
        reach, half = rng.uniform(1.2, 4.0), rng.uniform(0.05, 0.13)
        off = np.abs((angle - place + np.pi) % (2 * np.pi) - np.pi)
        spicule = np.exp(-np.square(off / half) - np.square(outside / reach))
        echo -= (rng.uniform(5, 12) * spicule).astype(np.float32)


def _calcifications(mirror: F32, rng: np.random.Generator, inside: NDArray[np.bool_]) -> None:
    if rng.random() < 0.6:
        return
    places = np.argwhere(inside)
    for row, column in places[rng.integers(0, len(places), int(rng.integers(3, 9)))]:
        mirror[row, column] += np.float32(rng.uniform(1.0, 3.0))


def _through(spec: PhantomSpec, lesion: LesionSpec, outline: Outline, mask: NDArray[np.bool_]) -> F32:
    """Gain in dB (H, W) in and below the lesion: by the path through it above the place, and edge shadows."""
    path = np.cumsum(mask, axis=0, dtype=np.float32)
    path *= np.float32(lesion.through_db / max(float(path[-1].max()), 1.0))
    blur = (0.45 if lesion.through_db < 0 else 0.2) / spec.spacing.column
    gain: F32 = gaussian_filter1d(path, blur, axis=1, mode="nearest", truncate=2.5)
    if lesion.edge_db > 0:
        points = outline.points
        depth = (np.arange(mask.shape[0], dtype=np.float32) * np.float32(spec.spacing.row))[:, None]
        across = (np.arange(mask.shape[1], dtype=np.float32) * np.float32(spec.spacing.column))[None, :]
        for side in (points[:, 1].argmin(), points[:, 1].argmax()):
            row, column = points[side].astype(np.float32)
            onset = np.clip((depth - row) / np.float32(1.5), 0, 1)
            fade = np.exp(-np.maximum(depth - row, 0) / np.float32(14))
            half = np.float32(0.35) + np.float32(0.02) * np.maximum(depth - row, 0)
            gain -= np.float32(lesion.edge_db) * onset * fade * np.exp(-np.square((across - column) / half))
    return gain
