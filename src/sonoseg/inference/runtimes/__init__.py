"""The engines that run a network, behind one small interface. A new one is a file here and a line below."""

from __future__ import annotations

from typing import Literal

from sonoseg.errors import UsageError
from sonoseg.inference.runtimes.base import Runtime
from sonoseg.model.model import Model

RuntimeName = Literal["auto", "onnx", "torch"]
RUNTIMES = ("auto", "onnx", "torch")


def load_runtime(name: str, model: Model, *, threads: int | None = None) -> Runtime:
    """Start the engine of that name; "auto" is ONNX Runtime, which the core install brings.

    threads: CPU threads for one run; None leaves it to the engine.
    Raises UsageError for another name, MissingExtra without torch, ModelError where the model does not load.
    """
    if name in ("auto", "onnx"):
        from sonoseg.inference.runtimes.onnx import OnnxRuntime

        return OnnxRuntime(model, threads=threads)
    if name == "torch":
        from sonoseg.inference.runtimes.torch import TorchRuntime

        return TorchRuntime(model, threads=threads)
    raise UsageError(f"no runtime named '{name}'", remedy=f"Choose one of: {', '.join(RUNTIMES)}")
