"""Synthetic B-mode breast scans with exact masks and spacing: docs/phantoms.md says what is simulated."""

from sonoseg.datasets.phantoms.draw import LOOKS, draw_spec
from sonoseg.datasets.phantoms.phantom import Phantom, make_phantoms, render
from sonoseg.datasets.phantoms.spec import KINDS, LABELS, Kind, PhantomSpec
from sonoseg.datasets.phantoms.write import write_phantoms

__all__ = [
    "KINDS",
    "LABELS",
    "LOOKS",
    "Kind",
    "Phantom",
    "PhantomSpec",
    "draw_spec",
    "make_phantoms",
    "render",
    "write_phantoms",
]
