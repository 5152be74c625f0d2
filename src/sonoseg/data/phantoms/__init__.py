"""Synthetic B-mode breast scans with exact masks and spacing: docs/phantoms.md says what is simulated."""

from sonoseg.data.phantoms.parameter_sampling import STYLES, draw_spec
from sonoseg.data.phantoms.phantom import Phantom, make_phantoms, render
from sonoseg.data.phantoms.phantom_folder import write_phantoms
from sonoseg.data.phantoms.spec import KINDS, LABELS, Kind, PhantomSpec

__all__ = [
    "KINDS",
    "LABELS",
    "STYLES",
    "Kind",
    "Phantom",
    "PhantomSpec",
    "draw_spec",
    "make_phantoms",
    "render",
    "write_phantoms",
]
