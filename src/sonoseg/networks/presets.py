"""Presets: the options of named networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sonoseg.errors import UsageError
from sonoseg.networks.options import NetworkOptions

if TYPE_CHECKING:
    from sonoseg.networks.attention_unet import AttentionUNet
    from sonoseg.networks.peer_networks import PeerNetwork

PRESETS: dict[str, NetworkOptions] = {
    # The network that this project started from, by its published figure: 10.2 M parameters.
    "seed": NetworkOptions(),
    # The same without gates, as a control.
    "unet": NetworkOptions(gate="none"),
    # For tests and demonstrations: minutes on two cores.
    "quick": NetworkOptions(
        channels=1,
        widths=(8, 16, 32, 64),
        dropout=(0.0, 0.0, 0.0, 0.1),
        gate="grid",
        normalisation="batch",
        stem=2,
    ),
    # For laptops: a ninth of the multiplications of `seed`.
    "compact": NetworkOptions(
        channels=1,
        widths=(24, 48, 96, 128, 144),
        dropout=(0.0, 0.0, 0.1, 0.1, 0.2),
        gate="grid",
        psi_bias=3.0,
        normalisation="batch",
        residual=True,
        stem=2,
        deep_supervision=True,
    ),
    # The shipped network: an encoder with ImageNet weights that suits int8, and the decoder of `compact`.
    "sonoseg": NetworkOptions(
        encoder="efficientnet-lite1",
        channels=1,
        widths=(32, 48, 96, 128, 192),
        dropout=(0.0, 0.0, 0.1, 0.1, 0.0),
        gate="grid",
        psi_bias=3.0,
        normalisation="batch",
        residual=True,
        stem=2,
        deep_supervision=True,
        presence=True,
    ),
    # For comparison: MONAI's Attention U-Net at the widths of `seed`, and its DynUNet at those that nnU-Net
    # v2 plans for images of 256 pixels.
    "monai-attention-unet": NetworkOptions(
        architecture="monai-attention-unet",
        channels=1,
        dropout=(0.0,) * 5,
        gate="none",
        normalisation="batch",
    ),
    "monai-dynunet": NetworkOptions(
        architecture="monai-dynunet",
        channels=1,
        widths=(32, 64, 128, 256, 512, 512, 512),
        dropout=(0.0,) * 7,
        gate="none",
        normalisation="instance",
        deep_supervision=True,
    ),
}


def options_for(preset: str) -> NetworkOptions:
    """Return the options of a preset. Raises UsageError for an unknown name."""
    if preset not in PRESETS:
        raise UsageError(f"unknown preset '{preset}'", remedy=f"Choose one of: {', '.join(PRESETS)}")
    return PRESETS[preset]


def build(preset: str | NetworkOptions) -> AttentionUNet | PeerNetwork:
    """Build the network of a preset or of options. Raises UsageError: unknown preset, MONAI missing."""
    options = options_for(preset) if isinstance(preset, str) else preset
    if options.architecture != "attention-unet":
        from sonoseg.networks.peer_networks import PeerNetwork

        return PeerNetwork(options)
    from sonoseg.networks.attention_unet import AttentionUNet

    return AttentionUNet(options)
