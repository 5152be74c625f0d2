"""The weights as a model's files hold them: as trained, or rounded to float16 in every file alike."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sonoseg.errors import ModelError
from sonoseg.training.recipe import Store


def to_store(network: nn.Module, kind: Store) -> dict[str, Tensor]:
    """The network's state on the CPU, as weights.safetensors keeps it.

    float16 halves convolutions and linear layers, which are nearly all there is; biases and the statistics of
    batch norm stay in float32. Loaded into a network these values become float32 again, and no others: so
    `network.load_state_dict(to_store(network, kind))` rounds it to what will be stored.

    A layer that the network has under two names (MONAI's DynUNet) is kept under both: the file's format knows
    no shared memory.

    Raises ModelError for a weight that is beyond the range of float16.
    """
    state, seen = {}, set()
    for name, value in network.state_dict().items():
        kept = value.detach().cpu().contiguous()
        state[name] = kept.clone() if kept.data_ptr() in seen else kept
        seen.add(kept.data_ptr())
    if kind == "float32":
        return state
    for name, layer in network.named_modules(remove_duplicate=False):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            key = f"{name}.weight"
            state[key] = state[key].to(torch.float16)
            if not bool(torch.isfinite(state[key]).all()):
                raise ModelError(
                    f"the weights {key} are beyond the range of float16",
                    where="store",
                    remedy="Write store: float32 into the run's recipe.yaml, then go on with --resume",
                )
    return state
