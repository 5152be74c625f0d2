"""Depthwise convolution with a fast backward pass for bfloat16 training on CPUs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Float32Backward(torch.autograd.Function):
    """A convolution whose gradients are computed in float32.

    oneDNN has no fast bfloat16 kernel for the gradients of a depthwise convolution with stride 2 or 5x5
    kernels: with torch 2.13, on a processor with AMX, float32 is faster, and more exact.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        wanted = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False]
        over_x, over_weight, _ = torch.ops.aten.convolution_backward(
            gradients[0].float(),
            x.float(),
            weight.float(),
            None,
            [ctx.stride] * 2,
            [ctx.padding] * 2,
            [1, 1],
            False,
            [0, 0],
            x.shape[1],
            wanted,
        )
        return (
            None if over_x is None else over_x.to(x.dtype),
            None if over_weight is None else over_weight.to(weight.dtype),
            None,
            None,
        )


class DepthwiseConv(nn.Conv2d):
    """Each channel convolved by its own kernel: (N, C, H, W) to (N, C, h, w)."""

    def __init__(self, channels: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__(channels, channels, kernel, stride, padding, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        slow = self.kernel_size[0] > 3 or self.stride[0] > 1
        if not (self.training and slow and x.device.type == "cpu" and torch.is_autocast_enabled("cpu")):
            return super().forward(x)
        kind = torch.get_autocast_dtype("cpu")
        padding = self.padding[0]
        assert isinstance(padding, int)
        found: Tensor = _Float32Backward.apply(x.to(kind), self.weight.to(kind), self.stride[0], padding)  # type: ignore[no-untyped-call]
        return found
