"""The options that a network is built from, without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sonoseg._util.validation import StrictModel
from sonoseg.networks.efficientnet_stages import EncoderKind, channels

GateKind = Literal["seed", "grid", "same-scale", "none"]
Normalisation = Literal["none", "batch", "instance"]
Architecture = Literal["attention-unet", "monai-attention-unet", "monai-dynunet"]


class NetworkOptions(StrictModel):
    """The options of a network, kept on the model card.

    widths: channels of each level, finest first; the last is the bottleneck. With an encoder other than
        "plain" they are the decoder's, and the last must be the encoder's own.
    dropout: the rate between the two convolutions of a block, one per level.
    """

    architecture: Architecture = Field("attention-unet", description="of sonoseg, or of MONAI for comparison")
    encoder: EncoderKind = Field(
        "plain", description="plain has the decoder's blocks; the others can start from ImageNet weights"
    )
    channels: Literal[1, 3] = Field(3, description="input channels; grey is repeated to three")
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (32, 64, 128, 256, 512), min_length=2, description="channels per level, finest first, bottleneck last"
    )
    dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(
        (0.1, 0.1, 0.2, 0.2, 0.3), description="dropout rate per level, between a block's two convolutions"
    )
    gate: GateKind = Field(
        "seed", description="seed, grid (Oktay 2018), same-scale (1x1 at the skip) or none"
    )
    psi_bias: float = Field(0.0, description="initial bias before the gate's sigmoid; 3 opens the gates")
    normalisation: Normalisation = Field("none", description="after each 3x3 convolution")
    residual: bool = Field(False, description="a shortcut around each block")
    stem: Literal[1, 2] = Field(1, description="2 halves the resolution at the input and doubles the logit's")
    deep_supervision: bool = Field(
        False, description="an additional output at each decoder level, for the loss"
    )
    presence: bool = Field(
        False, description="a head on the bottleneck that decides whether there is a lesion"
    )

    @model_validator(mode="after")
    def _one_rate_per_level(self) -> NetworkOptions:
        if len(self.dropout) != len(self.widths):
            raise ValueError(
                f"{len(self.dropout)} dropout rates for {len(self.widths)} widths: give one rate per width"
            )
        return self

    @model_validator(mode="after")
    def _matches_the_encoder(self) -> NetworkOptions:
        if self.encoder == "plain":
            return self
        bottom = channels(self.encoder)[-1]
        if self.stem != 2 or len(self.widths) != 5 or self.widths[-1] != bottom:
            raise ValueError(f"{self.encoder} takes stem 2 and five widths, the last of them {bottom}")
        return self

    @model_validator(mode="after")
    def _has_no_option_that_monai_ignores(self) -> NetworkOptions:
        if self.architecture == "attention-unet":
            return self
        free = {"architecture", "channels", "widths", "dropout", "normalisation"}
        if self.architecture == "monai-dynunet":
            free |= {"deep_supervision", "residual"}
        same = {"encoder": "plain", "gate": "none", "stem": 1, "psi_bias": 0.0, "presence": False}
        same |= {"deep_supervision": False, "residual": False}
        for name, value in same.items():
            if name not in free and getattr(self, name) != value:
                raise ValueError(f"{self.architecture} does not support {name}: leave it at {value!r}")
        if self.normalisation == "none" or (
            self.architecture == "monai-attention-unet" and self.normalisation != "batch"
        ):
            raise ValueError(f"{self.architecture} takes normalisation batch, or for DynUNet instance too")
        if len(self.widths) < 3:
            raise ValueError(f"{self.architecture} takes three widths or more")
        if len(set(self.dropout)) > 1:
            raise ValueError(f"{self.architecture} takes one dropout rate for all levels")
        return self

    @property
    def stride(self) -> int:
        """Input sides must be multiples of this many pixels."""
        return int(self.stem * 2 ** (len(self.widths) - 1))
