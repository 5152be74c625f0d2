"""The depthwise convolution equals torch's; its gradients are computed differently, only on request."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sonoseg.networks.depthwise import DepthwiseConv, _Float32Backward

SHAPES = [(3, 1, 1), (3, 2, 0), (5, 1, 2), (5, 2, 0)]


def pair(kernel: int, stride: int, padding: int, dtype: torch.dtype) -> tuple[DepthwiseConv, Tensor]:
    torch.manual_seed(0)
    layer = DepthwiseConv(6, kernel, stride, padding).to(dtype)
    return layer, torch.randn(2, 6, 13, 15, dtype=dtype, requires_grad=True)


def gradients(out: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    weight = torch.linspace(-1, 1, out.numel()).reshape(out.shape).to(out.dtype)
    return torch.autograd.grad((out * weight).sum(), of)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kernel", "stride", "padding"), SHAPES)
def test_each_channel_is_convolved_by_its_own_kernel(
    kernel: int, stride: int, padding: int, dtype: torch.dtype
) -> None:
    layer, x = pair(kernel, stride, padding, dtype)
    found = layer(x)
    for channel in range(6):
        one = F.conv2d(
            x[:, channel : channel + 1],
            layer.weight[channel : channel + 1],
            stride=stride,
            padding=padding,
        )
        torch.testing.assert_close(found[:, channel : channel + 1], one)


@pytest.mark.parametrize(("kernel", "stride", "padding"), SHAPES)
def test_its_gradients_are_the_plain_convolutions(kernel: int, stride: int, padding: int) -> None:
    layer, x = pair(kernel, stride, padding, torch.float32)
    weight = layer.weight
    mine = _Float32Backward.apply(x, weight, stride, padding)
    plain = F.conv2d(x, weight, None, stride, padding, groups=6)
    assert torch.equal(mine, plain)
    for found, expected in zip(gradients(mine, x, weight), gradients(plain, x, weight), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 0), (5, 1, 2), (5, 2, 0)])
def test_in_bfloat16_training_its_gradients_stay_close_to_float32(
    kernel: int, stride: int, padding: int
) -> None:
    """bfloat16 keeps 8 bits: what is rounded to it is off by up to 1/256, twice here."""
    layer, x = pair(kernel, stride, padding, torch.float32)
    expected = gradients(layer(x), x, layer.weight)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer.train()(x)
    assert out.dtype == torch.bfloat16
    assert "Float32Backward" in type(out.grad_fn).__name__
    for found, exact in zip(gradients(out, x, layer.weight), expected, strict=True):
        assert found.dtype == torch.float32
        assert float((found - exact).norm() / exact.norm()) < 1 / 128


@pytest.mark.parametrize(("kernel", "stride", "padding"), SHAPES)
def test_elsewhere_it_is_left_to_torch(kernel: int, stride: int, padding: int) -> None:
    layer, x = pair(kernel, stride, padding, torch.float32)
    assert "Float32Backward" not in type(layer.train()(x).grad_fn).__name__
    with torch.autocast("cpu", torch.bfloat16):
        assert "Float32Backward" not in type(layer.eval()(x).grad_fn).__name__
        wide = "Float32Backward" in type(layer.train()(x).grad_fn).__name__
    assert wide == (kernel > 3 or stride > 1)


def test_a_gradient_that_nobody_wants_is_not_made() -> None:
    layer, x = pair(5, 2, 0, torch.float32)
    layer.weight.requires_grad_(False)
    (found,) = gradients(_Float32Backward.apply(x, layer.weight, 2, 0), x)
    assert found.shape == x.shape
    layer.weight.requires_grad_(True)
    (found,) = gradients(_Float32Backward.apply(x.detach(), layer.weight, 2, 0), layer.weight)
    assert found.shape == layer.weight.shape
