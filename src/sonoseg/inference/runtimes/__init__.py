"""The engines that run a network, behind one small interface. A new one is a file here and a line below."""

from __future__ import annotations

from typing import Literal

from sonoseg.errors import MissingExtra, UsageError
from sonoseg.inference.runtimes.base import ENGINES, PRECISIONS, Engine, Precision, Runtime, Unsupported
from sonoseg.inference.runtimes.choice import FEW, choices, side_by_side
from sonoseg.model.model import Model

RuntimeName = Literal["auto", "onnx", "openvino", "torch"]
PrecisionName = Literal["auto", "fp32", "bf16", "int8"]
RUNTIMES = ("auto", *ENGINES)
PRECISION_NAMES = ("auto", *PRECISIONS)


def load_runtime(
    name: str,
    model: Model,
    *,
    threads: int | None = None,
    precision: str = "auto",
    images: int | None = None,
) -> Runtime:
    """Start an engine.

    name: "onnx", "openvino" or "torch"; "auto" is the fastest that is installed (see choice.BY_SPEED).
    threads: CPU threads for one run; None leaves it to the engine.
    precision: "fp32", "bf16" or "int8"; "auto" is the fastest that the model's card lists as measured with a
        loss within its bar, so float32 for a model nobody has measured.
    images: about how many will be run, None where unknown. "auto" weighs how long an engine takes to start;
        and of more than choice.FEW, OpenVINO runs some side by side.

    Raises UsageError for another name, or a precision that neither engine nor machine has; MissingExtra where
    the engine is not installed; ModelError where the model does not load or has no file of that precision.
    """
    if name not in RUNTIMES:
        raise UsageError(f"no runtime named '{name}'", remedy=f"Choose one of: {', '.join(RUNTIMES)}")
    if precision not in PRECISION_NAMES:
        remedy = f"Choose one of: {', '.join(PRECISION_NAMES)}"
        raise UsageError(f"no precision named '{precision}'", remedy=remedy)
    why = "this engine does not compute in it"
    for engine, kind in choices(name, precision, model, images):
        try:
            return _start(engine, model, kind, threads, images)
        except Unsupported as error:
            why = str(error)
        except MissingExtra as error:  # installed, but without a part of its own
            if name != "auto":
                raise
            why = str(error)
    raise UsageError(
        f"{precision} with the runtime '{name}' is not possible here: {why}",
        remedy="Choose another --precision, or leave it out",
    )


def _start(
    engine: Engine, model: Model, precision: Precision, threads: int | None, images: int | None
) -> Runtime:
    if engine == "onnx":
        from sonoseg.inference.runtimes.onnx import OnnxRuntime

        return OnnxRuntime(model, threads=threads, precision=precision)
    if engine == "openvino":
        from sonoseg.inference.runtimes.openvino import OpenVinoRuntime

        streams = side_by_side(threads) if images is not None and images > FEW else 1
        return OpenVinoRuntime(model, threads=threads, precision=precision, streams=streams)
    from sonoseg.inference.runtimes.torch import TorchRuntime

    return TorchRuntime(model, threads=threads, precision=precision)
