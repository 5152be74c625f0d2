"""Attention gates: the gating signal weights the pixels of a skip connection.

A gate takes the skip (N, C, 2h, 2w) and the gating signal (N, G, h, w), and returns the gated skip
(N, C, 2h, 2w) with the attention coefficients (N, 1, ., .) in 0..1, before upsampling.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonoseg.networks.blocks import conv3
from sonoseg.networks.options import GateKind


class SeedGate(nn.Module):
    """The gate of the preset `seed`, reconstructed: the published figure shows shapes only.

    theta: 3x3, stride 2, on the skip; phi: 3x3 on the gating signal; sum; ReLU; psi: 1x1; sigmoid; nearest
    upsampling; product; batch norm, with the epsilon and momentum of Keras, in which the seed was trained.
    """

    def __init__(self, skip: int, gating: int, psi_bias: float) -> None:
        super().__init__()
        self.theta = conv3(skip, skip, "none", stride=2)
        self.phi = conv3(gating, skip, "none")
        self.psi = _psi(skip, psi_bias)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.out = nn.BatchNorm2d(skip, eps=1e-3, momentum=0.01)

    def forward(self, skip: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
        coefficients = torch.sigmoid(self.psi(torch.relu(self.theta(skip) + self.phi(gating))))
        return self.out(skip * self.upsample(coefficients)), coefficients


class GridGate(nn.Module):
    """The grid gate of the original paper (Oktay et al. 2018, arXiv 1804.03999, figure 2).

    theta: 2x2, stride 2, no bias, on the skip; phi: 1x1 on the gating signal; ReLU; psi: 1x1; sigmoid;
    bilinear upsampling; product; W: 1x1 convolution and batch norm.
    """

    def __init__(self, skip: int, gating: int, psi_bias: float) -> None:
        super().__init__()
        inner = max(1, skip // 2)
        self.theta = nn.Conv2d(skip, inner, 2, stride=2, bias=False)
        self.phi = nn.Conv2d(gating, inner, 1)
        self.psi = _psi(inner, psi_bias)
        self.out = nn.Sequential(nn.Conv2d(skip, skip, 1), nn.BatchNorm2d(skip))

    def forward(self, skip: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
        coefficients = torch.sigmoid(self.psi(torch.relu(self.theta(skip) + self.phi(gating))))
        opened = F.interpolate(coefficients, scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.out(skip * opened), coefficients


class SameScaleGate(nn.Module):
    """The gate of LeeJunHyun's and MONAI's networks: 1x1 convolutions at the skip's own scale."""

    def __init__(self, skip: int, gating: int, psi_bias: float) -> None:
        super().__init__()
        inner = max(1, skip // 2)
        self.theta = nn.Sequential(nn.Conv2d(skip, inner, 1), nn.BatchNorm2d(inner))
        self.phi = nn.Sequential(nn.Conv2d(gating, inner, 1), nn.BatchNorm2d(inner))
        self.psi = _psi(inner, psi_bias)

    def forward(self, skip: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
        # A 1x1 convolution and a nearest upsampling commute: convolve the small one.
        signal = F.interpolate(self.phi(gating), scale_factor=2.0, mode="nearest")
        coefficients = torch.sigmoid(self.psi(torch.relu(self.theta(skip) + signal)))
        return skip * coefficients, coefficients


GATES: dict[GateKind, Callable[[int, int, float], nn.Module]] = {
    "seed": SeedGate,
    "grid": GridGate,
    "same-scale": SameScaleGate,
}


def make_gate(kind: GateKind, skip: int, gating: int, psi_bias: float) -> nn.Module | None:
    """Build a gate for a skip and a gating signal of so many channels; None for the kind "none"."""
    return None if kind == "none" else GATES[kind](skip, gating, psi_bias)


def _psi(channels: int, bias: float) -> nn.Conv2d:
    psi = nn.Conv2d(channels, 1, 1)
    assert psi.bias is not None
    nn.init.constant_(psi.bias, bias)
    return psi
