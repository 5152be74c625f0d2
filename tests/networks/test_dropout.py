"""Dropout by bytes: the right share, the right mean, repeatable."""

import pytest
import torch

from sonoseg.networks.dropout import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_share_and_mean(rate: float, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    x = torch.ones(4, 30, 63, 65).to(memory_format=layout)
    y = Dropout(rate)(x)
    assert y.shape == x.shape
    assert y.is_contiguous(memory_format=layout)
    assert float((y == 0).float().mean()) == pytest.approx(rate, abs=0.005)
    assert float(y.mean()) == pytest.approx(1.0, abs=0.005)
    assert len(y.unique()) == 2


def test_repeatable_and_off_in_evaluation() -> None:
    x, layer = torch.rand(2, 3, 5, 7), Dropout(0.3)
    torch.manual_seed(5)
    first = layer(x)
    torch.manual_seed(5)
    assert torch.equal(first, layer(x))
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_gradient_passes_only_where_kept() -> None:
    x = torch.rand(2, 3, 8, 8, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, y == 0)


def test_bf16_stays_bf16() -> None:
    assert Dropout(0.5)(torch.ones(8, dtype=torch.bfloat16)).dtype == torch.bfloat16
