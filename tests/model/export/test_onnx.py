"""Export: ONNX Runtime answers as torch does, for any batch, and a difference is refused."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch

from sonoseg.errors import ModelError
from sonoseg.model.export import onnx as export
from sonoseg.model.export.onnx import write_onnx
from sonoseg.networks import PRESETS, AttentionUNet, build
from sonoseg.networks.attention_gate import GATES


class Exported(NamedTuple):
    """A network, its state before it was written, its file, and the names of its attention outputs."""

    network: AttentionUNet
    before: dict[str, torch.Tensor]
    path: Path
    names: list[str]


def network(gate: str) -> AttentionUNet:
    """A network in training: three levels, for writing ONNX takes seconds a level."""
    torch.manual_seed(0)
    changes = {"widths": (8, 16, 32), "dropout": (0.0, 0.0, 0.1), "deep_supervision": True, "residual": True}
    made = AttentionUNet(PRESETS["quick"].model_copy(update={"gate": gate, **changes})).train()
    with torch.no_grad():
        # Running means as training leaves them, or a wrong batch norm would not show.
        made(torch.rand(4, 1, 64, 64))
    return made


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """Write the network with a gate, once. Nobody may change what comes back."""

    @functools.cache
    def write(gate: str) -> Exported:
        mine = network(gate)
        before = {name: value.clone() for name, value in mine.state_dict().items()}
        path = tmp_path_factory.mktemp(gate) / "model.onnx"
        return Exported(mine, before, path, write_onnx(mine, path, 64))

    return write


def compare(network: AttentionUNet, path: Path, names: list[str], counts: tuple[int, ...]) -> None:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_inputs()] == ["image"]
    assert [item.name for item in session.get_outputs()] == ["logit", *names, "features"]
    plain = build(network.options).eval()
    plain.load_state_dict(network.state_dict())
    for n in counts:
        x = torch.rand(n, 1, 64, 64)
        with torch.no_grad():
            outputs = plain(x)
        answers = session.run(None, {"image": x.numpy()})
        for expected, answer in zip(
            [outputs.logit, *outputs.attention, outputs.features], answers, strict=True
        ):
            np.testing.assert_allclose(answer, expected.numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.process
@pytest.mark.parametrize("gate", [*GATES, "none"])
def test_onnx_equals_torch(exported: Callable[[str], Exported], gate: str) -> None:
    made = exported(gate)
    assert made.names == ([] if gate == "none" else ["attention_1", "attention_2"])
    compare(made.network, made.path, made.names, (1, 2, 5))
    assert [item.name for item in made.path.parent.iterdir()] == ["model.onnx"]


@pytest.mark.process
def test_onnx_equals_torch_with_another_encoder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    thin = {"encoder": "efficientnet-lite0", "widths": (4, 4, 6, 8, 192)}
    mine = AttentionUNet(PRESETS["sonoseg"].model_copy(update=thin))
    with torch.no_grad():
        mine.train()(torch.rand(4, 1, 64, 64))
    names = write_onnx(mine, tmp_path / "model.onnx", 64)
    assert names == [f"attention_{k}" for k in (1, 2, 3, 4)]
    compare(mine, tmp_path / "model.onnx", names, (1, 3))


@pytest.mark.process
def test_the_file_tells_nothing_of_the_machine_that_made_it(exported: Callable[[str], Exported]) -> None:
    """torch's exporter notes beside each node the lines of code, with their places, that led to it."""
    held = exported("grid").path.read_bytes()
    assert str(Path(export.__file__).parent).encode() not in held
    assert b".py" not in held


@pytest.mark.process
def test_a_difference_is_refused_and_leaves_no_file(
    exported: Callable[[str], Exported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = exported("none")
    monkeypatch.setattr(torch.onnx, "export", lambda _, __, path, **___: shutil.copyfile(made.path, path))
    assert write_onnx(made.network, tmp_path / "same.onnx", 64) == []
    with torch.no_grad():
        changed = network("none")
        changed.head.bias.add_(0.01)
    with pytest.raises(ModelError, match="the exported network differs from the trained one"):
        write_onnx(changed, tmp_path / "model.onnx", 64)
    assert [item.name for item in tmp_path.iterdir()] == ["same.onnx"]


@pytest.mark.process
def test_export_leaves_the_network_as_it_was(exported: Callable[[str], Exported]) -> None:
    made = exported("grid")
    assert made.network.training
    state = made.network.state_dict()
    assert all(torch.equal(value, made.before[name]) for name, value in state.items())
