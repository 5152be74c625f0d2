"""Chooses the engine and precision for "auto", without importing an engine."""

from __future__ import annotations

from typing import NamedTuple

from sonoseg._util.machine import usable_cores
from sonoseg._util.packages import is_installed
from sonoseg.inference.runtimes.base import Engine, Precision
from sonoseg.model.model import Model

FEW = 300
"""Up to this many images the engine with the shortest start-up time finishes first.

OpenVINO in int8 saves some three milliseconds per image and takes a second longer to start
(docs/runtimes.md).
"""


class Choice(NamedTuple):
    """An engine and its precision."""

    engine: Engine
    precision: Precision


# Fastest first, by docs/runtimes.md. torch is last: its import alone takes seconds, so it is used only on
# request, or where nothing else is installed.
BY_SPEED: tuple[Choice, ...] = (
    Choice("openvino", "int8"),
    Choice("onnx", "int8"),
    Choice("openvino", "bf16"),
    Choice("openvino", "fp32"),
    Choice("onnx", "fp32"),
    Choice("torch", "bf16"),
    Choice("torch", "fp32"),
)
BY_START: tuple[Choice, ...] = (
    Choice("onnx", "int8"),
    Choice("openvino", "int8"),
    Choice("onnx", "fp32"),
    Choice("openvino", "bf16"),
    Choice("openvino", "fp32"),
    Choice("torch", "bf16"),
    Choice("torch", "fp32"),
)
PACKAGES: dict[Engine, str] = {"onnx": "onnxruntime", "openvino": "openvino", "torch": "torch"}


def installed(engine: Engine) -> bool:
    """Return whether the engine's package is installed, without importing it."""
    return is_installed(PACKAGES[engine])


def side_by_side(threads: int | None) -> int:
    """Return how many images to run in parallel, a thread each: one per core, at most a batch of 8."""
    return max(1, min(8, threads or usable_cores()))


def choices(name: str, precision: str, model: Model, images: int | None = None) -> list[Choice]:
    """List the choices for a request, best first.

    name: an engine, or "auto". precision: one, or "auto", which allows float32 and the precisions whose
        measured loss on the model card is within its limit.
    images: about how many will be predicted; None where unknown, which counts as many.

    With both given there is one choice, installed or not: the engine itself reports what is missing.
    """
    order = BY_START if images is not None and images <= FEW else BY_SPEED
    wanted = [choice for choice in order if name in ("auto", choice.engine)]
    if precision == "auto":
        wanted = [choice for choice in wanted if choice.precision == "fp32" or model.card.allows(*choice)]
    else:
        wanted = [choice for choice in wanted if choice.precision == precision]
    if name == "auto":
        wanted = [choice for choice in wanted if installed(choice.engine)]
    return wanted
