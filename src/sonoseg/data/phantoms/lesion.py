"""A lesion painted into the tissue: its interior, its margin, and its posterior features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from sonoseg.data.phantoms.outline import Outline
from sonoseg.data.phantoms.random_fields import smooth_field
from sonoseg.data.phantoms.spec import LesionSpec, PhantomSpec
from sonoseg.data.phantoms.tissue import Scene

F32 = NDArray[np.float32]

_REACH_MM = {"cyst": 2.0, "oval": 2.0, "spiculated": 7.0}  # how far around the outline tissue is changed


def paint_lesion(scene: Scene, spec: PhantomSpec, lesion: LesionSpec, outline: Outline) -> NDArray[np.bool_]:
    """Paint the lesion into `scene` (changed in place) and return its exact mask (H, W).

    A pixel belongs to the lesion when its middle lies inside the outline.
    """
    height, width = spec.inner
    points, reach = outline.points, _REACH_MM[spec.kind]
    top, left = np.floor((points.min(axis=0) - reach) / spec.spacing).astype(int)
    bottom, right = np.ceil((points.max(axis=0) + reach) / spec.spacing).astype(int) + 1
    box = np.s_[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    row = (np.arange(height, dtype=np.float32)[box[0]] * np.float32(spec.spacing.row))[:, None]
    column = (np.arange(width, dtype=np.float32)[box[1]] * np.float32(spec.spacing.column))[None, :]
    distance, angle = outline.distance(row, column)
    inside = distance < 0
    mask = np.zeros((height, width), bool)
    mask[box] = inside

    rng = spec.rng(3)
    echo, mirror = scene.echo[box], scene.mirror[box]
    if spec.kind == "spiculated":
        _halo(echo, lesion, rng, distance, angle)
    weight = 1 / (1 + np.exp(np.clip(distance / np.float32(lesion.soft_mm), -20, 20)))
    echo += weight * (_inside(spec, lesion, rng, distance, angle) - echo)
    mirror *= 1 - weight
    if spec.kind == "spiculated":
        _calcifications(mirror, rng, inside)
    else:
        _wall(spec, lesion, rng, echo, mirror, distance, angle)
    scene.loss -= _through(spec, lesion, outline, mask)
    return mask


def _inside(
    spec: PhantomSpec, lesion: LesionSpec, rng: np.random.Generator, distance: F32, angle: F32
) -> F32:
    """The echo level in dB inside the lesion."""
    coarse = smooth_field(rng, distance.shape, spec.pixels(0.9, 1.8))
    level = np.float32(lesion.contrast_db)
    if spec.kind == "cyst":  # a clean lumen, but for haze below the upper wall by reverberation
        strength = np.float32(rng.uniform(0, 9))
        haze: F32 = strength * np.exp(np.minimum(distance, 0) / np.float32(0.8)) * (angle < 0)
        return level + np.float32(2) * coarse + haze
    fine = smooth_field(rng, distance.shape, spec.pixels(0.2, 0.8))
    rough = np.float32(2.6 if spec.kind == "spiculated" else 1.6)
    return level + rough * (coarse + np.float32(0.7) * fine)


def _wall(
    spec: PhantomSpec,
    lesion: LesionSpec,
    rng: np.random.Generator,
    echo: F32,
    mirror: F32,
    distance: F32,
    angle: F32,
) -> None:
    """The thin wall or capsule: bright where it faces the beam, above and below."""
    wall = np.exp(-np.square((distance - np.float32(0.05)) / np.float32(0.09)))
    wall *= np.exp(np.float32(0.5) * smooth_field(rng, distance.shape, spec.pixels(1.5, 0.8)))
    facing = np.square(np.square(np.sin(angle)))
    mirror += wall * facing * np.float32(10 ** (lesion.rim_db / 20))
    echo += np.float32(4) * wall


def _halo(echo: F32, lesion: LesionSpec, rng: np.random.Generator, distance: F32, angle: F32) -> None:
    """The echogenic rim of a desmoplastic reaction and the spicules that cross it."""
    thick = np.float32(rng.uniform(0.7, 1.6))
    rim = np.exp(-np.square((distance - thick) / thick))
    for order in (3, 7):
        rim *= np.float32(1) + np.float32(0.3) * np.cos(order * angle + np.float32(rng.uniform(0, 6)))
    echo += rim * (np.float32(lesion.rim_db) - np.float32(0.4) * np.minimum(echo, 0))
    # The spicules, as a profile over the angle: strength in dB and length in mm.
    turn = np.linspace(-np.pi, np.pi, 1440, endpoint=False, dtype=np.float32)
    strength, length = np.zeros_like(turn), np.ones_like(turn)
    for place in rng.uniform(-np.pi, np.pi, int(rng.integers(7, 15))):
        off = np.abs((turn - np.float32(place - np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi))
        spicule = np.exp(-np.square(off / np.float32(rng.uniform(0.05, 0.13))))
        np.maximum(strength, np.float32(rng.uniform(5, 12)) * spicule, out=strength)
        np.maximum(length, np.float32(rng.uniform(1.2, 3.5)) * spicule, out=length)
    index = ((angle + np.float32(np.pi)) * np.float32(len(turn) / (2 * np.pi))).astype(np.intp)
    outside = np.maximum(distance, 0) / length.take(index, mode="clip")
    echo -= strength.take(index, mode="clip") * np.exp(-np.square(outside))


def _calcifications(mirror: F32, rng: np.random.Generator, inside: NDArray[np.bool_]) -> None:
    """Bright points in two of five."""
    if rng.random() < 0.6:
        return
    places = np.argwhere(inside)
    if len(places):
        for row, column in places[rng.integers(0, len(places), int(rng.integers(3, 9)))]:
            mirror[row, column] += np.float32(rng.uniform(1.0, 3.0))


def _through(spec: PhantomSpec, lesion: LesionSpec, outline: Outline, mask: NDArray[np.bool_]) -> F32:
    """Gain in dB (H, W) in and below the lesion: by the path through it, and the shadows of its edges."""
    path = np.cumsum(mask, axis=0, dtype=np.float32)
    path *= np.float32(lesion.through_db / max(float(path[-1].max()), 1.0))
    blur = (0.45 if lesion.through_db < 0 else 0.2) / spec.spacing.column
    gain: F32 = gaussian_filter1d(path, blur, axis=1, mode="nearest", truncate=2.5)
    points = outline.points.astype(np.float32)
    depth = (np.arange(mask.shape[0], dtype=np.float32) * np.float32(spec.spacing.row))[:, None]
    across = (np.arange(mask.shape[1], dtype=np.float32) * np.float32(spec.spacing.column))[None, :]
    for row, column in (points[points[:, 1].argmin()], points[points[:, 1].argmax()]):
        below = np.maximum(depth - row, 0)
        strength = np.float32(lesion.edge_db) * np.clip(below / np.float32(1.5), 0, 1) * np.exp(-below / 14)
        gain -= strength * np.exp(-np.square((across - column) / (np.float32(0.35) + below / 50)))
    return gain
