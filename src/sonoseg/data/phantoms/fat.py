"""Subcutaneous fat: dark lobules bounded by bright septa (Cooper's ligaments)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.data.phantoms.random_fields import enlarge, smooth_field
from sonoseg.data.phantoms.spec import PhantomSpec

F32 = NDArray[np.float32]

_STEP = 2  # the cells are found on every second pixel and raised: they are smooth


def make_fat(spec: PhantomSpec, rng: np.random.Generator, bottom_mm: float) -> tuple[F32, F32, F32]:
    """Fat down to `bottom_mm`: echo level in dB, septa 0..1 and how squarely they face the beam 0..1.

    Each (H, W). Lobules are the cells around jittered seeds, long across the beam; a septum shows best where
    it lies across the beam, as a mirror does.
    """
    height, width = shape = spec.inner
    rows = min(height, int(bottom_mm / spec.spacing.row) + 4)
    thick = max(bottom_mm - spec.tissue.skin_mm, 1.0)
    tall = float(rng.uniform(2.4, 4.2))
    wide = tall * float(rng.uniform(2.6, 4.6))
    small = (max(2, rows // _STEP), max(2, width // _STEP))
    pitch = spec.pixels(1.0, 2.2)
    pitch = (pitch[0] / _STEP, pitch[1] / _STEP)
    y = np.linspace(0, (rows - 1) * spec.spacing.row, small[0], dtype=np.float32)[:, None]
    x = np.linspace(0, (width - 1) * spec.spacing.column, small[1], dtype=np.float32)[None, :]
    y = (y + np.float32(0.45) * smooth_field(rng, small, pitch)) * np.float32(1 / tall)
    x = (x + np.float32(1.0) * smooth_field(rng, small, pitch)) * np.float32(1 / wide)

    nearest, second = np.full((2, *small), np.inf, np.float32)
    level = np.zeros(small, np.float32)
    for seed_y, seed_x, own in _seeds(spec, rng, thick / tall, width * spec.spacing.column / wide, tall):
        away = np.square(y - seed_y)
        away += np.square(x - seed_x)
        closer = away < nearest
        np.minimum(second, np.maximum(nearest, away), out=second)
        np.minimum(nearest, away, out=nearest)
        level[closer] = own
    gap = np.sqrt(second)
    gap -= np.sqrt(nearest)
    gap *= np.float32(tall)
    down, across = np.gradient(gap)
    facing = np.square(down)
    facing /= facing + np.float32(2.5) * np.square(across) + np.float32(1e-9)
    seen = np.clip(np.float32(0.6) + np.float32(0.6) * smooth_field(rng, small, pitch), 0, 1.2)
    thin = np.float32(rng.uniform(0.1, 0.17))
    septa = np.exp(-np.square(gap / thin)) * seen
    level += np.float32(spec.tissue.fat_db)
    out = []
    for field, rest in ((level, spec.tissue.fat_db), (septa, 0), (facing, 0)):
        full = np.full(shape, rest, np.float32)
        full[:rows] = enlarge(field, (rows, width))
        out.append(full)
    return out[0], out[1], out[2]


def _seeds(
    spec: PhantomSpec, rng: np.random.Generator, down: float, across: float, tall: float
) -> list[tuple[np.float32, np.float32, np.float32]]:
    """Jittered seeds (row, column, level in dB) of about `down` x `across` cells, one beyond each edge."""
    rows, columns = max(1, round(down)), max(2, round(across))
    seeds = []
    for i in range(-1, rows + 1):
        for j in range(-1, columns + 1):
            row = spec.tissue.skin_mm / tall + (i + 0.5 + rng.uniform(-0.35, 0.35)) * down / rows
            column = (j + 0.5 + 0.5 * (i % 2) + rng.uniform(-0.4, 0.4)) * across / columns
            seeds.append((np.float32(row), np.float32(column), np.float32(rng.normal(0, 1.2))))
    return seeds
