"""The engines that run a network, behind one interface; each has a module here."""

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
    """Load a network into an engine.

    name: "onnx", "openvino" or "torch"; "auto" is the first of choice.ORDER that is installed.
    threads: CPU threads per run; None leaves the number to the engine.
    precision: "fp32", "bf16" or "int8"; "auto" is the first whose measured loss on the model card is within
        its limit, so float32 for a model without measurements.
    images: about how many will be run, None where unknown. For more than choice.FEW, OpenVINO runs several in
        parallel; the result is the same.

    Raises UsageError for an unknown name, or a precision that the engine or the machine does not support;
    MissingExtra where the engine is not installed; ModelError where the model cannot be loaded or has no file
    of that precision.
    """
    if name not in RUNTIMES:
        raise UsageError(f"unknown runtime '{name}'", remedy=f"Choose one of: {', '.join(RUNTIMES)}")
    if precision not in PRECISION_NAMES:
        remedy = f"Choose one of: {', '.join(PRECISION_NAMES)}"
        raise UsageError(f"unknown precision '{precision}'", remedy=remedy)
    why = "this engine does not support it"
    for engine, kind in choices(name, precision, model):
        try:
            return _start(engine, model, kind, threads, images)
        except Unsupported as error:
            why = str(error)
        except MissingExtra as error:  # installed, but without a part of its own
            if name != "auto":
                raise
            why = str(error)
    raise UsageError(
        f"precision {precision} is not supported by the runtime '{name}' here: {why}",
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
