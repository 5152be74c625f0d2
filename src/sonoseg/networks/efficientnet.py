"""EfficientNet-Lite as the encoder, for weights that were trained on ImageNet.

Tan and Le 2019 (arXiv 1905.11946); the Lite form of 2020 has no squeeze-and-excitation and ReLU6 for SiLU,
which suits int8. The stages are divided into levels where the resolution halves, one skip each.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from sonoseg.networks.depthwise import DepthwiseConv
from sonoseg.networks.efficientnet_stages import STEM, EncoderKind, stages


class SameConv(nn.Module):
    """Convolution with TensorFlow's "same" padding, with which the weights were trained, then batch norm.

    At stride 2 an even side is padded by one more pixel on the right and bottom than on the left and top.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, depthwise: bool = False
    ) -> None:
        super().__init__()
        self.before, self.after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        padding = self.before if self.before == self.after else 0
        self.conv: nn.Module = (
            DepthwiseConv(inputs, kernel, stride, padding)
            if depthwise
            else nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        )
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        if self.before != self.after:
            x = F.pad(x, (self.before, self.after, self.before, self.after))
        y: Tensor = self.norm(self.conv(x))
        return y


class InvertedBlock(nn.Module):
    """Expansion, depthwise convolution, projection; a shortcut where the shape stays (Sandler 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = inputs * expand
        self.expand = SameConv(inputs, inner, 1) if expand > 1 else None
        self.depthwise = SameConv(inner, inner, kernel, stride, depthwise=True)
        self.project = SameConv(inner, outputs, 1)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        y = self.project(F.relu6(self.depthwise(y), inplace=True))
        return x + y if self.shortcut else y


class EncoderLevel(nn.Module):
    """The blocks of one level; returns its features twice, to go down and as the skip."""

    def __init__(self, blocks: list[InvertedBlock]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.blocks(x)
        return y, y


def make_encoder(kind: EncoderKind, inputs: int) -> tuple[nn.Module, list[EncoderLevel], nn.Module]:
    """Build the stem, (N, inputs, 2h, 2w) to (N, 32, h, w), the levels and the bottleneck."""
    levels: list[list[InvertedBlock]] = []
    last = STEM
    for stage in stages(kind):
        if stage.stride == 2 or not levels:
            levels.append([])
        for number in range(stage.blocks):
            stride = stage.stride if number == 0 else 1
            levels[-1].append(InvertedBlock(last, stage.outputs, stage.kernel, stride, stage.expand))
            last = stage.outputs
    stem = nn.Sequential(SameConv(inputs, STEM, 3, 2), nn.ReLU6(inplace=True))
    *above, bottom = levels
    return stem, [EncoderLevel(blocks) for blocks in above], nn.Sequential(*bottom)
