"""Chooses the engine and precision for "auto", without importing an engine."""

from __future__ import annotations

from typing import NamedTuple

from sonoseg._util.machine import usable_cores
from sonoseg._util.packages import is_installed
from sonoseg.inference.runtimes.base import Engine, Precision
from sonoseg.model.model import Model

FEW = 300
"""For more images than this, OpenVINO runs several in parallel, which takes longer to start."""


class Choice(NamedTuple):
    """An engine and its precision."""

    engine: Engine
    precision: Precision


ORDER: tuple[Choice, ...] = (
    Choice("onnx", "int8"),
    Choice("openvino", "int8"),
    Choice("openvino", "bf16"),
    Choice("onnx", "fp32"),
    Choice("openvino", "fp32"),
    Choice("torch", "bf16"),
    Choice("torch", "fp32"),
)
"""The order in which "auto" tries them, the same however many images there are and whoever asks: engines
differ in single pixels, so a PACS node and the command line must not choose differently.

Faster precisions come first, and at equal precision ONNX Runtime: it is part of every installation and starts
a second sooner; OpenVINO saves some three milliseconds per image (docs/runtimes.md). torch is last: its
import alone takes seconds.
"""

PACKAGES: dict[Engine, str] = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


def installed(engine: Engine) -> bool:
    """Return whether the engine's package is installed, without importing it."""
    return is_installed(PACKAGES[engine])


def side_by_side(threads: int | None) -> int:
    """Return how many images to run in parallel, a thread each: one per core, at most a batch of 8."""
    return max(1, min(8, threads or usable_cores()))


def choices(name: str, precision: str, model: Model) -> list[Choice]:
    """List the choices for a request, best first.

    name: an engine, or "auto". precision: one, or "auto", which allows float32 and the precisions whose
        measured loss on the model card is within its limit.

    With both given there is one choice, installed or not: the engine itself reports what is missing.
    """
    wanted = [choice for choice in ORDER if name in ("auto", choice.engine)]
    if precision == "auto":
        wanted = [choice for choice in wanted if choice.precision == "fp32" or model.card.allows(*choice)]
    else:
        wanted = [choice for choice in wanted if choice.precision == precision]
    if name == "auto":
        wanted = [choice for choice in wanted if installed(choice.engine)]
    return wanted
