"""What the Predictor asks of an engine."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Engine = Literal["onnx", "openvino", "torch"]
Precision = Literal["fp32", "bf16", "int8"]

ENGINES: tuple[Engine, ...] = ("onnx", "openvino", "torch")
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")

IMAGE, LOGIT = "image", "logit"
"""The names of the exported network's input and first output; the gates' outputs are named on the card."""


class Unsupported(Exception):
    """This engine or this machine does not compute in the precision asked for; str() says why."""


class Runtime(Protocol):
    """A loaded network. Runs are made one at a time, from any one thread."""

    @property
    def name(self) -> str:
        """How results name it, with version, device and precision: "onnxruntime 1.18.0 (CPU, fp32)"."""
        ...

    @property
    def engine(self) -> Engine:
        """What `load_runtime` calls it."""
        ...

    @property
    def precision(self) -> Precision:
        """What it computes in."""
        ...

    def run(
        self, batch: NDArray[np.float32], attention: bool
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """Run the network.

        batch: float32 (N, C, S, S), preprocessed as the card says.

        Returns logits float32 (N, 1, S, S) and, where `attention` is asked for and the network has gates,
        each gate's coefficients float32 (N, 1, h, w) in 0..1 under its name ("attention_1" is the gate
        nearest the bottleneck). Raises ModelError where the run fails.
        """
        ...
