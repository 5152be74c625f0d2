"""The Attention U-Net: gates, blocks, options, presets. Torch is loaded when one is built."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sonoseg.network.options import NetworkOptions
from sonoseg.network.presets import PRESETS, build, options_for

if TYPE_CHECKING:
    from sonoseg.network.attention_unet import AttentionUNet as AttentionUNet
    from sonoseg.network.attention_unet import Outputs as Outputs

__all__ = ["PRESETS", "AttentionUNet", "NetworkOptions", "Outputs", "build", "options_for"]


def __getattr__(name: str) -> Any:
    if name in ("AttentionUNet", "Outputs"):
        return getattr(import_module("sonoseg.network.attention_unet"), name)
    raise AttributeError(f"module 'sonoseg.network' has no attribute {name!r}")
