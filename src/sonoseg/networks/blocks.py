"""Building blocks of the encoder and the decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonoseg.networks.options import Normalisation

# Above this many channels the transposed convolution of `conv_over_concat` was slower on a CPU.
_TRANSPOSED_UP_TO = 256


def norm(kind: Normalisation, channels: int) -> nn.Module:
    """Build a normalisation layer for (N, channels, H, W)."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.Identity()


def conv3(inputs: int, outputs: int, kind: Normalisation, stride: int = 1) -> nn.Conv2d:
    """Build a padded 3x3 convolution; without bias where a normalisation follows."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=kind == "none")


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with ReLU, dropout between: (N, inputs, H, W) to (N, outputs, H, W)."""

    def __init__(
        self, inputs: int, outputs: int, *, dropout: float, normalisation: Normalisation, residual: bool
    ) -> None:
        super().__init__()
        self.conv1 = conv3(inputs, outputs, normalisation)
        self.norm1 = norm(normalisation, outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv3(outputs, outputs, normalisation)
        self.norm2 = norm(normalisation, outputs)
        self.shortcut: nn.Conv2d | None = nn.Conv2d(inputs, outputs, 1, bias=False) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.conv1(x), self.shortcut(x) if self.shortcut is not None else None)

    def after(self, first: Tensor, short: Tensor | None) -> Tensor:
        """Apply the rest of the block to the first convolution's result."""
        y: Tensor = self.dropout(F.relu(self.norm1(first), inplace=True))
        y = self.norm2(self.conv2(y))
        return F.relu(y if short is None else y + short, inplace=True)


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
        self.block = block

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        block = self.block
        if not self.training:
            # The plain form is exported; the faster one is tested against it.
            y: Tensor = block(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1))
            return y
        short = None
        if block.shortcut is not None:
            weight, low = block.shortcut.weight, x.shape[1]
            short = F.conv2d(skip, weight[:, low:])
            short = short + F.interpolate(F.conv2d(x, weight[:, :low]), scale_factor=2.0, mode="nearest")
        return block.after(conv_over_concat(block.conv1, x, skip), short)


def conv_over_concat(conv: nn.Conv2d, low: Tensor, skip: Tensor) -> Tensor:
    """Convolve the concatenation of `low`, upsampled by two (nearest), and `skip` without building it.

    low: (N, L, h, w); skip: (N, S, 2h, 2w); conv: 3x3, padding 1, L + S input channels.
    A convolution is linear, so it is the sum of one over each part; and nearest upsampling followed by 3x3
    equals a transposed 4x4 convolution of stride 2: 16 multiplications per low-resolution pixel, not 36.
    """
    channels = low.shape[1]
    over_skip = F.conv2d(skip, conv.weight[:, channels:], conv.bias, padding=1)
    weight = conv.weight[:, :channels]
    if channels > _TRANSPOSED_UP_TO:
        return over_skip + F.conv2d(F.interpolate(low, scale_factor=2.0, mode="nearest"), weight, padding=1)
    # Each 3x3 kernel, flipped (a transposed convolution turns it back), smeared over the 2x2 copies.
    padded = F.pad(weight.flip(2, 3), (1, 1, 1, 1))
    smeared = padded[:, :, 1:, 1:] + padded[:, :, 1:, :-1] + padded[:, :, :-1, 1:] + padded[:, :, :-1, :-1]
    return over_skip + F.conv_transpose2d(low, smeared.transpose(0, 1), stride=2, padding=1)
