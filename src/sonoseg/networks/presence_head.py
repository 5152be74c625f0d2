"""The presence head: whether an image holds a lesion, and how this enters each pixel's logit."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PresenceHead(nn.Module):
    """The logit of a lesion being present: mean and maximum of each bottleneck channel, one linear layer.

    The mean covers the whole image, the maximum a single conspicuous region.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.judge = nn.Linear(2 * channels, 1)
        # A high initial probability, so that the decoder learns first.
        nn.init.zeros_(self.judge.weight)
        nn.init.constant_(self.judge.bias, 3.0)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, h, w) to logits (N,)."""
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)
        logit: Tensor = self.judge(pooled)
        return logit[:, 0]


LARGEST = 30.0
"""Logits are clamped to this magnitude, a probability of 1e-13: runtimes compute the logarithm of a sum of
exponentials directly, which overflows float32 from exp(88)."""


def both(first: Tensor, second: Tensor) -> Tensor:
    """Return the logit of the product sigmoid(first) x sigmoid(second).

    1 / ((1 + exp(-a)) (1 + exp(-b))) has the odds 1 : exp(-a) + exp(-b) + exp(-a - b), so its logit is minus
    the logarithm of that sum. Shapes broadcast.
    """
    first, second = (one.float().clamp(-LARGEST, LARGEST) for one in (first, second))
    return -torch.logaddexp(torch.logaddexp(-first, -second), -first - second)
