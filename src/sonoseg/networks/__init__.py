"""The Attention U-Net: gates, blocks, options, presets.

The names below are loaded on first use: torch when a network is built, and nothing at all for the numbers of
`stages`, which environments without our dependencies read.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sonoseg.networks.attention_unet import AttentionUNet as AttentionUNet
    from sonoseg.networks.attention_unet import Outputs as Outputs
    from sonoseg.networks.options import NetworkOptions as NetworkOptions
    from sonoseg.networks.presets import PRESETS as PRESETS
    from sonoseg.networks.presets import build as build
    from sonoseg.networks.presets import options_for as options_for

_HOMES = {
    "AttentionUNet": "attention_unet",
    "Outputs": "attention_unet",
    "NetworkOptions": "options",
    "PRESETS": "presets",
    "build": "presets",
    "options_for": "presets",
}

__all__ = ["PRESETS", "AttentionUNet", "NetworkOptions", "Outputs", "build", "options_for"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"sonoseg.networks.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'sonoseg.networks' has no attribute {name!r}")
