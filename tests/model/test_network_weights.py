"""Weights as they are stored: float16 where it was asked for, one set of numbers in every file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file, save_file

from sonoseg.errors import ModelError
from sonoseg.inference.predictor import Predictor
from sonoseg.model.export.keras import read_safetensors
from sonoseg.model.model import Model
from sonoseg.model.network_weights import StoredPrecision, stored_weights
from sonoseg.networks import PRESETS, AttentionUNet, NetworkOptions, build
from sonoseg.training.model_writing import write_model
from sonoseg.training.recipe import Recipe, load_recipe


def trained(recipe: Recipe) -> AttentionUNet:
    """Weights as training leaves them: none of them fits into float16 by chance."""
    torch.manual_seed(0)
    network = build(recipe.network)
    with torch.no_grad():
        network.train()(torch.rand(4, 1, 64, 64))
    return network.eval()


def exported(recipe: Recipe, network: AttentionUNet, folder: Path) -> Model:
    return write_model(network, recipe, folder, threshold=0.5, data=[], training={}, results=[])


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    """A network of two levels: writing ONNX takes seconds a level."""
    small = ("data.size=64", "network.widths=[16,64]", "network.dropout=[0,0.1]")
    return load_recipe("quick", [*small, "network.presence=true", "store=float16"])


@pytest.fixture(scope="module")
def model(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return exported(recipe, trained(recipe), tmp_path_factory.mktemp("model") / "half")


def test_float32_changes_nothing(recipe: Recipe) -> None:
    network = trained(recipe)
    state = stored_weights(network, "float32")
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_float16_rounds_kernels_and_linear_weights_alone(recipe: Recipe) -> None:
    network = trained(recipe)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = stored_weights(network, "float16")
    coarse = {name for name, value in state.items() if value.dtype == torch.float16}
    layers = (torch.nn.Conv2d, torch.nn.Linear)
    assert coarse == {f"{n}.weight" for n, part in network.named_modules() if isinstance(part, layers)}
    assert "presence.judge.weight" in coarse
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])  # nobody's network is changed
        assert torch.equal(state[name], value.half() if name in coarse else value)
    assert not torch.equal(state["head.weight"].float(), before["head.weight"])
    # Rounded once, rounded for good.
    network.load_state_dict(state)
    again = stored_weights(network, "float16")
    assert all(torch.equal(value, state[name]) for name, value in again.items())
    assert network.head.weight.dtype == torch.float32


def test_a_weight_that_float16_cannot_hold_is_an_error(recipe: Recipe) -> None:
    network = trained(recipe)
    with torch.no_grad():
        network.head.weight[0, 0] = 1e6
    assert bool(torch.isfinite(stored_weights(network, "float32")["head.weight"]).all())
    with pytest.raises(ModelError, match=r"head\.weight are beyond the range of float16.*store: float32"):
        stored_weights(network, "float16")


@pytest.mark.process
def test_every_file_and_engine_has_the_same_numbers(model: Model, recipe: Recipe) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64), dtype=np.uint8)
    onnx, plain = (
        Predictor(model, runtime=runtime, precision="fp32").predict_grid(pixels)
        for runtime in ("onnx", "torch")
    )
    assert np.abs(onnx - plain).max() < 1e-5
    # Without the rounding in both, they would differ by more: the test above would see one left out.
    exact = exported(recipe.model_copy(update={"store": "float32"}), trained(recipe), model.folder / "exact")
    full = Predictor(exact, runtime="onnx", precision="fp32").predict_grid(pixels)
    assert 2e-5 < np.abs(onnx - full).max() < 5e-3


@pytest.mark.process
def test_the_file_is_half_as_large(model: Model) -> None:
    path = model.folder / "weights.safetensors"
    values = load_arrays(path)
    count = sum(value.size for value in values.values())
    assert path.stat().st_size < 2.3 * count
    found = read_safetensors(path)
    assert all(found[name].dtype == value.dtype for name, value in values.items())
    assert all(np.array_equal(found[name], value) for name, value in values.items())
    network = build(NetworkOptions.model_validate(model.card.network))
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32, torch.int64}


@pytest.mark.parametrize("kind", ["float32", "float16"])
def test_a_layer_of_two_names_is_kept_under_both(kind: StoredPrecision, tmp_path: Path) -> None:
    """MONAI's DynUNet lists its blocks a second time; the file's format refuses memory that is shared."""
    pytest.importorskip("monai")
    options = PRESETS["monai-dynunet"].model_copy(update={"widths": (4, 8, 8), "dropout": (0.0,) * 3})
    network = build(options)
    state = stored_weights(network, kind)
    save_file(state, tmp_path / "weights.safetensors")
    again = build(options)
    again.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    for name, value in again.state_dict().items():
        assert torch.equal(value, state[name].float()), name
    first, second = "inner.input_block.conv1.conv.weight", "inner.skip_layers.downsample.conv1.conv.weight"
    assert torch.equal(state[first], state[second])
