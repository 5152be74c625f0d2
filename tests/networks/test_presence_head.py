"""The presence head: its answer multiplies every place's probability."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.networks.options import NetworkOptions
from sonoseg.networks.presence_head import both
from sonoseg.networks.presets import PRESETS, build

LOGITS = st.floats(-30, 30)


@given(LOGITS, LOGITS)
def test_both_is_the_product_of_the_probabilities(first: float, second: float) -> None:
    a, b = torch.tensor([first], dtype=torch.float32), torch.tensor([second], dtype=torch.float32)
    product = torch.sigmoid(a.double()) * torch.sigmoid(b.double())
    torch.testing.assert_close(torch.sigmoid(both(a, b)).double(), product, atol=1e-6, rtol=1e-4)


def test_both_is_finite_at_the_far_ends() -> None:
    far = torch.tensor([-3e4, 3e4])
    assert bool(torch.isfinite(both(far[:, None], far[None])).all())


def options(presence: bool) -> NetworkOptions:
    return PRESETS["quick"].model_copy(update={"presence": presence})


def test_a_head_that_sees_no_lesion_empties_the_mask() -> None:
    network = build(options(True)).eval()
    assert network.presence is not None
    image = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        network.presence.judge.bias.fill_(-20.0)
        closed = network(image)
        network.presence.judge.bias.fill_(20.0)
        opened = network(image)
    assert float(torch.sigmoid(closed.logit).max()) < 1e-6
    assert closed.presence is not None
    assert closed.presence.shape == (2,)
    plain = build(options(False)).eval()
    plain.load_state_dict(
        {name: value for name, value in network.state_dict().items() if not name.startswith("presence")}
    )
    with torch.no_grad():
        without = plain(image)
    assert without.presence is None
    torch.testing.assert_close(opened.logit, without.logit, atol=1e-4, rtol=1e-4)


def test_gradients_reach_the_head() -> None:
    network = build(options(True))
    network(torch.rand(2, 1, 32, 32)).logit.sum().backward()
    assert network.presence is not None
    assert network.presence.judge.weight.grad is not None
    assert float(network.presence.judge.weight.grad.abs().sum()) > 0


@pytest.mark.process
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_without_the_head_have_none(name: str) -> None:
    assert (build(name).presence is not None) == PRESETS[name].presence
