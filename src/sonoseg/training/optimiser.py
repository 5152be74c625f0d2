"""The optimiser of a recipe and its learning-rate schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from sonoseg.training.recipe import OptimiserOptions, Recipe


def make_optimiser(network: nn.Module, options: OptimiserOptions) -> torch.optim.Optimizer:
    """Build Adam, AdamW or SGD (Nesterov, momentum 0.99 as in nnU-Net).

    Biases and normalisation layers have no weight decay. A group's `share` is its learning rate as a fraction
    of the recipe's: see `set_learning_rate`.
    """
    encoder: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        inside = name.split(".")[0] in ("stem", "encoder", "bottleneck")
        (encoder if inside and options.encoder_rate != 1 else rest).append(parameter)
    groups = [
        {
            "params": [p for p in part if (p.ndim > 1) == decays],
            "weight_decay": options.weight_decay if decays else 0.0,
            "share": share,
        }
        for part, share in ((rest, 1.0), (encoder, options.encoder_rate))
        for decays in (True, False)
        if part
    ]
    if options.kind == "sgd":
        return torch.optim.SGD(groups, lr=options.rate, momentum=0.99, nesterov=True)
    if options.kind == "adamw":
        return torch.optim.AdamW(groups, lr=options.rate)
    # Keras' epsilon: the seed was trained with it, and bf16 gradients are coarse.
    return torch.optim.Adam(groups, lr=options.rate, eps=1e-7)


def set_learning_rate(optimiser: Any, recipe: Recipe, epoch: float) -> float:
    """Set the learning rate for a fractional epoch, and return it (the decoder's)."""
    options = recipe.optimiser
    rate = options.rate
    if epoch < options.warmup_epochs:
        rate *= (epoch + 1e-2) / options.warmup_epochs
    elif options.schedule == "cosine":
        done = (epoch - options.warmup_epochs) / max(recipe.epochs - options.warmup_epochs, 1e-9)
        rate *= 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("share", 1.0)  # checkpoints of older versions have no share
    return rate
