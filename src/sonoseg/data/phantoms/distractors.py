"""Structures that cause false positives: fat lobules within the gland, ducts and vessels, ribs, shadows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonoseg.data.phantoms.random_fields import smooth_line
from sonoseg.data.phantoms.spec import PhantomSpec

F32 = NDArray[np.float32]


def add_lobules(spec: PhantomSpec, rng: np.random.Generator, echo: F32, mirror: F32) -> None:
    """Round fat lobules in the gland: as dark as fat, with a bright septum above and below."""
    tissue = spec.tissue
    for _ in range(tissue.lobules):
        long, flat = float(rng.uniform(2.0, 5.0)), float(rng.uniform(0.35, 0.6))
        row = float(rng.uniform(tissue.fat_mm, tissue.gland_mm))
        column = float(rng.uniform(0, spec.inner[1] * spec.spacing.column))
        box, y, x = _box(spec, (row, column), (long * flat + 2, long + 1))
        slope = float(rng.uniform(-0.25, 0.25))
        radius = np.sqrt(np.square((y - slope * x) / np.float32(flat)) + np.square(x)) + np.float32(1e-3)
        distance = (radius - np.float32(long)) * np.float32(flat)
        inside = 1 / (1 + np.exp(np.clip(distance / np.float32(0.12), -20, 20)))
        level = np.float32(tissue.fat_db + rng.normal(0, 1))
        echo[box] += inside * (level + np.float32(0.3) * echo[box] - echo[box])
        wall = np.exp(-np.square(distance / np.float32(0.13)))
        facing = np.square(y / (radius * np.float32(flat)))
        mirror[box] *= 1 - inside
        mirror[box] += wall * facing * np.float32(rng.uniform(0.1, 0.5))
        echo[box] += wall * np.float32(4)


def add_ducts(spec: PhantomSpec, rng: np.random.Generator, echo: F32, mirror: F32) -> None:
    """Ducts and vessels: thin dark tubes, cut lengthwise, with bright walls."""
    tissue = spec.tissue
    for _ in range(tissue.ducts):
        half, reach = float(rng.uniform(0.3, 0.8)), float(rng.uniform(2.0, 7.0))
        row = float(rng.uniform(tissue.fat_mm, tissue.gland_mm))
        column = float(rng.uniform(0, spec.inner[1] * spec.spacing.column))
        box, y, x = _box(spec, (row, column), (half + 3, reach + 1))
        slope, bow = float(rng.uniform(-0.25, 0.25)), float(rng.uniform(-0.03, 0.03))
        ends = np.clip(1 - np.square(x / np.float32(reach)), 0, 1) ** np.float32(0.3)
        distance = np.abs(y - slope * x - bow * np.square(x)) - np.float32(half) * ends
        inside = 1 / (1 + np.exp(np.clip(distance / np.float32(0.06), -20, 20))) * (ends > 0)
        echo[box] += inside * (np.float32(rng.uniform(-34, -18)) - echo[box])
        mirror[box] *= 1 - inside
        wall = np.exp(-np.square((distance - np.float32(0.1)) / np.float32(0.1))) * ends
        mirror[box] += wall * np.float32(rng.uniform(0.2, 0.8))


def add_ribs(spec: PhantomSpec, rng: np.random.Generator, echo: F32, mirror: F32) -> F32:
    """Ribs or, between them, the pleura: bright arcs. Returns the loss in dB (H, W) of what lies behind."""
    height, width = spec.inner
    tissue = spec.tissue
    depth = (np.arange(height, dtype=np.float32) * np.float32(spec.spacing.row))[:, None]
    across = (np.arange(width, dtype=np.float32) * np.float32(spec.spacing.column))[None, :]
    loss = np.zeros((height, width), np.float32)
    pleura = np.float32(tissue.muscle_mm + rng.uniform(2.0, 5.0))
    behind = np.clip((depth - pleura) / 2, 0, 1)
    loss += np.float32(rng.uniform(3, 9)) * behind
    patchy = np.clip(0.5 + 0.5 * smooth_line(rng, width, spec.pixels(1, 4)[1]), 0.05, 1.5)
    line = np.exp(-np.square((depth - pleura) / np.float32(0.16)))
    mirror += line * patchy * np.float32(rng.uniform(0.3, 1.0))
    if not tissue.ribs:
        return loss
    half, gap = float(rng.uniform(5, 8)), float(rng.uniform(16, 24))
    first = float(rng.uniform(-half, gap))
    for middle in np.arange(first, width * spec.spacing.column + half, gap + half):
        off = (across - np.float32(middle)) / np.float32(half)
        top = np.float32(tissue.muscle_mm + 0.5) + np.float32(2.2) * np.square(off)
        here = np.clip((1 - np.abs(off)) * 4, 0, 1)
        mirror += np.exp(-np.square((depth - top) / np.float32(0.22))) * here * np.float32(1.3)
        bone = np.clip((depth - top) / np.float32(0.8), 0, 1) * here
        loss += np.float32(24) * bone
    return loss


def shadows(spec: PhantomSpec, rng: np.random.Generator) -> F32:
    """Loss in dB (H, W) by poor contact and by ligaments: fuzzy bands from a depth downwards."""
    height, width = spec.inner
    depth = (np.arange(height, dtype=np.float32) * np.float32(spec.spacing.row))[:, None]
    across = (np.arange(width, dtype=np.float32) * np.float32(spec.spacing.column))[None, :]
    loss = np.zeros((height, width), np.float32)
    for _ in range(spec.tissue.shadows):
        middle = float(rng.uniform(0, width * spec.spacing.column))
        half, lean = float(rng.uniform(0.6, 3.0)), float(rng.uniform(-0.1, 0.1))
        start = float(rng.uniform(0, spec.tissue.gland_mm))
        below = depth - np.float32(start)
        away = (across - np.float32(middle) - np.float32(lean) * below) / np.float32(half)
        band = np.clip(below / 4, 0, 1) * np.exp(-np.square(away))
        loss += np.float32(rng.uniform(3, 12)) * band
    return loss


def _box(
    spec: PhantomSpec, middle: tuple[float, float], reach: tuple[float, float]
) -> tuple[tuple[slice, slice], F32, F32]:
    """The slices around `middle` (mm) and the rows and columns there in mm from it."""
    slices, axes = [], []
    for at, far, step, count in zip(middle, reach, spec.spacing, spec.inner, strict=True):
        low, high = max(0, int((at - far) / step)), min(count, int((at + far) / step) + 1)
        low = min(low, count - 1)
        slices.append(slice(low, max(high, low + 1)))
        axes.append(np.arange(low, max(high, low + 1), dtype=np.float32) * np.float32(step) - np.float32(at))
    return (slices[0], slices[1]), axes[0][:, None], axes[1][None, :]
