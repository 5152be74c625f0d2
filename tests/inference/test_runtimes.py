"""Runtimes: the same numbers from each, and plain words where one cannot start."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sonoseg.errors import MissingExtra, ModelError, UsageError
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.runtimes import choice, load_runtime
from sonoseg.model.model import Model, shipped


@pytest.fixture(scope="module")
def trained(phantom_run: Path) -> Model:
    """A small network that was trained and exported in earnest."""
    return Model.load(phantom_run)


def agree(model: Model) -> None:
    """Assert that ONNX Runtime gives what torch gives, within 1e-4, pictures of any size and grids."""
    rng = np.random.default_rng(0)
    onnx, torch = (Predictor(model, runtime=name) for name in ("onnx", "torch"))
    assert "onnxruntime" in onnx.runtime
    assert "torch" in torch.runtime
    for shape in ((70, 90), (64, 64), (120, 50)):
        # Smooth noise: bright and dark patches, as in tissue.
        small = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8))
        picture = np.asarray(small.resize(shape[::-1], Image.Resampling.BICUBIC))
        one, other = (p.predict(picture, attention=True) for p in (onnx, torch))
        assert np.abs(one.probability - other.probability).max() < 1e-4
        assert one.probability.std() > 1e-6  # not a constant that would agree by itself
        assert one.attention is not None
        assert other.attention is not None
        assert list(one.attention) == list(other.attention) == model.card.attention
        for name, values in one.attention.items():
            assert np.abs(values - other.attention[name]).max() < 1e-4
            assert values.min() >= 0
            assert values.max() <= 1
    size = model.card.preprocessing.size
    grid = rng.integers(0, 256, (3, size, size), dtype=np.uint8)
    assert np.abs(onnx.predict_grid(grid) - torch.predict_grid(grid)).max() < 1e-4


def test_onnx_runtime_is_torch_within_1e4(trained: Model) -> None:
    agree(trained)


@pytest.mark.skipif(not (shipped() / "card.json").exists(), reason="no model ships yet")
def test_onnx_runtime_is_torch_within_1e4_on_the_model_that_ships() -> None:
    model = Model.load()
    if not (model.folder / "weights.safetensors").exists():
        pytest.skip("the model that ships has no weights for torch")
    agree(model)


def test_auto_is_the_fastest_that_is_installed(dark_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model.load(dark_model)
    assert load_runtime("auto", model, pictures=1).engine == "onnx"
    monkeypatch.setattr(choice, "installed", lambda engine: engine == "onnx")
    assert load_runtime("auto", model).name.startswith("onnxruntime ")


def test_an_unknown_runtime_is_refused(dark_model: Path) -> None:
    with pytest.raises(UsageError, match="no runtime named 'tensorflow'"):
        Predictor(dark_model, runtime="tensorflow")


def test_without_torch_the_extra_is_named(trained: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sonoseg\[train\]'"):
        Predictor(trained, runtime="torch")


def test_torch_says_where_weights_are_missing_or_wrong(dark_model: Path, trained: Model) -> None:
    with pytest.raises(ModelError, match=r"weights\.safetensors: the model folder lacks this file"):
        Predictor(dark_model, runtime="torch")
    other = trained.card.model_copy(update={"network": {**trained.card.network, "widths": [2, 2, 2, 2]}})
    with pytest.raises(ModelError, match="the weights do not fit the card's network"):
        Predictor(Model(trained.folder, other), runtime="torch")


@pytest.mark.parametrize("content", [b"", b"not a network", bytes(500)])
def test_a_damaged_onnx_file(make_dark_model: Callable[..., Path], content: bytes) -> None:
    folder = make_dark_model()
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx: (ONNX Runtime cannot load|the network has inputs)"):
        Predictor(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"preprocessing": {"size": 128}},
        {"preprocessing": {"size": 64, "channels": 3}},
        {"attention": ["attention_1", "attention_9"]},
    ],
)
def test_a_card_of_another_network(make_dark_model: Callable[..., Path], change: dict[str, Any]) -> None:
    folder = make_dark_model()
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | change))
    with pytest.raises(ModelError, match="where the card means"):
        Predictor(folder)


def test_a_run_that_fails_is_worded(trained: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = np.zeros((1, 7, 64, 64), dtype=np.float32)
    with pytest.raises(ModelError, match=r"the network failed on a batch of shape \(1, 7, 64, 64\)"):
        load_runtime("onnx", trained, threads=1).run(batch, False)

    def exhausted(image: object) -> object:
        raise RuntimeError("[enforce fail] not enough memory: you tried to allocate 99 TB")

    engine = load_runtime("torch", trained, threads=1)
    monkeypatch.setattr(engine, "_network", exhausted)
    with pytest.raises(ModelError, match=r"failed on a batch of shape .*99 TB.*smaller batch"):
        engine.run(batch, False)
