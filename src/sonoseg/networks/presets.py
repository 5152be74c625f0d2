"""Presets: named networks, a plain dict. A new preset is one more entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sonoseg.errors import UsageError
from sonoseg.networks.options import NetworkOptions

if TYPE_CHECKING:
    from sonoseg.networks.attention_unet import AttentionUNet
    from sonoseg.networks.peer_networks import PeerNetwork

PRESETS: dict[str, NetworkOptions] = {
    # The network of the system this project started from, as its figure gives it: 10.2 M parameters.
    "seed": NetworkOptions(),
    # The control for the claim that gates find small lesions: the same without gates.
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
    # Small and quick enough for a laptop: a ninth of the seed's multiplications.
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
    # What ships: an encoder that can start from ImageNet, and runs well in int8; the decoder is compact's.
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
    # Peers, to be compared with: MONAI's Attention U-Net at the seed's widths, and its DynUNet at those that
    # nnU-Net v2 plans for images of 256 pixels.
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
    """The options of a named preset. Raises UsageError for an unknown name."""
    if preset not in PRESETS:
        raise UsageError(f"no preset named '{preset}'", remedy=f"Choose one of: {', '.join(PRESETS)}")
    return PRESETS[preset]


def build(preset: str | NetworkOptions) -> AttentionUNet | PeerNetwork:
    """The network of a preset's name or of options. Raises UsageError: an unknown name, or no MONAI."""
    options = options_for(preset) if isinstance(preset, str) else preset
    if options.architecture != "attention-unet":
        from sonoseg.networks.peer_networks import PeerNetwork

        return PeerNetwork(options)
    from sonoseg.networks.attention_unet import AttentionUNet

    return AttentionUNet(options)
