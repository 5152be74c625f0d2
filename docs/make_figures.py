"""Remake every figure of the README and the docs: `make figures`. Phantoms only, of no patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sonoseg import Predictor, samples
from sonoseg.figures.network import architecture
from sonoseg.figures.style import save
from sonoseg.findings.lesions import measure
from sonoseg.imaging.overlay import overlay
from sonoseg.network import build
from sonoseg.network.summary import summary
from sonoseg.samples.sheet import sheet

IMAGES = Path(__file__).parent / "images"


def demo() -> Image.Image:
    """The sample scans as the shipped model sees them: above the scan, below it with what was found."""
    predictor, columns = Predictor(), []
    font = ImageFont.load_default(size=22)
    width, height, text = 440, 356, 34
    for frame in [frame for frame in samples.frames() if frame.name in SHOWN]:
        segmentation = predictor.predict(frame)
        lesions = measure(segmentation).lesions
        sizes = ", ".join(f"{lesion.longest_axis:.1f} mm" for lesion in lesions) or "no lesion found"
        column = Image.new("RGB", (width, 2 * height + text), "white")
        found = overlay(frame.pixels, segmentation.mask)
        for row, pixels in enumerate((np.repeat(frame.pixels[..., None], 3, axis=2), found)):
            shown = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
            column.paste(shown, (0, row * height))
        ImageDraw.Draw(column).text((width / 2, 2 * height + text / 2), sizes, "black", font, "mm")
        columns.append(column)
    gap = 8
    picture = Image.new("RGB", (len(columns) * (width + gap) - gap, columns[0].height), "white")
    for k, column in enumerate(columns):
        picture.paste(column, (k * (width + gap), 0))
    return picture


SHOWN = ("cyst-9mm", "oval-16mm", "spiculated-15mm", "oval-4mm")


def main() -> None:
    """Write them all."""
    IMAGES.mkdir(exist_ok=True)
    demo().save(IMAGES / "demo.png", optimize=True)
    layers = [row._asdict() for row in summary(build("seed"))]
    save(architecture(layers), IMAGES / "seed-network.png", dpi=100)
    sheet(IMAGES / "phantoms.png")


if __name__ == "__main__":
    main()
