"""From a spec to an image with its exact mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.data.phantoms.acoustics import compress, envelope_power
from sonoseg.data.phantoms.lesion import paint_lesion
from sonoseg.data.phantoms.marks import draw_marks
from sonoseg.data.phantoms.parameter_sampling import draw_spec
from sonoseg.data.phantoms.random_fields import smooth_line
from sonoseg.data.phantoms.spec import PhantomSpec
from sonoseg.data.phantoms.tissue import Scene, make_tissue
from sonoseg.image.frame import Frame

F32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Phantom:
    """One synthetic scan: the image, its exact mask bool (H, W), its label and what it was made of."""

    frame: Frame
    mask: NDArray[np.bool_]
    label: str
    spec: PhantomSpec


def render(spec: PhantomSpec) -> Phantom:
    """Make the image of `spec`: the same spec gives the same pixels, bit for bit, on the same machine.

    Other processors round the last bit otherwise: expect one grey level of difference there at most.
    """
    scene = make_tissue(spec)
    outline = spec.outline()
    mask = np.zeros(spec.inner, bool)
    if spec.lesion and outline:
        mask = paint_lesion(scene, spec, spec.lesion, outline)
    pixels = compress(spec, envelope_power(spec, *_amplitudes(scene, spec)))
    top, right, bottom, left = spec.border
    if any(spec.border):
        bars = ((top, bottom), (left, right))
        pixels, mask = np.pad(pixels, bars), np.pad(mask, bars)
    if spec.marks:
        pixels = draw_marks(pixels, spec, outline)
    name = f"{spec.kind}-{spec.seed}"
    return Phantom(Frame(pixels, spec.spacing, None, name), mask, spec.label, spec)


def make_phantoms(count: int, seed: int = 0, **wishes: Any) -> Iterator[Phantom]:
    """Render `count` phantoms with the seeds seed, seed + 1, ...; `wishes` go to draw_spec."""
    for number in range(seed, seed + count):
        yield render(draw_spec(number, **wishes))


def _amplitudes(scene: Scene, spec: PhantomSpec) -> tuple[F32, F32]:
    """Amplitudes of scatterers and mirrors (H, W) after attenuation, the gain curve and noise."""
    height, width = spec.inner
    rng = spec.rng(5)
    depth = (np.arange(height, dtype=np.float32) * np.float32(spec.spacing.row))[:, None]
    total = height * spec.spacing.row
    curve = 1.3 * smooth_line(rng, height, height / 4)[:, None]
    curve -= np.float32(spec.display.slope_db_per_mm) * np.maximum(depth - np.float32(0.35 * total), 0)
    aperture = (
        np.float32(spec.display.lateral_db) * smooth_line(rng, width, 5.0 / spec.spacing.column)[None, :]
    )
    gain = curve + aperture - scene.loss
    gain *= np.float32(np.log(10) / 20)
    gain = np.exp(gain)
    echo = np.exp(scene.echo * np.float32(np.log(10) / 20))
    echo *= gain
    noise = np.float32(10 ** (spec.display.noise_db / 10)) * 10 ** (depth / np.float32(total))
    np.square(echo, out=echo)
    echo += noise
    np.sqrt(echo, out=echo)
    mirror = scene.mirror * gain
    return echo, mirror
