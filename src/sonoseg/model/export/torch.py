"""torch.export: the network as a program that runs without sonoseg's classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sonoseg._util.files import atomic_path
from sonoseg.model.network_weights import load_network

if TYPE_CHECKING:
    from sonoseg.model.model import Model
    from sonoseg.networks.attention_unet import AttentionUNet
    from sonoseg.networks.peer_networks import PeerNetwork


class FlatOutputs(nn.Module):
    """A network with its outputs as a flat tuple: the logit, the attention coefficients, the features."""

    def __init__(self, network: AttentionUNet | PeerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(image)
        features = () if outputs.features is None else (outputs.features,)
        return (outputs.logit, *outputs.attention, *features)


def write(model: Model, precision: str, path: Path) -> None:
    """Export the model's weights as a program with a free batch size, in float32 or bfloat16."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    card = model.card.preprocessing
    # Two images in the example: of one, the exporter would take the number for fixed.
    example = torch.zeros(2, card.channels, card.size, card.size, dtype=dtype)
    program = torch.export.export(
        FlatOutputs(load_network(model)).eval().to(dtype),
        (example,),
        dynamic_shapes={"image": {0: torch.export.Dim("N", min=1, max=4096)}},
    )
    with atomic_path(path) as temporary:
        torch.export.save(program, temporary)


def run(path: Path, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run an exported file on a preprocessed batch, float32 (N, C, S, S); returns logits (N, 1, S, S)."""
    program: Any = torch.export.load(path)
    dtype = next(iter(program.state_dict.values())).dtype
    with torch.no_grad():
        logit = program.module()(torch.from_numpy(batch).to(dtype))[0]
    return np.asarray(logit.float().numpy())
