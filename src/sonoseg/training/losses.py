"""Loss functions on logits, one value per image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from sonoseg.networks.attention_unet import Outputs
from sonoseg.training.recipe import LossOptions

ImageLoss = Callable[[Tensor, Tensor], Tensor]


def bce(logit: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy: (N, 1, H, W) and targets 0 or 1 to (N,)."""
    return F.binary_cross_entropy_with_logits(logit, target, reduction="none").mean((1, 2, 3))


def dice_bce(logit: Tensor, target: Tensor) -> Tensor:
    """Soft Dice loss (Milletari 2016) plus binary cross-entropy: (N,).

    One is added to numerator and denominator, so that an empty prediction is best without a lesion.
    """
    probability = torch.sigmoid(logit)
    overlap = (probability * target).sum((1, 2, 3))
    both = probability.sum((1, 2, 3)) + target.sum((1, 2, 3))
    return 1 - (2 * overlap + 1) / (both + 1) + bce(logit, target)


def focal_tversky(logit: Tensor, target: Tensor) -> Tensor:
    """Focal Tversky loss (Abraham and Khan 2019): 0.7 on false negatives, exponent 0.75: (N,)."""
    probability = torch.sigmoid(logit)
    hit = (probability * target).sum((1, 2, 3))
    missed = ((1 - probability) * target).sum((1, 2, 3))
    false = (probability * (1 - target)).sum((1, 2, 3))
    tversky = (hit + 1) / (hit + 0.7 * missed + 0.3 * false + 1)
    # The slope of the power is infinite at zero.
    return (1 - tversky).clamp_min(1e-6) ** 0.75


LOSSES: dict[str, ImageLoss] = {"bce": bce, "dice-bce": dice_bce, "focal-tversky": focal_tversky}


def image_losses(outputs: Outputs, target: Tensor, options: LossOptions) -> Tensor:
    """Return the loss of each image, (N,), of the output and, under deep supervision, of the coarser ones.

    target: float (N, 1, H, W), 0 or 1. Coarser outputs are compared with the target averaged to their size,
    each weighted `options.sides` times the one before; the weights sum to one. On images without a lesion the
    sum is weighted by `options.normals`. The cross-entropy of a presence head is added.
    """
    one = LOSSES[options.kind]
    total, weight, weights = one(outputs.logit.float(), target), 1.0, 1.0
    for side in outputs.sides:
        weight *= options.sides
        weights += weight
        total = total + weight * one(
            side.float(), F.adaptive_avg_pool2d(target, (side.shape[2], side.shape[3]))
        )
    lesion = target.amax((1, 2, 3))
    total = total / weights * (lesion + options.normals * (1 - lesion))
    if outputs.presence is not None:
        presence = F.binary_cross_entropy_with_logits(outputs.presence.float(), lesion, reduction="none")
        total = total + options.presence * presence
    return total
