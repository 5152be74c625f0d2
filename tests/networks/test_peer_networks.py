"""Networks of MONAI behind our interface: shapes, a loss with sides, ONNX, options that would do nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from pydantic import ValidationError

from sonoseg.errors import UsageError
from sonoseg.model.export.onnx import write_onnx
from sonoseg.networks import NetworkOptions, build
from sonoseg.networks.layer_table import cost
from sonoseg.networks.peer_networks import PeerNetwork
from sonoseg.training.losses import image_losses
from sonoseg.training.recipe import LossOptions

PEERS = ("monai-attention-unet", "monai-dynunet")


def small(architecture: str, **changes: Any) -> NetworkOptions:
    plain = {
        "architecture": architecture,
        "channels": 1,
        "widths": (4, 6, 8, 8),
        "dropout": (0.0,) * 4,
        "gate": "none",
        "normalisation": "batch",
    }
    return NetworkOptions.model_validate(plain | changes)


@pytest.mark.parametrize("architecture", PEERS)
def test_a_peer_gives_a_logit_of_the_image_s_size(architecture: str) -> None:
    network = build(small(architecture)).eval()
    assert isinstance(network, PeerNetwork)
    outputs = network(torch.rand(2, 1, 32, 48))
    assert outputs.logit.shape == (2, 1, 32, 48)
    assert (outputs.sides, outputs.attention, outputs.presence) == ([], [], None)


def test_sides_are_judged_in_training_and_gone_afterwards() -> None:
    torch.manual_seed(0)
    network = build(small("monai-dynunet", deep_supervision=True, normalisation="instance"))
    images, target = torch.rand(2, 1, 32, 32), (torch.rand(2, 1, 32, 32) > 0.7).float()
    outputs = network.train()(images)
    assert [side.shape for side in outputs.sides] == [(2, 1, 32, 32)]
    with_sides = image_losses(outputs, target, LossOptions(sides=0.5))
    without = image_losses(outputs._replace(sides=[]), target, LossOptions())
    assert with_sides.shape == (2,)
    assert not torch.equal(with_sides, without)
    assert network.eval()(images).sides == []


@pytest.mark.process
@pytest.mark.parametrize("architecture", PEERS)
def test_onnx_runtime_answers_as_the_peer_does(architecture: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build(small(architecture, widths=(4, 6, 8), dropout=(0.0,) * 3))
    with torch.no_grad():
        network.train()(torch.rand(4, 1, 32, 32))
    assert write_onnx(network.eval(), tmp_path / "model.onnx", 32) == []  # raises where they differ
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_outputs()] == ["logit"]


def test_transposed_convolutions_are_counted() -> None:
    options = NetworkOptions.model_validate(
        small("monai-dynunet").model_dump() | {"widths": (4, 8, 8), "dropout": (0.0,) * 3}
    )
    network = build(options)
    assert isinstance(network, PeerNetwork)
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.ConvTranspose2d)]
    assert len(layers) == 2
    parameters, macs = cost(options, 32)
    assert parameters == sum(p.numel() for p in network.parameters())
    # Two 3 x 3 a level and two on the way up, transposed ones (2 x 2, on the coarser side), and the head.
    down = 32 * 32 * 9 * (1 * 4 + 4 * 4) + 16 * 16 * 9 * (4 * 8 + 8 * 8) + 8 * 8 * 9 * (8 * 8 + 8 * 8)
    up = (
        8 * 8 * 4 * 8 * 8
        + 16 * 16 * 9 * (16 * 8 + 8 * 8)
        + 16 * 16 * 4 * 8 * 4
        + 32 * 32 * 9 * (8 * 4 + 4 * 4)
    )
    assert macs == down + up + 32 * 32 * 4


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        *[(peer, {"gate": "grid"}) for peer in PEERS],
        *[(peer, {"stem": 2}) for peer in PEERS],
        *[(peer, {"psi_bias": 3.0}) for peer in PEERS],
        *[(peer, {"presence": True}) for peer in PEERS],
        *[(peer, {"normalisation": "none"}) for peer in PEERS],
        *[(peer, {"dropout": (0.0, 0.1, 0.1, 0.2)}) for peer in PEERS],
        *[(peer, {"widths": (4, 8), "dropout": (0.0, 0.0)}) for peer in PEERS],
        ("monai-attention-unet", {"normalisation": "instance"}),
        ("monai-attention-unet", {"deep_supervision": True}),
        ("monai-attention-unet", {"residual": True}),
    ],
)
def test_what_a_peer_would_ignore_is_refused(architecture: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=architecture):
        small(architecture, **changes)


@pytest.mark.parametrize("architecture", PEERS)
def test_without_monai_the_error_names_the_extra(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai", None)
    with pytest.raises(UsageError, match="MONAI, which is not installed") as caught:
        build(small(architecture))
    assert "sonoseg[peers]" in str(caught.value)
