"""PyTorch, on the weights that training wrote: the reference that other runtimes are held against."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ModelError, missing_extra
from sonoseg.model.model import Model


class TorchRuntime:
    """The network built from the card's options, with the model's weights.safetensors, on a GPU where one is.

    Raises MissingExtra without torch, ModelError where options or weights do not fit.
    """

    def __init__(self, model: Model, *, threads: int | None = None) -> None:
        try:
            import torch
            from safetensors.torch import load_file
        except ImportError as error:
            raise missing_extra(error.name or "torch", "train") from error
        from sonoseg.network import NetworkOptions, build

        path = model.weights_path
        try:
            network = build(NetworkOptions.model_validate(model.card.network))
            network.load_state_dict(load_file(path))
        except Exception as error:  # pydantic's, safetensors' and torch's own
            raise ModelError(
                f"the weights do not fit the card's network ({str(error).splitlines()[0][:300]})",
                where=path,
                remedy="Copy the folder again, or use the run's own model folder",
            ) from error
        if threads is not None:
            torch.set_num_threads(threads)
        self._torch: Any = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        placed: Any = network.eval().to(self._device)
        self._network = placed.to(memory_format=torch.channels_last)
        self._attention = list(model.card.attention)

    @property
    def name(self) -> str:
        """The engine and its version."""
        return f"torch {self._torch.__version__} ({'CUDA' if self._device == 'cuda' else 'CPU'})"

    def run(
        self, batch: NDArray[np.float32], attention: bool
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        """See base.Runtime."""
        torch = self._torch
        # Full float32 on a GPU too: TF32 would leave the 1e-4 that runtimes agree within.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        try:
            with torch.inference_mode(), exact:
                image = torch.from_numpy(np.ascontiguousarray(batch)).to(self._device)
                outputs = self._network(image.to(memory_format=torch.channels_last))
                maps = outputs.attention if attention else []
                logit, *found = [value.float().cpu().numpy() for value in (outputs.logit, *maps)]
        except RuntimeError as error:
            raise ModelError(
                f"the network failed on a batch of shape {batch.shape} ({str(error).splitlines()[0][:300]})",
                remedy="Try a smaller batch, or another runtime",
            ) from error
        return logit, dict(zip(self._attention if attention else [], found, strict=True))
