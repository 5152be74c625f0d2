"""ONNX Runtime on the CPU: small, quick to start, in the core install."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ModelError
from sonoseg.model.model import Model

INPUT, LOGIT = "image", "logit"


class OnnxRuntime:
    """A session on the model's model.onnx.

    Raises ModelError where the file is damaged, or its inputs and outputs are not those of the card.
    """

    def __init__(self, model: Model, *, threads: int | None = None) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.log_severity_level = 3  # its warnings are about our graph's taste, not the user's picture
        if threads is not None:
            options.intra_op_num_threads = threads
        path = model.onnx_path
        try:
            self._session: Any = ort.InferenceSession(
                str(path), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions share no base class
            raise ModelError(
                f"ONNX Runtime cannot load this network ({_first_line(error)})",
                where=path,
                remedy="Copy the folder again, or export the model again from its training run",
            ) from error
        self._attention = list(model.card.attention)
        inputs = {item.name: list(item.shape) for item in self._session.get_inputs()}
        outputs = {item.name for item in self._session.get_outputs()}
        card = model.card.preprocessing
        wanted = [card.channels, card.size, card.size]
        shape = inputs.get(INPUT, [])
        fits = len(shape) == 4 and all(
            got == want or not isinstance(got, int) for got, want in zip(shape[1:], wanted, strict=True)
        )
        if not fits or not {LOGIT, *self._attention} <= outputs:
            raise ModelError(
                f"the network has inputs {inputs} and outputs {sorted(outputs)}, where the card means "
                f"{INPUT} (N, {', '.join(map(str, wanted))}) and {[LOGIT, *self._attention]}",
                where=path,
                remedy="Export the model again from its training run",
            )
        self._name = f"onnxruntime {ort.__version__} (CPU)"

    @property
    def name(self) -> str:
        """The engine and its version."""
        return self._name

    def run(
        self, batch: NDArray[np.float32], attention: bool
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """See base.Runtime."""
        names = self._attention if attention else []
        try:
            logit, *maps = self._session.run([LOGIT, *names], {INPUT: batch})
        except Exception as error:  # its exceptions share no base class
            raise ModelError(
                f"the network failed on a batch of shape {batch.shape} ({_first_line(error)})",
                remedy="Try a smaller batch, or another runtime",
            ) from error
        return logit, dict(zip(names, maps, strict=True))


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300].rstrip(". ")
