"""Whether there is a lesion at all: a head on the bottleneck, and how its answer enters each place's."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PresenceHead(nn.Module):
    """The logit of there being a lesion: mean and peak of each bottleneck channel, then one linear layer.

    The mean sees the whole breast, the peak the one place that stands out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.judge = nn.Linear(2 * channels, 1)
        # Open at the start, as psi's bias opens a gate: the decoder learns first.
        nn.init.zeros_(self.judge.weight)
        nn.init.constant_(self.judge.bias, 3.0)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, h, w) to logits (N,)."""
        seen = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)
        judged: Tensor = self.judge(seen)
        return judged[:, 0]


LARGEST = 30.0
"""Logits beyond this, either way, count as this: 1e-13 of probability. Runtimes write the logarithm of a sum
of exponentials out, and float32 ends at exp(88): strange images gave numbers that were none."""


def both(first: Tensor, second: Tensor) -> Tensor:
    """The logit of two things holding at once: of sigmoid(first) x sigmoid(second).

    1 / ((1 + exp(-a)) (1 + exp(-b))) has the odds 1 : exp(-a) + exp(-b) + exp(-a - b), so its logit is minus
    the logarithm of that sum. Shapes broadcast.
    """
    first, second = (one.float().clamp(-LARGEST, LARGEST) for one in (first, second))
    return -torch.logaddexp(torch.logaddexp(-first, -second), -first - second)
