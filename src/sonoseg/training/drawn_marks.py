"""Drawn marks, as machines and readers add them to images: callipers, text, boxes, a pictogram.

Networks trained on BUSI take callipers for a sign of a lesion (Dice 0.80 on marked images, 0.70 on others).
Marks are drawn on any tissue, with or without a lesion, so that they carry no information.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

TEXTS = (
    "Dist",
    "A 12.3mm",
    "+ L 8.1 mm",
    "R BREAST",
    "10:00 N4",
    "LT AXILLA",
    "RADIAL",
    "B 0.92cm",
    "x D 1.4",
)


def draw_marks(pixels: NDArray[np.uint8], mask: NDArray[np.uint8], random: np.random.Generator) -> None:
    """Draw one to three kinds of marks onto an image, in place.

    pixels: uint8 (H, W), writeable. mask: (H, W), above 0 in lesions: half of the callipers measure one, the
    others are placed at random.
    """
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    kinds = random.permutation(4)[: random.integers(1, 4)]
    for kind in kinds:
        (_callipers, _text, _box, _pictogram)[int(kind)](draw, pixels.shape, mask, random)
    pixels[:] = np.asarray(image)


def _callipers(
    draw: ImageDraw.ImageDraw,
    shape: tuple[int, ...],
    mask: NDArray[np.uint8],
    random: np.random.Generator,
) -> None:
    """Draw two crosses, often joined by a dotted line, sometimes with a second pair across."""
    height, width = shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) and random.random() < 0.5:
        middle = ((columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2)
        reach = ((columns[-1] - columns[0]) / 2, (rows[-1] - rows[0]) / 2)
    else:
        middle = (random.uniform(0.15, 0.85) * width, random.uniform(0.1, 0.85) * height)
        reach = (random.uniform(0.03, 0.2) * width, random.uniform(0.03, 0.15) * height)
    ink, arm, plus = int(random.integers(150, 256)), int(random.integers(1, 4)), random.random() < 0.5
    dotted, tilt = random.random() < 0.6, random.uniform(-0.3, 0.3)
    pairs = [((-1.0, -tilt), (1.0, tilt)), ((tilt, -1.0), (-tilt, 1.0))][: int(random.integers(1, 3))]
    for pair in pairs:
        ends = [(middle[0] + x * reach[0], middle[1] + y * reach[1]) for x, y in pair]
        for x, y in ends:
            steps = ((arm, 0), (0, arm)) if plus else ((arm, arm), (arm, -arm))
            for right, down in steps:
                draw.line((x - right, y - down, x + right, y + down), fill=ink)
        if dotted:
            length = max(2, int(np.hypot(ends[1][0] - ends[0][0], ends[1][1] - ends[0][1]) / 3))
            for part in np.linspace(0, 1, length):
                x, y = (a + part * (b - a) for a, b in zip(*ends, strict=True))
                draw.point((x, y), fill=ink)


def _text(
    draw: ImageDraw.ImageDraw, shape: tuple[int, ...], _: NDArray[np.uint8], random: np.random.Generator
) -> None:
    """Draw one or two lines of text."""
    height, width = shape
    x, y = random.uniform(0, 0.8) * width, random.uniform(0, 0.95) * height
    ink, size = int(random.integers(120, 256)), int(random.integers(7, 15))
    for line in range(int(random.integers(1, 3))):
        text = TEXTS[int(random.integers(len(TEXTS)))]
        draw.text((x, y + line * size * 1.2), text, fill=ink, font_size=size)


def _box(
    draw: ImageDraw.ImageDraw, shape: tuple[int, ...], _: NDArray[np.uint8], random: np.random.Generator
) -> None:
    """Draw the frame of a Doppler or elastography window."""
    height, width = shape
    x, y = random.uniform(0.05, 0.6) * width, random.uniform(0.05, 0.6) * height
    right, down = random.uniform(0.15, 0.5) * width, random.uniform(0.15, 0.5) * height
    draw.rectangle((x, y, x + right, y + down), outline=int(random.integers(90, 256)))


def _pictogram(
    draw: ImageDraw.ImageDraw, shape: tuple[int, ...], _: NDArray[np.uint8], random: np.random.Generator
) -> None:
    """Draw a breast pictogram with the probe position, in a corner."""
    height, width = shape
    side = random.uniform(0.08, 0.18) * min(shape)
    x = random.choice([0.02 * width, 0.98 * width - side])
    y = random.choice([0.02 * height, 0.98 * height - side])
    ink = int(random.integers(100, 256))
    if random.random() < 0.5:
        draw.rectangle((x, y, x + side, y + side), fill=0)
    draw.ellipse((x, y, x + side, y + side), outline=ink)
    angle, middle = random.uniform(0, 2 * np.pi), (x + side / 2, y + side / 2)
    at = (middle[0] + side / 3 * np.cos(angle), middle[1] + side / 3 * np.sin(angle))
    draw.line((at[0] - side / 8, at[1], at[0] + side / 8, at[1]), fill=ink, width=2)
