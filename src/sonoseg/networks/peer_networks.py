"""Networks of MONAI behind the interface of AttentionUNet, for comparison.

MONAI's Attention U-Net (after Oktay 2018, with same-scale gates) and DynUNet (the form of nnU-Net, Isensee
2021). MONAI is imported when one is built.
"""

from __future__ import annotations

from torch import Tensor, nn

from sonoseg.errors import UsageError
from sonoseg.networks.attention_unet import Outputs
from sonoseg.networks.options import NetworkOptions


class PeerNetwork(nn.Module):
    """A network of MONAI: images (N, C, H, W) to Outputs.

    gates: always empty; MONAI does not return the coefficients of its gates.
    Raises UsageError where MONAI is not installed.
    """

    def __init__(self, options: NetworkOptions) -> None:
        super().__init__()
        self.options = options
        self.gates = nn.ModuleList()
        self.presence: nn.Module | None = None
        self.inner = _attention_unet(options) if _is_attention(options) else _dynunet(options)

    def forward(self, images: Tensor) -> Outputs:
        """As AttentionUNet; the sides of DynUNet have the size of the image."""
        given: Tensor = self.inner(images)
        if given.ndim == 5:  # DynUNet in training: (N, 1 + sides, 1, H, W)
            logit, *sides = given.unbind(1)
            return Outputs(logit, sides, [])
        return Outputs(given, [], [])


def _is_attention(options: NetworkOptions) -> bool:
    return options.architecture == "monai-attention-unet"


def _attention_unet(options: NetworkOptions) -> nn.Module:
    _needs_monai()
    from monai.networks.nets.attentionunet import AttentionUnet

    widths = options.widths
    return AttentionUnet(
        spatial_dims=2,
        in_channels=options.channels,
        out_channels=1,
        channels=widths,
        strides=[2] * (len(widths) - 1),
        dropout=options.dropout[0],
    )


def _dynunet(options: NetworkOptions) -> nn.Module:
    _needs_monai()
    from monai.networks.nets.dynunet import DynUNet

    levels, strides = len(options.widths), [1, *[2] * (len(options.widths) - 1)]
    return DynUNet(
        spatial_dims=2,
        in_channels=options.channels,
        out_channels=1,
        kernel_size=[3] * levels,
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=options.widths,
        dropout=options.dropout[0] or None,
        norm_name=(options.normalisation, {"affine": True}),
        deep_supervision=options.deep_supervision,
        # nnU-Net leaves the two coarsest levels without a side output.
        deep_supr_num=max(1, levels - 3),
        res_block=options.residual,
    )


def _needs_monai() -> None:
    try:
        import monai  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "this network needs MONAI, which is not installed",
            where="network.architecture",
            remedy="Run: pip install 'sonoseg[peers]'",
        ) from error
