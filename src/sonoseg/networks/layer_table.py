"""A network's parts as a table: shapes, parameters and multiply-accumulates."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sonoseg.networks.attention_unet import AttentionUNet
from sonoseg.networks.options import NetworkOptions
from sonoseg.networks.peer_networks import PeerNetwork
from sonoseg.networks.presets import build

Shape = tuple[int, ...]


class LayerRow(NamedTuple):
    """One part of the network.

    name: as in the weights, e.g. "encoder.0".
    kind: stem, encoder, bottleneck, presence, gate, decoder or head; peer for a whole network of MONAI.
    level: 0 the finest, counted towards the bottleneck.
    inputs, outputs: shapes (C, H, W); one value per image is (1, 1, 1).
    parameters: trainable values.
    macs: multiply-accumulates of convolutions and linear layers for one image.
    """

    name: str
    kind: str
    level: int
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    parameters: int
    macs: int


def summary(network: AttentionUNet | PeerNetwork, size: int = 256) -> list[LayerRow]:
    """Return a row per part, in the order of the forward pass, for a square input of `size` pixels."""
    parts = _parts(network)
    macs = dict.fromkeys(parts, 0)
    shapes: dict[str, tuple[tuple[Shape, ...], tuple[Shape, ...]]] = {}
    hooks = []
    for name, (module, _, _) in parts.items():

        def seen(_: nn.Module, given: Any, returned: Any, name: str = name) -> None:
            shapes[name] = (_shapes(given), _shapes(returned))

        hooks.append(module.register_forward_hook(seen))
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):

                def count(layer: nn.Module, given: Any, returned: Tensor, name: str = name) -> None:
                    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
                    pixels = given[0] if isinstance(layer, nn.ConvTranspose2d) else returned
                    macs[name] += pixels.shape[2:].numel() * layer.weight.numel()

                hooks.append(layer.register_forward_hook(count))
    was_training = network.training
    try:
        network.eval()
        with torch.no_grad():
            device = next(network.parameters()).device
            network(torch.zeros(1, network.options.channels, size, size, device=device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return [
        LayerRow(name, kind, level, *shapes[name], sum(p.numel() for p in module.parameters()), macs[name])
        for name, (module, kind, level) in parts.items()
        if name in shapes
    ]


def cost(options: NetworkOptions, size: int = 256) -> tuple[int, int]:
    """Return parameters, and MACs for a square image of `size` pixels, without allocating weights."""
    with torch.device("meta"):
        rows = summary(build(options), size)
    return sum(row.parameters for row in rows), sum(row.macs for row in rows)


def _parts(network: AttentionUNet | PeerNetwork) -> dict[str, tuple[nn.Module, str, int]]:
    if isinstance(network, PeerNetwork):
        return {"inner": (network.inner, "peer", 0)}
    bottom = len(network.options.widths) - 1
    parts: dict[str, tuple[nn.Module, str, int]] = {}
    if network.options.stem == 2:
        parts["stem"] = (network.stem, "stem", 0)
    for level, encoder in enumerate(network.encoder):
        parts[f"encoder.{level}"] = (encoder, "encoder", level)
    parts["bottleneck"] = (network.bottleneck, "bottleneck", bottom)
    if network.presence is not None:
        parts["presence"] = (network.presence, "presence", bottom)
    for step, decoder in enumerate(network.decoder):
        if len(network.gates):
            parts[f"gates.{step}"] = (network.gates[step], "gate", bottom - 1 - step)
        parts[f"decoder.{step}"] = (decoder, "decoder", bottom - 1 - step)
    parts["head"] = (network.head, "head", 0)
    return parts


def _shapes(values: Any) -> tuple[Shape, ...]:
    tensors = values if isinstance(values, tuple) else (values,)
    return tuple(tuple(int(side) for side in tensor.shape[1:]) or (1, 1, 1) for tensor in tensors)
