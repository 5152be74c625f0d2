"""The network: shapes, counts, gradients, gates, and a peer."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sonoseg.errors import ShapeError, UsageError
from sonoseg.networks import PRESETS, AttentionUNet, NetworkOptions, build, options_for
from sonoseg.networks.attention_gate import SeedGate

SMALL = {"widths": (4, 8, 12), "dropout": (0.0, 0.1, 0.2), "channels": 1}
KINDS = list(
    itertools.product(
        ("seed", "grid", "same-scale", "none"), ("none", "batch", "instance"), (False, True), (1, 2)
    )
)


def small(**changes: object) -> AttentionUNet:
    torch.manual_seed(0)
    return AttentionUNet(NetworkOptions.model_validate(SMALL | changes))


@pytest.mark.parametrize(("gate", "normalisation", "residual", "stem"), KINDS)
def test_every_kind_runs_both_ways(gate: str, normalisation: str, residual: bool, stem: int) -> None:
    network = small(
        gate=gate, normalisation=normalisation, residual=residual, stem=stem, deep_supervision=True
    )
    x = torch.rand(2, 1, 32, 48)
    outputs = network.train()(x)
    assert outputs.logit.shape == (2, 1, 32, 48)
    assert [tuple(side.shape[2:]) for side in outputs.sides] == [(32 // (2 * stem), 48 // (2 * stem))]
    assert len(outputs.attention) == (0 if gate == "none" else 2)
    for coefficients in outputs.attention:
        assert coefficients.shape[:2] == (2, 1)
        assert bool(((coefficients >= 0) & (coefficients <= 1)).all())
    (outputs.logit.square().mean() + sum(side.square().mean() for side in outputs.sides)).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # Batch norm takes a bias before it away, and ReLU may shut a small network's channels: none may lack a
    # gradient for want of a path.
    assert [name for name in without if dict(network.named_parameters())[name].grad is None] == []
    assert network.eval()(x).sides == []


@pytest.mark.process
def test_gradients_reach_every_parameter_of_the_seed() -> None:
    torch.manual_seed(0)
    network = build("seed").train()
    network(torch.rand(1, 3, 64, 64)).logit.square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("gate", ["seed", "none"])
@pytest.mark.parametrize("widths", [(6, 8, 10), (4, 300)])
def test_training_form_equals_plain_form(gate: str, residual: bool, widths: tuple[int, ...]) -> None:
    """The decoder's faster form for training is the same function, and has the same gradients."""
    network = small(
        gate="none", residual=residual, widths=widths, dropout=(0.0,) * len(widths), normalisation="none"
    ).double()
    x = torch.rand(2, 1, 16, 16, dtype=torch.float64)
    results = []
    for mode in (True, False):
        network.zero_grad()
        logit = network.train(mode)(x).logit
        logit.square().sum().backward()
        results.append((logit.detach(), [p.grad.clone() for p in network.parameters() if p.grad is not None]))
    (fast, fast_gradients), (plain, plain_gradients) = results
    torch.testing.assert_close(fast, plain)
    for mine, theirs in zip(fast_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.process
def test_open_gates_give_the_unets_output() -> None:
    """With every coefficient forced to one, the seed is its U-Net."""
    torch.manual_seed(3)
    seed, unet = build("seed").eval(), build("unet").eval()
    unet.load_state_dict({k: v for k, v in seed.state_dict().items() if not k.startswith("gates.")})
    for gate in seed.gates:
        assert isinstance(gate, SeedGate)
        nn.init.zeros_(gate.psi.weight)
        assert gate.psi.bias is not None
        nn.init.constant_(gate.psi.bias, 50.0)
        assert gate.out.running_var is not None
        gate.out.running_var.fill_(1 - gate.out.eps)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        opened, expected = seed(x), unet(x)
    assert all(bool((coefficients == 1).all()) for coefficients in opened.attention)
    torch.testing.assert_close(opened.logit, expected.logit, rtol=1e-4, atol=1e-4)
    assert expected.attention == []


def test_closed_gates_differ() -> None:
    network = small(gate="seed").eval()
    x = torch.rand(1, 1, 32, 32)
    before = network(x).logit
    for gate in network.gates:
        assert isinstance(gate, SeedGate)
        assert gate.psi.bias is not None
        nn.init.constant_(gate.psi.bias, -50.0)
    assert not torch.allclose(before, network(x).logit)


def test_psi_bias_opens_the_gates() -> None:
    coefficients = small(gate="grid", psi_bias=3.0).eval()(torch.rand(1, 1, 32, 32)).attention
    assert all(float(c.detach().mean()) > 0.8 for c in coefficients)


@pytest.mark.process
def test_odd_size_names_the_size_to_pad_to() -> None:
    with pytest.raises(ShapeError, match=r"250x130.*multiples of 16\. Pad to 256x144"):
        build("seed")(torch.zeros(1, 3, 250, 130))
    with pytest.raises(ShapeError, match=r"unsupported shape \(1, 1, 64, 64\)"):
        build("seed")(torch.zeros(1, 1, 64, 64))


@pytest.mark.process
@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 5), width=st.integers(1, 5), n=st.integers(1, 3))
def test_any_multiple_of_the_stride_fits(height: int, width: int, n: int) -> None:
    network = small(stem=2).eval()
    stride = network.options.stride
    with torch.no_grad():
        logit = network(torch.zeros(n, 1, height * stride, width * stride)).logit
    assert logit.shape == (n, 1, height * stride, width * stride)


def test_save_and_load(tmp_path: Path) -> None:
    first, second = small(), small(gate="seed")
    nn.init.normal_(second.head.weight)
    torch.save(first.state_dict(), tmp_path / "weights.pt")
    second.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    x = torch.rand(1, 1, 32, 32)
    assert torch.equal(first.eval()(x).logit, second.eval()(x).logit)


@pytest.mark.process
@pytest.mark.parametrize("preset", list(PRESETS))
def test_every_preset_learns_a_square(preset: str) -> None:
    """A few steps bring the loss down: the wiring is right, not only the shapes."""
    torch.manual_seed(0)
    options = options_for(preset)
    *above, bottom = options.widths
    # Beside another encoder than the plain one the bottleneck's width is the encoder's own.
    bottom = max(4, bottom // 4) if options.encoder == "plain" else bottom
    smaller = options.model_copy(update={"widths": (*(max(4, w // 4) for w in above), bottom)})
    network = build(smaller).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    side = smaller.stride * 2
    target = torch.zeros(2, 1, side, side)
    target[:, :, side // 4 : side // 2, side // 4 : side // 2] = 1
    x = (target * 0.6 + 0.2 + 0.05 * torch.randn_like(target)).expand(-1, smaller.channels, -1, -1)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(network(x).logit, target)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        if losses[-1] < 0.6 * losses[0]:
            break
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.process
def test_monai_agrees_on_the_shape_of_things() -> None:
    """MONAI's AttentionUnet, another design of gate, as a sanity peer: same output, kindred size."""
    from monai.networks.nets import AttentionUnet

    peer = AttentionUnet(2, 3, 1, channels=(32, 64, 128, 256, 512), strides=(2, 2, 2, 2))
    mine = build("seed")
    x = torch.rand(1, 3, 64, 64)
    assert mine.eval()(x).logit.shape == peer.eval()(x).shape
    ratio = sum(p.numel() for p in mine.parameters()) / sum(p.numel() for p in peer.parameters())
    assert 0.5 < ratio < 2


def test_unknown_preset_names_the_known() -> None:
    with pytest.raises(UsageError, match=r"unknown preset 'sead'. Choose one of: seed, unet"):
        build("sead")


def test_one_dropout_rate_a_level() -> None:
    with pytest.raises(ValueError, match="2 dropout rates for 3 widths"):
        NetworkOptions(widths=(4, 8, 16), dropout=(0.0, 0.1))
