"""The Attention U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from sonoseg.errors import ShapeError
from sonoseg.networks.attention_gate import make_gate
from sonoseg.networks.blocks import ConvBlock, DecoderBlock, EncoderBlock, conv3, norm
from sonoseg.networks.efficientnet import make_encoder
from sonoseg.networks.efficientnet_stages import channels
from sonoseg.networks.options import NetworkOptions
from sonoseg.networks.presence_head import PresenceHead, both


class Outputs(NamedTuple):
    """The network's outputs for images (N, C, H, W).

    logit: (N, 1, H, W), before the sigmoid.
    sides: with deep supervision in training, logits (N, 1, h, w) of the coarser decoder levels, finest first.
    attention: the gates' coefficients (N, 1, h, w) in 0..1, the gate nearest the bottleneck first.
    presence: the presence head's logit (N,), where the network has one; `logit` already includes it.
    features: the mean of each bottleneck channel (N, C).
    """

    logit: Tensor
    sides: list[Tensor]
    attention: list[Tensor]
    presence: Tensor | None = None
    features: Tensor | None = None


class AttentionUNet(nn.Module):
    """Encoder and decoder with attention gates on the skips (Ronneberger 2015; Oktay 2018)."""

    def __init__(self, options: NetworkOptions | None = None) -> None:
        super().__init__()
        self.options = o = options or NetworkOptions()
        widths, rates = o.widths, o.dropout

        def block(inputs: int, level: int) -> ConvBlock:
            return ConvBlock(
                inputs,
                widths[level],
                dropout=rates[level],
                normalisation=o.normalisation,
                residual=o.residual,
            )

        bottom = len(widths) - 1
        skips: Sequence[int] = widths[:-1]
        self.stem: nn.Module = nn.Identity()
        if o.encoder == "plain":
            first: int = o.channels
            if o.stem == 2:
                first = widths[0]
                self.stem = nn.Sequential(
                    conv3(o.channels, first, o.normalisation, stride=2),
                    norm(o.normalisation, first),
                    nn.ReLU(),
                )
            inputs = (first, *widths[:-1])
            self.encoder = nn.ModuleList(EncoderBlock(block(inputs[level], level)) for level in range(bottom))
            self.bottleneck: nn.Module = block(widths[-2], bottom)
        else:
            self.stem, encoder, self.bottleneck = make_encoder(o.encoder, o.channels)
            self.encoder = nn.ModuleList(encoder)
            skips = channels(o.encoder)[:-1]
        # Decoder and gates run from the bottleneck up: index 0 is the coarsest.
        levels = range(bottom - 1, -1, -1)
        self.gates = nn.ModuleList()
        for level in levels:
            gate = make_gate(o.gate, skips[level], widths[level + 1], o.psi_bias)
            if gate is not None:
                self.gates.append(gate)
        self.decoder = nn.ModuleList(
            DecoderBlock(block(widths[level + 1] + skips[level], level)) for level in levels
        )
        self.head = nn.Conv2d(widths[0], 1, 1)
        sides = range(1, bottom) if o.deep_supervision else range(0)
        self.side_heads = nn.ModuleList(nn.Conv2d(widths[level], 1, 1) for level in sides)
        self.presence = PresenceHead(widths[-1]) if o.presence else None
        self._initialise()

    def _initialise(self) -> None:
        """Initialise as He et al. before a ReLU, as Glorot and Bengio before a sigmoid; biases zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module.out_channels == 1:
                    nn.init.xavier_uniform_(module.weight)
                else:
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
        for head in (self.head, *self.side_heads):
            assert isinstance(head, nn.Conv2d)
            assert head.bias is not None
            nn.init.zeros_(head.bias)

    def forward(self, x: Tensor) -> Outputs:
        """Compute logits and attention coefficients of a batch.

        x: float (N, C, H, W); C the options' channels, H and W multiples of the network's stride.
        Raises ShapeError, with the size to pad to, for another shape.
        """
        self._check(x)
        skips: list[Tensor] = []
        x = self.stem(x)
        for encode in self.encoder:
            x, skip = encode(x)
            skips.append(skip)
        x = self.bottleneck(x)
        features = x.mean((2, 3))
        presence = None if self.presence is None else self.presence(x)
        attention: list[Tensor] = []
        coarser: list[Tensor] = []
        for step, decode in enumerate(self.decoder):
            skip = skips.pop()
            if len(self.gates):
                skip, coefficients = self.gates[step](skip, x)
                attention.append(coefficients)
            x = decode(x, skip)
            coarser.append(x)
        logit = self.head(x)
        if self.options.stem == 2:
            logit = F.interpolate(logit, scale_factor=2.0, mode="bilinear", align_corners=False)
        sides: list[Tensor] = []
        if self.training and len(self.side_heads):
            finest_first = coarser[-2::-1]
            sides = [head(side) for head, side in zip(self.side_heads, finest_first, strict=True)]
        if presence is not None:
            logit = both(logit, presence[:, None, None, None])
        return Outputs(logit, sides, attention, presence, features)

    def _check(self, x: Tensor) -> None:
        stride, channels = self.options.stride, self.options.channels
        if x.ndim != 4 or x.shape[1] != channels:
            raise ShapeError(f"unsupported shape {tuple(x.shape)}: the network takes (N, {channels}, H, W)")
        height, width = int(x.shape[2]), int(x.shape[3])
        if height % stride or width % stride:
            padded = f"{-(-height // stride) * stride}x{-(-width // stride) * stride}"
            raise ShapeError(
                f"unsupported size {height}x{width}: height and width must be multiples of {stride}",
                remedy=f"Pad to {padded}, or use the Predictor, which resizes",
            )
