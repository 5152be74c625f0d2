"""The files that each picture's results are written to: one writer a kind, in a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sonoseg.files import atomic_write_bytes
from sonoseg.findings.lesions import Findings
from sonoseg.inference.segmentation import Segmentation
from sonoseg.outputs.entries import Written
from sonoseg.outputs.png import attention_png, colour_png, mask_png, probability_png

Make = Callable[[Segmentation, Findings], bytes]


@dataclass(frozen=True)
class Writer:
    """One kind of file.

    kind: how results call it. pattern: its path in the results folder, with {name}.
    make: what it holds.
    """

    kind: str
    pattern: str
    make: Make

    def place(self, name: str) -> str:
        """The file's path relative to the results folder."""
        return self.pattern.replace("{name}", name)

    def write(self, folder: Path, name: str, segmentation: Segmentation, findings: Findings) -> Written:
        """Write it, whole or not at all. Raises OutputError."""
        place = self.place(name)
        content = self.make(segmentation, findings)
        atomic_write_bytes(folder / place, content)
        return Written(place, sha256(content).hexdigest(), len(content))


def picture_writers(*, probability: bool = False, gates: Sequence[str] = ()) -> list[Writer]:
    """The overlay and the mask, and on request the probability and the attention maps of `gates`."""
    writers = [
        Writer("overlay", "overlays/{name}.png", lambda found, _: colour_png(found.overlay())),
        Writer("mask", "masks/{name}.png", lambda found, _: mask_png(found.mask)),
    ]
    if probability:
        writers.append(
            Writer(
                "probability", "probability/{name}.png", lambda found, _: probability_png(found.probability)
            )
        )
    writers += [
        Writer(gate, f"attention/{{name}}_gate{gate.removeprefix('attention_')}.png", _attention(gate))
        for gate in gates
    ]
    return writers


def _attention(gate: str) -> Make:
    return lambda found, _: attention_png(found, gate)
