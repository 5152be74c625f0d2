"""The breast without a lesion: echo levels and specular interfaces of its layers.

Drawn flat first (skin, fat with lobules and Cooper's ligaments, gland, retromammary fat, fascia, pectoral
muscle, ribs), then bent as a whole, so that strands follow the layers they lie in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoseg.datasets.phantoms.fields import enlarge, lines_of, smooth_field, smooth_line, warp_rows
from sonoseg.datasets.phantoms.spec import PhantomSpec

F32 = NDArray[np.float32]


@dataclass
class Scene:
    """What the beam meets, each (H, W) float32.

    echo: level of the scatterers in dB, the gland's mean 0. mirror: amplitude of specular interfaces, the
    gland's mean amplitude 1. loss: dB taken from all that lies at this place, by what lies above it.
    """

    echo: F32
    mirror: F32
    loss: F32


def make_tissue(spec: PhantomSpec) -> Scene:
    """The bent layers of `spec`, without a lesion."""
    rng = spec.rng(2)
    height, width = shape = spec.inner
    mm = np.float32(spec.spacing.row)
    depth = (np.arange(height, dtype=np.float32) * mm)[:, None]
    echo = np.empty(shape, np.float32)
    mirror = np.zeros(shape, np.float32)

    borders = _borders(spec, rng, width)
    skin, fat, gland, retro, muscle = borders
    fibre = _fibres(spec, rng, shape)

    # Deep to shallow, each layer painting over the one below from its lower border up.
    deep = _chest_wall(spec, rng, shape)
    echo[:] = deep
    strands = lines_of(smooth_field(rng, shape, (_px(spec, 0.45), _pxc(spec, 5.0))), 0.9)
    _paint(echo, depth, muscle, -13 + 0.6 * fibre + 9 * strands, mm)
    _paint(echo, depth, retro, spec.tissue.fat_db + 2 + 0.5 * fibre + 7 * strands, mm)
    _paint(echo, depth, gland, _gland(spec, rng, shape, fibre), mm)
    lobules, septa = _fat(spec, rng, shape, float(fat.max()))
    _paint(echo, depth, fat, lobules + 0.45 * fibre, mm)
    _paint(echo, depth, skin, 3 + 0.3 * fibre, mm)

    weight = _below(depth, skin, mm) * _above(depth, fat, mm)
    echo += weight * (septa * np.float32(10))
    mirror += weight * septa * np.float32(1.1)
    for border, strength in ((skin, 1.8), (fat, 0.5), (gland, 0.7), (retro, 1.6), (muscle, 1.4)):
        patchy = np.clip(smooth_line(rng, width, _pxc(spec, 4.0)) * 0.6 + 0.7, 0, 2)
        line = np.exp(-(((depth - border) / (1.1 * mm)) ** 2))
        mirror += line * (strength * patchy).astype(np.float32)
    mirror += _bright_strands(spec, rng, shape) * _below(depth, skin, mm)

    bent = depth / mm + _bend(spec, rng)
    return Scene(warp_rows(echo, bent), warp_rows(mirror, bent), _shadows(spec, rng))


def _px(spec: PhantomSpec, mm: float) -> float:
    return mm / spec.spacing.row


def _pxc(spec: PhantomSpec, mm: float) -> float:
    return mm / spec.spacing.column


def _borders(spec: PhantomSpec, rng: np.random.Generator, width: int) -> list[F32]:
    """The lower borders (W,) in mm of skin, fat, gland, retromammary fat and muscle, before the bending."""
    skin = spec.tissue.skin_mm + 0.06 * smooth_line(rng, width, _pxc(spec, 6))
    scallops = np.abs(
        smooth_line(rng, width, _pxc(spec, 3.5))
    )  # Cooper's ligaments pull the gland up in cusps
    thick = spec.tissue.fat_mm - spec.tissue.skin_mm
    fat = spec.tissue.fat_mm + thick * (
        0.3 * (scallops - 0.8) + 0.12 * smooth_line(rng, width, _pxc(spec, 9))
    )
    gland = spec.tissue.gland_mm + 0.1 * (spec.tissue.gland_mm - spec.tissue.fat_mm) * smooth_line(
        rng, width, _pxc(spec, 6)
    )
    retro = spec.tissue.retromammary_mm + 0.2 * smooth_line(rng, width, _pxc(spec, 9))
    muscle = spec.tissue.muscle_mm + 0.4 * smooth_line(rng, width, _pxc(spec, 9))
    floor = skin + 0.6
    lines = [skin.astype(np.float32)]
    for line in (fat, gland, retro, muscle):
        floor = np.maximum(line, floor).astype(np.float32)
        lines.append(floor)
        floor = floor + np.float32(0.4)
    return lines


def _fibres(spec: PhantomSpec, rng: np.random.Generator, shape: tuple[int, int]) -> F32:
    """Horizontal fibrous unevenness in dB, at two scales."""
    fine = smooth_field(rng, shape, (_px(spec, 0.16), _pxc(spec, 0.8)))
    coarse = smooth_field(rng, shape, (_px(spec, 0.45), _pxc(spec, 2.2)))
    out: F32 = np.float32(spec.tissue.fibre_db * 0.75) * (fine + coarse)
    return out


def _gland(spec: PhantomSpec, rng: np.random.Generator, shape: tuple[int, int], fibre: F32) -> F32:
    cloud = smooth_field(rng, shape, (_px(spec, 1.6), _pxc(spec, 3.2)))
    islands = smooth_field(rng, shape, (_px(spec, 0.7), _pxc(spec, 1.5)))
    dark = 1 / (1 + np.exp(-(islands - np.float32(1.35)) * 7))
    out: F32 = fibre + np.float32(2.2) * cloud - np.float32(9) * dark
    return out


def _fat(
    spec: PhantomSpec, rng: np.random.Generator, shape: tuple[int, int], bottom: float
) -> tuple[F32, F32]:
    """Fat's echo level in dB and its septa in 0..1: cells around jittered seeds, long across the beam."""
    height, width = shape
    rows = min(height, int(bottom / spec.spacing.row) + 4)
    step = 2
    thick = max(bottom - spec.tissue.skin_mm, 1.0)
    tall = float(rng.uniform(2.2, 3.6))
    wide = tall * float(rng.uniform(2.2, 3.6))
    down, across = max(1, round(thick / tall)), max(2, round(width * spec.spacing.column / wide))
    row = np.linspace(0, (rows - 1) * spec.spacing.row, (rows + 1) // step, dtype=np.float32)[:, None]
    column = np.linspace(0, (width - 1) * spec.spacing.column, (width + 1) // step, dtype=np.float32)[None, :]
    small = (row.shape[0], column.shape[1])
    y = (row + 0.35 * smooth_field(rng, small, (_px(spec, 1.2) / step, _pxc(spec, 2.0) / step))) / np.float32(
        tall
    )
    x = (
        column + 0.8 * smooth_field(rng, small, (_px(spec, 1.2) / step, _pxc(spec, 2.0) / step))
    ) / np.float32(wide)
    nearest = np.full(small, np.inf, np.float32)
    second = np.full(small, np.inf, np.float32)
    level = np.zeros(small, np.float32)
    for i in range(-1, down + 1):
        for j in range(-1, across + 1):
            seed_y = (spec.tissue.skin_mm + (i + 0.5 + rng.uniform(-0.35, 0.35)) * thick / down) / tall
            seed_x = (
                ((j + 0.5 * (i % 2) + rng.uniform(-0.4, 0.4) + 0.5) / across)
                * width
                * spec.spacing.column
                / wide
            )
            own = np.float32(rng.normal(0, 1.2))
            away = np.square(y - np.float32(seed_y)) + np.square(x - np.float32(seed_x))
            closer = away < nearest
            np.minimum(second, np.where(closer, nearest, away), out=second)
            np.minimum(nearest, away, out=nearest)
            level[closer] = own
    gap = np.sqrt(second) - np.sqrt(nearest)
    gap *= np.float32(tall)
    seen = np.clip(
        0.55 + 0.55 * smooth_field(rng, small, (_px(spec, 1.5) / step, _pxc(spec, 3) / step)), 0, 1.3
    )
    septa = np.exp(-np.square(gap / np.float32(0.16))) * seen
    full = np.zeros(shape, np.float32)
    full[:rows] = enlarge(septa, (rows, width))
    base = np.full(shape, spec.tissue.fat_db, np.float32)
    base[:rows] += enlarge(level, (rows, width))
    return base, full


def _bright_strands(spec: PhantomSpec, rng: np.random.Generator, shape: tuple[int, int]) -> F32:
    """Short bright strands everywhere: level sets of a flat field, seen only here and there."""
    field = smooth_field(rng, shape, (_px(spec, 0.9), _pxc(spec, 4.0)))
    seen = np.clip(smooth_field(rng, shape, (_px(spec, 0.8), _pxc(spec, 1.6))) - np.float32(0.5), 0, 1.5)
    out: F32 = lines_of(field, 1.1) * seen * np.float32(1.0)
    return out


def _chest_wall(spec: PhantomSpec, rng: np.random.Generator, shape: tuple[int, int]) -> F32:
    haze = smooth_field(rng, shape, (_px(spec, 1.0), _pxc(spec, 3.0)))
    out: F32 = np.float32(-22) + np.float32(3) * haze
    return out


def _bend(spec: PhantomSpec, rng: np.random.Generator) -> F32:
    """Rows to add to a pixel's row to find its place in the flat tissue (H, W); 0 at the skin."""
    height, width = spec.inner
    depth = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    slow = smooth_field(rng, (height, width), (_px(spec, 7), _pxc(spec, 9)))
    quick = smooth_field(rng, (height, width), (_px(spec, 2.5), _pxc(spec, 3.5)))
    across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :] * np.float32(
        width * spec.spacing.column
    )
    start = np.clip((depth * height * spec.spacing.row - spec.tissue.skin_mm) / 4, 0, 1)
    shift: F32 = (
        np.float32(spec.tissue.bend_mm) * slow
        + np.float32(0.28) * quick
        + np.float32(spec.tissue.dip) * across
    )
    shift *= start / np.float32(spec.spacing.row)
    return shift


def _shadows(spec: PhantomSpec, rng: np.random.Generator) -> F32:
    """Loss in dB (H, W) by poor contact and by ligaments: fuzzy bands from a depth downwards."""
    height, width = spec.inner
    depth = (np.arange(height, dtype=np.float32) * np.float32(spec.spacing.row))[:, None]
    across = (np.arange(width, dtype=np.float32) * np.float32(spec.spacing.column))[None, :]
    loss = np.zeros((height, width), np.float32)
    for _ in range(spec.tissue.shadows):
        middle, half = rng.uniform(0, width * spec.spacing.column), rng.uniform(0.6, 3.0)
        start, power = rng.uniform(spec.tissue.skin_mm, spec.tissue.gland_mm), rng.uniform(3, 12)
        lean = rng.uniform(-0.1, 0.1)
        onset = np.clip((depth - np.float32(start)) / 4, 0, 1)
        away = (across - np.float32(middle) - np.float32(lean) * (depth - np.float32(start))) / np.float32(
            half
        )
        loss += np.float32(power) * onset * np.exp(-(away**2))
    return loss


def _above(depth: F32, border: F32, mm: np.float32) -> F32:
    out: F32 = np.clip((border - depth) / (2 * mm) + np.float32(0.5), 0, 1)
    return out


def _below(depth: F32, border: F32, mm: np.float32) -> F32:
    out: F32 = np.clip((depth - border) / (2 * mm) + np.float32(0.5), 0, 1)
    return out


def _paint(echo: F32, depth: F32, border: F32, layer: F32, mm: np.float32) -> None:
    """Blend `layer` into `echo` above the border (W,), over two pixels."""
    rows = min(echo.shape[0], int(float(border.max()) / float(mm)) + 3)
    weight = _above(depth[:rows], border, mm)
    echo[:rows] += weight * (layer[:rows] - echo[:rows])
