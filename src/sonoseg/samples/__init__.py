"""The embedded sample scans: phantoms with known spacing and lesions, no patient data.

Remade by `python -m sonoseg.samples.make`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from sonoseg.image.calibration import Calibration, Spacing
from sonoseg.image.frame import Frame

FOLDER = Path(__file__).parent
TABLE = FOLDER / "samples.csv"


def table() -> list[dict[str, str]]:
    """One row a sample: name, spacing_row, spacing_column, kind, label, seed, longest_axis_mm."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def paths() -> list[Path]:
    """The PNG files of the samples, in the order of the table."""
    return [FOLDER / f"{row['name']}.png" for row in table()]


def frames() -> list[Frame]:
    """The samples as Frames, with their spacing."""
    read = []
    for row, path in zip(table(), paths(), strict=True):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L"))
        spacing = Spacing(float(row["spacing_row"]), float(row["spacing_column"]))
        read.append(Frame(pixels, source=path, calibration=Calibration.of(spacing, "table")))
    return read
