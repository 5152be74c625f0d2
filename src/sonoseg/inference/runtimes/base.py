"""The interface of an engine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.text import first_line
from sonoseg.errors import ModelError

Engine = Literal["onnx", "openvino", "torch"]
Precision = Literal["fp32", "bf16", "int8"]

ENGINES: tuple[Engine, ...] = ("onnx", "openvino", "torch")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")

IMAGE, LOGIT, FEATURES = "image", "logit", "features"
"""The names of the exported network's input and outputs; the gates' outputs are named on the card."""


class Unsupported(Exception):
    """The engine or the machine does not support the requested precision; str() says why."""


class RuntimeOutput(NamedTuple):
    """What a network computed for a batch of N images.

    logit: float32 (N, 1, S, S). attention: each gate's coefficients, float32 (N, 1, h, w) in 0..1, by name
    ("attention_1" is the gate nearest the bottleneck); empty unless requested. features: float32 (N, C), the
    mean of each bottleneck channel; None for a network without this output.
    """

    logit: NDArray[np.float32]
    attention: dict[str, NDArray[np.float32]]
    features: NDArray[np.float32] | None


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

    def run(self, batch: NDArray[np.float32], attention: bool) -> RuntimeOutput:
        """Run the network.

        batch: float32 (N, C, S, S), preprocessed as the card says. attention: also return the gates'
        coefficients.

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
