"""Make the sample scans again: python -m sonoseg.samples.make [FOLDER]."""

from __future__ import annotations

import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path

from sonoseg._util.files import atomic_write_bytes, atomic_write_text
from sonoseg.data.phantoms import PhantomSpec, draw_spec
from sonoseg.data.phantoms.phantom import render
from sonoseg.data.phantoms.phantom_folder import encode_png
from sonoseg.samples import FOLDER, TABLE

SHAPE = (380, 470)
SPACING_MM = 0.085


@dataclass(frozen=True)
class Sample:
    """One sample: the parameters given; the others are drawn from the seed."""

    name: str
    kind: str
    seed: int
    size_mm: float | None
    style: str

    @property
    def spec(self) -> PhantomSpec:
        """Every parameter of the sample's phantom."""
        return draw_spec(
            self.seed,
            kind=self.kind,
            size_mm=self.size_mm,
            style=self.style,
            shape=SHAPE,
            spacing=SPACING_MM,
            borders=False,
        )


SAMPLES = (
    Sample("cyst-14mm", "cyst", 224, 14.0, "clear"),
    Sample("cyst-9mm", "cyst", 201, 9.0, "soft"),
    Sample("oval-16mm", "oval", 210, 16.0, "clear"),
    Sample("oval-11mm", "oval", 203, 11.0, "dark"),
    Sample("spiculated-15mm", "spiculated", 212, 15.0, "clear"),
    Sample("spiculated-10mm", "spiculated", 237, 10.0, "hard"),
    Sample("oval-4mm", "oval", 214, 4.0, "soft"),
    Sample("normal", "normal", 207, None, "clear"),
)


def make(folder: Path = FOLDER) -> list[Path]:
    """Write the samples and their table into `folder`, replacing what is there. Returns the PNG files."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("name", "spacing_row", "spacing_column", "kind", "label", "seed", "longest_axis_mm"))
    written = []
    for sample in SAMPLES:
        spec = sample.spec
        path = folder / f"{sample.name}.png"
        atomic_write_bytes(path, encode_png(render(spec).frame.pixels))
        writer.writerow(
            (
                sample.name,
                spec.spacing.row,
                spec.spacing.column,
                spec.kind,
                spec.label,
                spec.seed,
                spec.size_mm,
            )
        )
        written.append(path)
    atomic_write_text(folder / TABLE.name, text.getvalue())
    return written


if __name__ == "__main__":
    for made in make(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(made)
