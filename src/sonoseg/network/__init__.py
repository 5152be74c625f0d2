"""The Attention U-Net: gates, blocks, presets. Torch only."""

from sonoseg.network.attention_unet import AttentionUNet, Outputs
from sonoseg.network.options import NetworkOptions
from sonoseg.network.presets import PRESETS, build, options_for

__all__ = ["PRESETS", "AttentionUNet", "NetworkOptions", "Outputs", "build", "options_for"]
