"""The parts of the encoder and the decoder."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from sonoseg.network.options import Normalisation


def norm(kind: Normalisation, channels: int) -> nn.Module:
    """The normalisation layer of that kind for (N, channels, H, W)."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.Identity()


def conv3(inputs: int, outputs: int, kind: Normalisation, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size at stride 1; without bias where a normalisation follows."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=kind == "none")


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with ReLU, dropout between: (N, inputs, H, W) to (N, outputs, H, W)."""

    def __init__(
        self, inputs: int, outputs: int, *, dropout: float, normalisation: Normalisation, residual: bool
    ) -> None:
        super().__init__()
        self.first = nn.Sequential(conv3(inputs, outputs, normalisation), norm(normalisation, outputs))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.second = nn.Sequential(conv3(outputs, outputs, normalisation), norm(normalisation, outputs))
        self.shortcut: nn.Module | None = None
        if residual:
            self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(self.dropout(torch.relu(self.first(x))))
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        return torch.relu(y)


class EncoderBlock(nn.Module):
    """A ConvBlock, then 2x2 max pooling; returns the pooled features and the skip."""

    def __init__(self, block: ConvBlock) -> None:
        super().__init__()
        self.block = block
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        skip = self.block(x)
        return self.pool(skip), skip


class DecoderBlock(nn.Module):
    """Upsampling by two, concatenation with the (gated) skip, then a ConvBlock."""

    def __init__(self, block: ConvBlock) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.block = block

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return cast(Tensor, self.block(torch.cat([self.upsample(x), skip], dim=1)))
