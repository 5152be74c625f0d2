"""The interface of an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.text import first_line
from sonoseg.errors import ModelError

Engine = Literal["onnx", "openvino", "torch"]
Precision = Literal["fp32", "bf16", "int8"]

ENGINES: tuple[Engine, ...] = ("onnx", "openvino", "torch")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")

IMAGE, LOGIT = "image", "logit"
"""The names of the exported network's input and first output; the gates' outputs are named on the card."""


class Unsupported(Exception):
    """The engine or the machine does not support the requested precision; str() says why."""


class Runtime(Protocol):
    """A network loaded into an engine. Only one thread at a time may run it."""

    @property
    def name(self) -> str:
        """The full name with version, device and precision: "onnxruntime 1.18.0 (CPU, fp32)"."""
        ...

    @property
    def engine(self) -> Engine:
        """The short name, as `load_runtime` takes it."""
        ...

    @property
    def precision(self) -> Precision:
        """The precision of its arithmetic."""
        ...

    def run(
        self, batch: NDArray[np.float32], attention: bool
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Run the network.

        batch: float32 (N, C, S, S), preprocessed as the card says.

        Returns logits float32 (N, 1, S, S) and, if `attention` is set and the network has gates, each gate's
        coefficients float32 (N, 1, h, w) in 0..1 by name ("attention_1" is the gate nearest the bottleneck).
        Raises ModelError where the run fails.
        """
        ...


def load_error(engine: str, path: Path, error: Exception) -> ModelError:
    """Return the error for a network that an engine cannot load."""
    return ModelError(
        f"{engine} cannot load this network ({first_line(error)})",
        where=path,
        remedy="Copy the folder again, or export the model again from its training run",
    )


def run_error(batch: NDArray[np.float32], error: Exception) -> ModelError:
    """Return the error for a failed run on a batch."""
    return ModelError(
        f"the network failed on a batch of shape {batch.shape} ({first_line(error)})",
        remedy="Try a smaller batch, or another runtime",
    )
