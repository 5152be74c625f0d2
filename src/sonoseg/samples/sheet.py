"""The sheet of samples with their outlines: python -m sonoseg.samples.sheet docs/images/phantoms.png."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_dilation, binary_erosion

from sonoseg._util.files import atomic_write_bytes
from sonoseg.data.phantoms.phantom import Phantom, render
from sonoseg.data.phantoms.phantom_folder import encode_png
from sonoseg.samples.make import SAMPLES

_COLOUR = (230, 159, 0)  # orange of the Okabe-Ito palette, distinguishable from grey with any colour vision
_CAPTION = 26
_GAP = 8
_SCALE = 0.8
_COLUMNS = 4


def sheet(path: str | Path) -> None:
    """Write the samples as one image, four a row, each lesion outlined."""
    phantoms = [render(sample.spec) for sample in SAMPLES]
    height, width = (round(side * _SCALE) for side in phantoms[0].spec.shape)
    rows = -(-len(phantoms) // _COLUMNS)
    tile = (width + _GAP, height + _CAPTION + _GAP)
    page = Image.new("RGB", (_COLUMNS * tile[0] - _GAP, rows * tile[1] - _GAP), "white")
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(16)
    for number, (sample, phantom) in enumerate(zip(SAMPLES, phantoms, strict=True)):
        row, column = divmod(number, _COLUMNS)
        x, y = column * tile[0], row * tile[1]
        size = f", longest axis {phantom.spec.size_mm:g} mm" if phantom.spec.lesion else ""
        pen.text((x + 2, y + 2), f"{sample.kind}{size}", fill="black", font=font)
        scan = Image.fromarray(_outlined(phantom)).resize((width, height), Image.Resampling.LANCZOS)
        page.paste(scan, (x, y + _CAPTION))
    atomic_write_bytes(path, encode_png(np.asarray(page)))


def _outlined(phantom: Phantom) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): the scan with a thin line just outside its mask."""
    colour = np.repeat(phantom.frame.pixels[..., None], 3, axis=2)
    around = binary_dilation(phantom.mask, iterations=2)
    colour[around & ~binary_erosion(around)] = _COLOUR
    return colour


if __name__ == "__main__":
    sheet(sys.argv[1] if len(sys.argv) > 1 else "docs/images/phantoms.png")
