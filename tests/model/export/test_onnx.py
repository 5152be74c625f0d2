"""Export: ONNX Runtime answers as torch does, for any batch, and a difference is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from sonoseg.errors import ModelError
from sonoseg.model.export import onnx as export
from sonoseg.model.export.onnx import write_onnx
from sonoseg.networks import PRESETS, AttentionUNet
from sonoseg.networks.attention_gate import GATES


def network(gate: str, **changes: Any) -> AttentionUNet:
    torch.manual_seed(0)
    options = PRESETS["quick"].model_copy(update={"gate": gate} | changes)
    made = AttentionUNet(options)
    with torch.no_grad():
        # Running means as training leaves them, or a wrong batch norm would not show.
        made.train()(torch.rand(4, options.channels, 64, 64))
    return made.eval()


@pytest.mark.process
@pytest.mark.parametrize("gate", [*GATES, "none"])
def test_onnx_equals_torch(tmp_path: Path, gate: str) -> None:
    mine = network(gate, deep_supervision=True, residual=True)
    names = write_onnx(mine, tmp_path / "model.onnx", 64)
    assert names == ([] if gate == "none" else ["attention_1", "attention_2", "attention_3"])
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [item.name for item in session.get_inputs()] == ["image"]
    assert [item.name for item in session.get_outputs()] == ["logit", *names, "features"]
    for n in (1, 2, 5):
        x = torch.rand(n, 1, 64, 64)
        with torch.no_grad():
            outputs = mine(x)
        answers = session.run(None, {"image": x.numpy()})
        for expected, answer in zip(
            [outputs.logit, *outputs.attention, outputs.features], answers, strict=True
        ):
            np.testing.assert_allclose(answer, expected.numpy(), atol=1e-4)
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.process
def test_onnx_equals_torch_with_another_encoder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    thin = {"encoder": "efficientnet-lite0", "widths": (4, 4, 6, 8, 192)}
    mine = AttentionUNet(PRESETS["sonoseg"].model_copy(update=thin))
    with torch.no_grad():
        mine.train()(torch.rand(4, 1, 64, 64))
    names = write_onnx(mine.eval(), tmp_path / "model.onnx", 64)
    assert names == [f"attention_{k}" for k in (1, 2, 3, 4)]
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for n in (1, 3):
        x = torch.rand(n, 1, 64, 64)
        with torch.no_grad():
            outputs = mine(x)
        answers = session.run(None, {"image": x.numpy()})
        for expected, answer in zip(
            [outputs.logit, *outputs.attention, outputs.features], answers, strict=True
        ):
            np.testing.assert_allclose(answer, expected.numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.process
def test_the_file_tells_nothing_of_the_machine_that_made_it(tmp_path: Path) -> None:
    """torch's exporter notes beside each node the lines of code, with their places, that led to it."""
    write_onnx(network("grid"), tmp_path / "model.onnx", 64)
    held = (tmp_path / "model.onnx").read_bytes()
    assert str(Path(export.__file__).parent).encode() not in held
    assert b".py" not in held


@pytest.mark.process
def test_a_difference_is_refused_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="the exported network differs from the trained one"):
        write_onnx(network("none"), tmp_path / "model.onnx", 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_export_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    mine = network("grid").train()
    before = {name: value.clone() for name, value in mine.state_dict().items()}
    write_onnx(mine, tmp_path / "model.onnx", 64)
    assert mine.training
    assert all(torch.equal(value, before[name]) for name, value in mine.state_dict().items())
