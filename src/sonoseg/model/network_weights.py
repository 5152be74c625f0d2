"""The network of a model folder: its weights loaded, and prepared for storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sonoseg._util.text import first_line
from sonoseg.errors import ModelError
from sonoseg.networks.options import NetworkOptions
from sonoseg.networks.presets import build

if TYPE_CHECKING:
    from sonoseg.model.model import Model
    from sonoseg.networks.attention_unet import AttentionUNet
    from sonoseg.networks.peer_networks import PeerNetwork

StoredPrecision = Literal["float32", "float16"]


def load_network(model: Model) -> AttentionUNet | PeerNetwork:
    """Build the network of a model's card with its weights: float32, on the CPU, in evaluation mode.

    Raises ModelError where the card's options or the weights do not fit.
    """
    path = model.weights_path
    try:
        network = build(NetworkOptions.model_validate(model.card.network))
        network.load_state_dict(load_file(path))
    except Exception as error:  # pydantic's, safetensors' and torch's own
        raise ModelError(
            f"the weights do not fit the card's network ({first_line(error)})",
            where=path,
            remedy="Copy the folder again, or use the model folder of the training run",
        ) from error
    return network.eval()


def stored_weights(network: nn.Module, precision: StoredPrecision) -> dict[str, Tensor]:
    """Return the network's state on the CPU, as weights.safetensors stores it.

    float16 halves the weights of convolutions and linear layers, which are nearly all of them; biases and
    batch-norm statistics stay in float32. `network.load_state_dict(stored_weights(network, precision))`
    rounds a network to what is stored.

    A layer that the network has under two names (MONAI's DynUNet) is stored under both: the file format knows
    no shared memory.

    Raises ModelError for a weight beyond the range of float16.
    """
    state, seen = {}, set()
    for name, value in network.state_dict().items():
        kept = value.detach().cpu().contiguous()
        state[name] = kept.clone() if kept.data_ptr() in seen else kept
        seen.add(kept.data_ptr())
    if precision == "float32":
        return state
    for name, layer in network.named_modules(remove_duplicate=False):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            key = f"{name}.weight"
            state[key] = state[key].to(torch.float16)
            if not bool(torch.isfinite(state[key]).all()):
                raise ModelError(
                    f"the weights {key} are beyond the range of float16",
                    where="store",
                    remedy="Set store: float32 in the run's recipe.yaml, then continue with --resume",
                )
    return state
