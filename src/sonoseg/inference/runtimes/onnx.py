"""ONNX Runtime on the CPU: part of the core install, short start-up time. float32 and int8."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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


class OnnxRuntime:
    """An inference session on the model's model.onnx, or for int8 on its model.int8.onnx.

    Raises ModelError where the file is missing or damaged, or its inputs and outputs are not those of the
    card; Unsupported for bf16.
    """

    engine: Engine = "onnx"

    def __init__(self, model: Model, *, threads: int | None = None, precision: Precision = "fp32") -> None:
        if precision == "bf16":
            raise Unsupported("ONNX Runtime has no bfloat16 on the CPU")
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 3  # warnings about the graph do not concern users
        # Idle threads sleep instead of spinning: reading and writing share these cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        path = model.int8_path if precision == "int8" else model.onnx_path
        try:
            self._session: Any = ort.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no base class
            raise load_error("ONNX Runtime", path, error) from error
        self.precision: Precision = precision
        self._attention = list(model.card.attention)
        inputs = {item.name: list(item.shape) for item in self._session.get_inputs()}
        outputs = {item.name for item in self._session.get_outputs()}
        card = model.card.preprocessing
        wanted = [card.channels, card.size, card.size]
        shape = inputs.get(IMAGE, [])
        fits = len(shape) == 4 and all(
            got == want or not isinstance(got, int) for got, want in zip(shape[1:], wanted, strict=True)
        )
        if not fits or not {LOGIT, *self._attention} <= outputs:
            raise ModelError(
                f"the network has inputs {inputs} and outputs {sorted(outputs)}, where the card requires "
                f"{IMAGE} (N, {', '.join(map(str, wanted))}) and {[LOGIT, *self._attention]}",
                where=path,
                remedy="Export the model again from its training run",
            )
        self._features = [FEATURES] if FEATURES in outputs else []
        self._name = f"onnxruntime {ort.__version__} (CPU, {precision})"

    @property
    def name(self) -> str:
        """See base.Runtime."""
        return self._name

    def run(self, batch: NDArray[np.float32], attention: bool) -> RuntimeOutput:
        """See base.Runtime."""
        names = self._attention if attention else []
        try:
            found = self._session.run([LOGIT, *names, *self._features], {IMAGE: batch})
        except Exception as error:  # its exceptions share no base class
            raise run_error(batch, error) from error
        features = found.pop() if self._features else None
        return RuntimeOutput(found[0], dict(zip(names, found[1:], strict=True)), features)
