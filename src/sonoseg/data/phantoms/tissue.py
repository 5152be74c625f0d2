"""The breast without a lesion: echo levels and mirrors of its layers.

Drawn flat first (skin, fat with lobules and Cooper's ligaments, gland, retromammary fat, fascia, pectoral
muscle, chest wall), then bent as a whole, so that strands follow the layers they lie in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonoseg.data.phantoms.distractors import add_ducts, add_lobules, add_ribs, shadows
from sonoseg.data.phantoms.fat import make_fat
from sonoseg.data.phantoms.random_fields import lines_of, slopes, smooth_field, smooth_line, warp_rows
from sonoseg.data.phantoms.spec import PhantomSpec

F32 = NDArray[np.float32]


@dataclass
class Scene:
    """The medium that the beam passes, each (H, W) float32.

    echo: level of the scatterers in dB, the gland's mean 0. mirror: amplitude of specular interfaces, the
    gland's mean amplitude 1. loss: attenuation in dB at each pixel, caused by what lies above it.
    """

    echo: F32
    mirror: F32
    loss: F32


def make_tissue(spec: PhantomSpec) -> Scene:
    """The bent layers of `spec`, without a lesion."""
    rng = spec.rng(2)
    shape = spec.inner
    mm = np.float32(spec.spacing.row)
    depth = (np.arange(shape[0], dtype=np.float32) * mm)[:, None]
    skin, fat, gland, retro, muscle = _borders(spec, rng)
    fibre = _fibres(spec, rng)
    strands = _strands(spec, rng)

    # Deep to shallow: each layer is painted over the one below, from its lower border up.
    echo = np.float32(-20) + np.float32(0.8) * fibre
    mirror = np.zeros(shape, np.float32)
    _paint(echo, depth, muscle, _muscle(spec, rng, fibre), mm)
    _paint(echo, depth, retro, np.float32(spec.tissue.fat_db + 2) + np.float32(0.6) * fibre, mm)
    _paint(echo, depth, gland, _gland(spec, rng, fibre), mm)
    mirror += strands * _above(depth, muscle, mm)
    level, septa, facing = make_fat(spec, rng, float(fat.max()))
    _paint(echo, depth, fat, level + np.float32(0.5) * fibre, mm)
    in_fat = _below(depth, skin, mm) * _above(depth, fat, mm)
    echo += in_fat * septa * (np.float32(5) + np.float32(9) * facing)
    mirror += in_fat * septa * facing * np.float32(1.2)
    for border, strength in ((fat, 0.3), (gland, 0.4), (retro, 0.9), (muscle, 0.6)):
        patchy = np.clip(0.45 + 0.65 * smooth_line(rng, shape[1], spec.pixels(1, 2.5)[1]), 0.03, 2)
        near, line = _line(depth, border, max(1.6 * float(mm), 0.13))
        mirror[near] += line * (strength * patchy).astype(np.float32)
        echo[near] += line * np.float32(4 * strength)
    add_lobules(spec, rng, echo, mirror)
    add_ducts(spec, rng, echo, mirror)
    ribs = add_ribs(spec, rng, echo, mirror)

    shift = _bend(spec, rng)
    # A mirror shows where it faces the beam, and never evenly.
    mirror *= np.exp(-np.square(slopes(shift)[1] / np.float32(0.35)) + fibre * np.float32(0.16))
    echo, mirror = warp_rows([echo, mirror], shift)
    _skin(spec, rng, echo, mirror, depth)
    return Scene(echo, mirror, shadows(spec, rng) + ribs)


def _borders(spec: PhantomSpec, rng: np.random.Generator) -> list[F32]:
    """The lower borders (W,) in mm of skin, fat, gland, retromammary fat and muscle, before the bending."""
    tissue = spec.tissue
    width = spec.inner[1]

    def wave(pitch_mm: float) -> F32:
        return smooth_line(rng, width, pitch_mm / spec.spacing.column)

    scallops = np.sqrt(np.square(wave(3.5)) + np.float32(0.05))  # Cooper's ligaments pull the gland up
    skin = np.full(width, tissue.skin_mm, np.float32)
    fat = tissue.fat_mm + (tissue.fat_mm - tissue.skin_mm) * (0.28 * (scallops - 0.8) + 0.15 * wave(8))
    gland = tissue.gland_mm + 0.1 * (tissue.gland_mm - tissue.fat_mm) * wave(6)
    retro = tissue.retromammary_mm + 0.2 * wave(9)
    muscle = tissue.muscle_mm + 0.3 * wave(9)
    lines = [skin]
    for line, gap in ((fat, 0.6), (gland, 0.4), (retro, 0.4), (muscle, 0.4)):
        lines.append(np.maximum(line, lines[-1] + gap).astype(np.float32))
    return lines


def _fibres(spec: PhantomSpec, rng: np.random.Generator) -> F32:
    """Unevenness along the layers in dB, at two scales."""
    fine = smooth_field(rng, spec.inner, spec.pixels(0.17, 0.9))
    coarse = smooth_field(rng, spec.inner, spec.pixels(0.5, 3.2))
    fine += coarse
    fine *= np.float32(0.75 * spec.tissue.fibre_db)
    return fine


def _strands(spec: PhantomSpec, rng: np.random.Generator) -> F32:
    """Short bright strands: level sets of a flat field, seen only here and there."""
    lines = lines_of(smooth_field(rng, spec.inner, spec.pixels(0.8, 6.0)), 1.2)
    seen = smooth_field(rng, spec.inner, spec.pixels(0.6, 1.4))
    lines *= np.clip(seen - np.float32(0.7), 0, 1.2)
    return lines


def _gland(spec: PhantomSpec, rng: np.random.Generator, fibre: F32) -> F32:
    """Fibroglandular tissue in dB: bright, clouded, with islands of fat and dark ductal streaks."""
    cloud = smooth_field(rng, spec.inner, spec.pixels(1.6, 3.4))
    islands = smooth_field(rng, spec.inner, spec.pixels(0.65, 1.7))
    share = np.float32(1.5 - 1.4 * spec.tissue.mix)
    dark = 1 / (1 + np.exp((share - islands) * np.float32(6)))
    gland: F32 = fibre + np.float32(2.4) * cloud
    gland += dark * (np.float32(spec.tissue.fat_db) - np.float32(0.6) * gland)
    return gland


def _muscle(spec: PhantomSpec, rng: np.random.Generator, fibre: F32) -> F32:
    """Pectoral muscle in dB: dark, with long thin bright striations."""
    striae = lines_of(smooth_field(rng, spec.inner, spec.pixels(0.42, 6.0)), 1.1)
    striae *= np.clip(np.float32(0.6) + smooth_field(rng, spec.inner, spec.pixels(0.8, 2.5)), 0, 1.6)
    muscle: F32 = np.float32(-15) + np.float32(0.6) * fibre
    muscle += np.float32(9) * striae
    return muscle


def _bend(spec: PhantomSpec, rng: np.random.Generator) -> F32:
    """Rows to add to a pixel's row to find its position in the flat tissue (H, W); 0 at the skin."""
    height, width = spec.inner
    slow = smooth_field(rng, (height, width), spec.pixels(9, 12))
    quick = smooth_field(rng, (height, width), spec.pixels(2.5, 3.5))
    across = (np.arange(width, dtype=np.float32) - np.float32(width / 2)) * np.float32(spec.spacing.column)
    depth = (np.arange(height, dtype=np.float32) * np.float32(spec.spacing.row))[:, None]
    shift: F32 = np.float32(spec.tissue.bend_mm) * slow
    shift += np.float32(0.25) * quick
    shift += np.float32(spec.tissue.dip) * across
    shift *= np.clip((depth - np.float32(spec.tissue.skin_mm)) / 5, 0, 1) / np.float32(spec.spacing.row)
    return shift


def _skin(spec: PhantomSpec, rng: np.random.Generator, echo: F32, mirror: F32, depth: F32) -> None:
    """Probe cover, gel and skin over the first millimetres: straight bands that follow the probe."""
    lower = float(spec.tissue.skin_mm)
    width = echo.shape[1]
    rows = min(len(depth), int(lower / spec.spacing.row) + 6)
    z = depth[:rows]
    inside = _above(z, np.full(width, lower, np.float32), np.float32(spec.spacing.row))
    texture = smooth_field(rng, (rows, width), spec.pixels(0.15, 2.5))
    gel = float(rng.uniform(0.25, 0.5))
    bands = np.where(z < gel, np.float32(-8), np.float32(-2)) + np.float32(1.5) * texture
    echo[:rows] += inside * (bands - echo[:rows])
    for place, strength in ((0.1, 1.2), (gel, 0.9), ((gel + lower) / 2, 0.3), (lower, 0.9)):
        line = np.exp(-np.square((z - np.float32(place)) / np.float32(0.1)))
        patchy = np.clip(0.8 + 0.35 * smooth_line(rng, width, spec.pixels(1, 3)[1]), 0.1, 2)
        mirror[:rows] += line * (strength * patchy).astype(np.float32)


def _above(depth: F32, border: F32, mm: np.float32) -> F32:
    weight: F32 = np.clip((border - depth) / (2 * mm) + np.float32(0.5), 0, 1)
    return weight


def _below(depth: F32, border: F32, mm: np.float32) -> F32:
    return 1 - _above(depth, border, mm)


def _line(depth: F32, border: F32, half_mm: float) -> tuple[slice, F32]:
    """A line along the border (W,), 1 at its middle, and the rows it covers."""
    step = float(depth[1, 0])
    top = max(0, int((float(border.min()) - 3 * half_mm) / step))
    near = slice(top, max(top, int((float(border.max()) + 3 * half_mm) / step)) + 1)
    line: F32 = np.exp(-np.square((depth[near] - border) / np.float32(half_mm)))
    return near, line


def _paint(echo: F32, depth: F32, border: F32, layer: F32, mm: np.float32) -> None:
    """Blend `layer` into `echo` above the border (W,), over two pixels."""
    rows = min(echo.shape[0], int(float(border.max()) / float(mm)) + 3)
    blend = layer[:rows] - echo[:rows]
    blend *= _above(depth[:rows], border, mm)
    echo[:rows] += blend
