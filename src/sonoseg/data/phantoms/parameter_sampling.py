"""Sampling of a phantom's parameters: their ranges, and which combinations are possible."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import numpy as np

from sonoseg.data.phantoms.spec import (
    KINDS,
    BeamSpec,
    DisplaySpec,
    Kind,
    LesionSpec,
    PhantomSpec,
    TissueSpec,
    outline_of,
)
from sonoseg.errors import UsageError
from sonoseg.image.calibration import Spacing

Range: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class PhantomStyle:
    """The image style of a scanner, as ranges to draw from.

    frequency: centre, MHz. looks: sub-apertures compounded. dynamic_range, gain: dB. gamma: of the grey
    curve. smoothing: strength of the display's filter, 0..1.
    """

    frequency: Range
    looks: tuple[int, int]
    dynamic_range: Range
    gain: Range
    gamma: Range
    smoothing: Range


STYLES: dict[str, PhantomStyle] = {
    "clear": PhantomStyle((9, 12), (3, 4), (56, 64), (-2, 4), (1.1, 1.4), (0.4, 0.8)),
    "soft": PhantomStyle((8, 10), (4, 5), (58, 65), (-1, 5), (1.05, 1.3), (0.7, 1.0)),
    "hard": PhantomStyle((7, 9), (2, 3), (50, 55), (-2, 4), (1.1, 1.4), (0.2, 0.5)),
    "dark": PhantomStyle((9, 13), (3, 4), (54, 60), (-7, -2), (1.2, 1.5), (0.4, 0.8)),
}


@dataclass(frozen=True)
class LesionRanges:
    """The appearance of a kind of lesion, as ranges to draw from.

    aspect: short over long axis. angle: of the long axis, degrees. lobes: height of the lobulation,
    relative. contrast: echo level against fat, dB. through: dB below the lesion, above 0 enhancement,
    below 0 shadow. edge: dB of the shadows below its sides. rim: dB of wall or halo. soft: width of the
    margin, mm.
    """

    aspect: Range
    angle: Range
    lobes: Range
    contrast: Range
    through: Range
    edge: Range
    rim: Range
    soft: Range


LESIONS: dict[Kind, LesionRanges] = {
    "cyst": LesionRanges(
        aspect=(0.55, 0.98),
        angle=(-15, 15),
        lobes=(0.0, 0.05),
        contrast=(-30, -18),
        through=(4, 9),
        edge=(3, 7),
        rim=(-4, 2),
        soft=(0.05, 0.12),
    ),
    "oval": LesionRanges(
        aspect=(0.4, 0.75),
        angle=(-18, 18),
        lobes=(0.03, 0.1),
        contrast=(-9, -3.5),
        through=(0.5, 4),
        edge=(1, 5),
        rim=(-9, -2),
        soft=(0.1, 0.25),
    ),
    "spiculated": LesionRanges(
        aspect=(0.55, 0.95),
        angle=(35, 145),
        lobes=(0.05, 0.1),
        contrast=(-12, -5),
        through=(-20, -5),
        edge=(0, 1.5),
        rim=(2, 5),
        soft=(0.15, 0.4),
    ),
}


def draw_spec(
    seed: int | np.random.Generator,
    *,
    kind: str | None = None,
    size_mm: float | None = None,
    depth_mm: float | None = None,
    spacing: float | tuple[float, float] | None = None,
    shape: tuple[int, int] | None = None,
    style: str | None = None,
    borders: bool | None = None,
    marks: bool = False,
) -> PhantomSpec:
    """Draw the parameters of one phantom; what is not given is drawn.

    seed: a whole number of 0 or more, or a generator that gives one. kind: one of KINDS. size_mm: the
    lesion's longest axis. depth_mm: its middle under the probe. spacing: mm per pixel, one number or
    (row, column). shape: (H, W) in pixels. style: one of STYLES. borders: black bars at the sides, as
    screen captures have; None draws them in one of five. marks: callipers and text drawn into the
    image. With a size or a depth given, no normal phantoms are drawn.
    Raises UsageError where the values given contradict each other.
    """
    number = int(seed.integers(2**31)) if isinstance(seed, np.random.Generator) else int(seed)
    if number < 0:
        raise UsageError(f"a seed of {number}", where="phantom", remedy="Give a whole number of 0 or more")
    rng = np.random.default_rng([number, 0])
    shares = np.array([0.25, 0.3, 0.25, 0.2 if size_mm is None and depth_mm is None else 0.0])
    drawn_kind = str(rng.choice(KINDS, p=shares / shares.sum()))
    chosen = cast(Kind, _one_of("kind", kind, KINDS, drawn_kind))
    drawn_style = str(rng.choice(list(STYLES), p=[0.4, 0.25, 0.15, 0.2]))
    name = _one_of("look", style, tuple(STYLES), drawn_style)
    pixel = float(rng.uniform(0.07, 0.095))
    drawn_shape = (int(rng.integers(410, 500)), int(rng.integers(480, 620)))
    framed = bool(rng.random() < 0.2)
    bars = rng.integers(4, 40, 3)
    height, width = shape or drawn_shape
    step = Spacing(pixel, pixel) if spacing is None else _spacing(spacing)
    border = (0, 0, 0, 0)
    if framed if borders is None else borders:
        right, bottom, left = (
            min(int(bar), side // 10) for bar, side in zip(bars, (width, height, width), strict=True)
        )
        border = (0, right, bottom, left)
    tall, wide = (height - border[2]) * step.row, (width - border[1] - border[3]) * step.column
    if min(height, width) < 64 or min(tall, wide) < 8:
        raise UsageError(
            f"a phantom of {height}x{width} px at {step.row:g}x{step.column:g} mm per pixel",
            where="phantom",
            remedy="Give 64 px and 8 mm or more each way",
        )
    tissue = _draw_tissue(rng, tall, chosen)
    beam, display = _draw_console(rng, name, tall)
    lesion = None
    if chosen != "normal":
        lesion = _draw_lesion(rng, chosen, number, tissue, (tall, wide), size_mm, depth_mm)
    elif size_mm is not None or depth_mm is not None:
        raise UsageError(
            "a normal phantom has no lesion to size or place",
            where="phantom",
            remedy="Drop the size and depth",
        )
    return PhantomSpec(
        chosen, number, (height, width), step, lesion, tissue, beam, display, border, bool(marks)
    )


def _draw_tissue(rng: np.random.Generator, tall: float, kind: Kind) -> TissueSpec:
    skin = min(float(rng.uniform(1.3, 2.3)), 0.12 * tall)
    fat = skin + float(rng.uniform(0.07, 0.3)) * tall
    gland = fat + float(rng.uniform(0.22, 0.42)) * tall
    retro = gland + float(rng.uniform(0.02, 0.08)) * tall
    muscle = retro + float(rng.uniform(0.14, 0.28)) * tall
    normal = kind == "normal"
    return TissueSpec(
        skin_mm=skin,
        fat_mm=fat,
        gland_mm=gland,
        retromammary_mm=retro,
        muscle_mm=muscle,
        fat_db=float(rng.uniform(-15, -8)),
        fibre_db=float(rng.uniform(2.0, 4.5)),
        bend_mm=float(rng.uniform(0.3, 1.5)),
        dip=float(rng.uniform(-0.12, 0.12)),
        mix=float(rng.beta(1.2, 2.5)),
        ribs=bool(rng.random() < 0.3),
        lobules=int(rng.integers(1, 5) if normal else rng.integers(0, 3)),
        ducts=int(rng.integers(0, 4) if normal else rng.integers(0, 2)),
        shadows=int(rng.integers(1, 5) if normal else rng.integers(0, 3)),
    )


def _draw_console(rng: np.random.Generator, name: str, tall: float) -> tuple[BeamSpec, DisplaySpec]:
    style = STYLES[name]
    beam = BeamSpec(
        frequency_mhz=float(rng.uniform(*style.frequency)),
        f_number=float(rng.uniform(1.3, 1.9)),
        focus_mm=float(rng.uniform(0.3, 0.6) * tall),
        looks=int(rng.integers(style.looks[0], style.looks[1] + 1)),
    )
    display = DisplaySpec(
        style=name,
        slope_db_per_mm=float(rng.uniform(0.1, 0.8)),
        noise_db=float(rng.uniform(-54, -40)),
        lateral_db=float(rng.uniform(0.6, 2.2)),
        dynamic_range_db=float(rng.uniform(*style.dynamic_range)),
        gain_db=float(rng.uniform(*style.gain)),
        gamma=float(rng.uniform(*style.gamma)),
        smoothing=float(rng.uniform(*style.smoothing)),
    )
    return beam, display


def _draw_lesion(
    rng: np.random.Generator,
    kind: Kind,
    seed: int,
    tissue: TissueSpec,
    extent: tuple[float, float],
    size_mm: float | None,
    depth_mm: float | None,
) -> LesionSpec:
    """Draw a lesion and its position within `extent`, (height, width) in mm."""
    ranges = LESIONS[kind]
    size = float(np.clip(rng.lognormal(np.log(12.0), 0.45), 4.0, 0.55 * min(extent)))
    if size_mm is not None and not size_mm > 0:
        raise UsageError(
            f"a lesion of {size_mm:g} mm", where="phantom", remedy="Give a longest axis above 0 mm"
        )
    lesion = LesionSpec(
        size_mm=size if size_mm is None else float(size_mm),
        depth_mm=0.0,
        lateral_mm=0.0,
        aspect=float(rng.uniform(*ranges.aspect)),
        angle_deg=float(rng.uniform(*ranges.angle)),
        lobes=float(rng.uniform(*ranges.lobes)),
        corners=int(rng.integers(5, 12)) if kind == "spiculated" else 0,
        contrast_db=tissue.fat_db + float(rng.uniform(*ranges.contrast)),
        through_db=float(rng.uniform(*ranges.through)),
        edge_db=float(rng.uniform(*ranges.edge)),
        rim_db=float(rng.uniform(*ranges.rim)),
        soft_mm=float(rng.uniform(*ranges.soft)),
    )
    depth_share, lateral_share = float(rng.uniform(0.1, 0.75)), float(rng.uniform())
    while True:
        half_tall, half_wide = np.ptp(outline_of(lesion, seed).points, axis=0) / 2
        top, bottom = tissue.skin_mm + 0.5 + half_tall, extent[0] - 1.0 - half_tall
        left, right = 1.0 + half_wide, extent[1] - 1.0 - half_wide
        if top <= bottom and left <= right:
            break
        if size_mm is not None:
            raise UsageError(
                f"a lesion of {size_mm:g} mm does not fit into {extent[0]:.0f} x {extent[1]:.0f} mm",
                where="phantom",
                remedy="Ask for a smaller lesion, a larger shape or a larger spacing",
            )
        lesion = replace(lesion, size_mm=lesion.size_mm * 0.8)
    if depth_mm is not None and not top <= depth_mm <= bottom:
        raise UsageError(
            f"a lesion of {lesion.size_mm:.1f} mm cannot lie {depth_mm:g} mm deep here",
            where="phantom",
            remedy=f"Choose a depth between {top:.1f} and {bottom:.1f} mm",
        )
    # Lesions of the breast lie in its gland or just above: seldom in the muscle.
    lowest = min(bottom, max(top, tissue.gland_mm - 0.5 * half_tall))
    depth = top + depth_share * (lowest - top) if depth_mm is None else depth_mm
    return replace(lesion, depth_mm=float(depth), lateral_mm=float(left + lateral_share * (right - left)))


def _one_of(what: str, wish: str | None, choices: tuple[str, ...], drawn: str) -> str:
    if wish is None:
        return drawn
    if wish not in choices:
        raise UsageError(
            f"unknown {what} '{wish}'", where="phantom", remedy=f"Choose one of {', '.join(choices)}"
        )
    return wish


def _spacing(value: float | tuple[float, float]) -> Spacing:
    pair = Spacing(*value) if isinstance(value, tuple) else Spacing(float(value), float(value))
    if not all(np.isfinite(s) and s > 0 for s in pair):
        raise UsageError(f"a spacing of {tuple(pair)}", where="phantom", remedy="Give mm per pixel above 0")
    return pair
