"""Batch norm over the images of all processes on CPUs; torch's own is for CUDA only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


class JointBatchNorm(nn.BatchNorm2d):
    """BatchNorm2d with training statistics of the whole batch, over all processes.

    Every process must call it at every step. `counted` is False where this process has images only to take
    part in the step: they do not enter the statistics. In evaluation, and with one process, it behaves as
    BatchNorm2d; the state_dict is the same.
    """

    counted = True

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not distributed.is_initialized() or distributed.get_world_size() == 1:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        y, mean, variance, count = _Normalise.apply(x, self.weight, self.bias, self.eps, self.counted)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.num_batches_tracked += 1
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, share)
            # As BatchNorm2d: biased for the batch, unbiased for what is kept.
            self.running_var.lerp_(variance * (count / (count - 1).clamp_min(1)), share)
        return y  # type: ignore[no-any-return]


class _Normalise(torch.autograd.Function):
    """Normalisation by joint statistics; they travel as (2 C + 1) numbers each way."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, counted: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide, channels = x.float(), x.shape[1]
        own = torch.zeros(2 * channels + 1, device=x.device)
        if counted:
            variance, mean = torch.var_mean(wide, (0, 2, 3), correction=0)
            own = torch.cat([mean, variance, own.new_tensor([x.numel() / channels])])
        every = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(every, own)
        # Chan et al. 1979: variances are combined without the cancellation of a sum of squares.
        table = torch.stack(every)
        means, variances, counts = table[:, :channels], table[:, channels:-1], table[:, -1:]
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = ((variances + (means - mean) ** 2) * counts).sum(0) / count
        scale = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, weight, mean, scale, count)
        y = (wide - _wide(mean)) * _wide(scale * weight) + _wide(bias)
        ctx.mark_non_differentiable(mean, variance, count)
        return y.to(x.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, weight, mean, scale, count = ctx.saved_tensors
        over_y, centred = gradients[0].float(), x.float() - _wide(mean)
        own = torch.cat([over_y.sum((0, 2, 3)), (over_y * centred).sum((0, 2, 3))])
        joint = own.clone()
        distributed.all_reduce(joint)
        along_mean, along_scale = (joint / count).chunk(2)
        over_x = (over_y - _wide(along_mean) - centred * _wide(scale**2 * along_scale)) * _wide(
            scale * weight
        )
        # Gradients of weight and bias are this process' own: they are averaged with all other gradients.
        over_bias, over_weight = own.chunk(2)
        return over_x.to(x.dtype), over_weight * scale, over_bias, None, None


def _wide(of_channel: Tensor) -> Tensor:
    return of_channel[None, :, None, None]


def join_norms(network: nn.Module) -> nn.Module:
    """Replace every BatchNorm2d by a JointBatchNorm with its values, in place; returns the network."""
    for name, module in network.named_children():
        if type(module) is nn.BatchNorm2d:
            joint = JointBatchNorm(module.num_features, eps=module.eps, momentum=module.momentum)
            joint.load_state_dict(module.state_dict())
            joint.to(next(module.parameters()).device).train(module.training)
            setattr(network, name, joint)
        else:
            join_norms(module)
    return network


def count_images(network: nn.Module, counted: bool) -> None:
    """Set whether this process' images of the next step enter the statistics."""
    for module in network.modules():
        if isinstance(module, JointBatchNorm):
            module.counted = counted
