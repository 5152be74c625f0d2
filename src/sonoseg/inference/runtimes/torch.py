"""PyTorch on the trained weights: the reference for other runtimes. float32 and bfloat16, CPU or GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.packages import missing_extra
from sonoseg.inference.runtimes.base import Engine, Precision, RuntimeOutput, Unsupported, run_error
from sonoseg.model.model import Model


class TorchRuntime:
    """The network built from the card's options with the model's weights.safetensors, on a GPU if available.

    Raises MissingExtra without torch, ModelError where options or weights do not fit, Unsupported for int8,
    and for bf16 where the device lacks it.
    """

    engine: Engine = "torch"

    def __init__(self, model: Model, *, threads: int | None = None, precision: Precision = "fp32") -> None:
        if precision == "int8":
            raise Unsupported("torch runs a network in fp32 or bf16")
        try:
            import safetensors.torch  # noqa: F401
            import torch
        except ImportError as error:
            raise missing_extra(error.name or "torch", "train") from error
        from sonoseg.model.network_weights import load_network
        from sonoseg.networks.bfloat16 import has_bf16

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        if precision == "bf16" and not has_bf16(torch.device(self._device)):
            raise Unsupported(f"this {'GPU' if self._device == 'cuda' else 'processor'} has no bfloat16")
        network = load_network(model)
        if threads is not None:
            torch.set_num_threads(threads)
        self._torch: Any = torch
        self.precision: Precision = precision
        self._type = torch.bfloat16 if precision == "bf16" else torch.float32
        placed: Any = network.to(self._device, self._type)
        self._network = placed.to(memory_format=torch.channels_last)
        self._attention = list(model.card.attention)

    @property
    def name(self) -> str:
        """See base.Runtime."""
        return f"torch {self._torch.__version__} ({self._device.upper()}, {self.precision})"

    def run(self, batch: NDArray[np.float32], attention: bool) -> RuntimeOutput:
        """See base.Runtime."""
        torch = self._torch
        # Full float32 on a GPU too: with TF32 the runtimes would differ by more than 1e-4.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        try:
            with torch.inference_mode(), exact:
                image = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device, self._type)
                outputs = self._network(image.to(memory_format=torch.channels_last))
                maps = outputs.attention if attention else []
                pooled = () if outputs.features is None else (outputs.features,)
                found = [value.float().cpu().numpy() for value in (outputs.logit, *maps, *pooled)]
        except RuntimeError as error:
            raise run_error(batch, error) from error
        features = found.pop() if pooled else None
        names = self._attention if attention else []
        return RuntimeOutput(found[0], dict(zip(names, found[1:], strict=True)), features)
