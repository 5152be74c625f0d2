"""OpenVINO on the CPU: the fastest engine, in the extra `openvino`. float32, bfloat16 and int8."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.packages import missing_extra
from sonoseg._util.text import first_line
from sonoseg.errors import ModelError
from sonoseg.inference.runtimes.base import (
    FEATURES,
    IMAGE,
    LOGIT,
    Engine,
    Precision,
    RuntimeOutput,
    Unsupported,
    load_error,
    run_error,
)
from sonoseg.model.model import Model

_HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


class OpenVinoRuntime:
    """The model's ONNX file, compiled by OpenVINO for one image per run.

    A batch is run image by image: on two cores that is as fast as any batch, needs the memory of one image,
    and gives the compiler fixed shapes. With several streams, that many images run in parallel and share the
    threads: slower for one image, but no thread waits for another that reading or writing keeps from its
    core.

    Raises MissingExtra without openvino, ModelError where the file is missing or damaged or is not the card's
    network, Unsupported for bf16 on a processor without it.
    """

    engine: Engine = "openvino"

    def __init__(
        self, model: Model, *, threads: int | None = None, precision: Precision = "fp32", streams: int = 1
    ) -> None:
        # Disables telemetry; must be set before the first import.
        os.environ.setdefault("OPENVINO_TELEMETRY_DISABLE", "1")
        try:
            import openvino
        except ImportError as error:
            raise missing_extra(error.name or "openvino", "openvino") from error
        core: Any = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Unsupported("this processor has no bfloat16")
        path = model.int8_path if precision == "int8" else model.onnx_path
        card = model.card.preprocessing
        self._shape = (1, card.channels, card.size, card.size)
        self._attention = list(model.card.attention)
        hints: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[precision]}
        if threads is not None:
            hints["INFERENCE_NUM_THREADS"] = threads
        if streams > 1:
            hints["NUM_STREAMS"] = streams
        try:
            network: Any = core.read_model(str(path))
        except Exception as error:
            raise load_error("OpenVINO", path, error) from error
        try:
            shape = network.input(IMAGE).get_partial_shape()
            if not shape.compatible(openvino.PartialShape(list(self._shape))):
                raise ValueError(f"the file takes {shape}")  # reshape() accepts any shape
            network.reshape({IMAGE: list(self._shape)})
            outputs = {name for output in network.outputs for name in output.get_names()}
            self._features = [FEATURES] if FEATURES in outputs else []
            missing = {LOGIT, *self._attention} - outputs
            if missing:
                raise ValueError(f"no output {', '.join(sorted(missing))}")
            compiled = core.compile_model(network, "CPU", hints)
            # Twice the streams: a stream that is done finds its next request without waiting for this thread.
            requests = 1 if streams == 1 else 2 * streams
            self._requests: list[Any] = [compiled.create_infer_request() for _ in range(requests)]
        except Exception as error:
            raise ModelError(
                f"the network does not match the card: {IMAGE} {self._shape} to "
                f"{[LOGIT, *self._attention]} ({first_line(error)})",
                where=path,
                remedy="Export the model again from its training run",
            ) from error
        self.precision: Precision = precision
        self._name = f"openvino {openvino.__version__.split('-')[0]} (CPU, {precision})"

    @property
    def name(self) -> str:
        """See base.Runtime."""
        return self._name

    def run(self, batch: NDArray[np.float32], attention: bool) -> RuntimeOutput:
        """See base.Runtime."""
        maps = self._attention if attention else []
        names = [LOGIT, *maps, *self._features]
        found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
        begun: deque[Any] = deque()

        def take() -> None:
            request = begun.popleft()
            request.wait()
            for name in names:
                # A copy: the next run reuses the memory.
                found[name].append(np.array(request.get_tensor(name).data, dtype=np.float32))

        try:
            for number, image in enumerate(batch):
                if len(begun) == len(self._requests):
                    take()
                request = self._requests[number % len(self._requests)]
                request.start_async({IMAGE: image[None]}, share_inputs=True)
                begun.append(request)
            while begun:
                take()
        except Exception as error:
            raise run_error(batch, error) from error
        whole = {name: np.concatenate(values) for name, values in found.items()}
        return RuntimeOutput(whole[LOGIT], {name: whole[name] for name in maps}, whole.get(FEATURES))
