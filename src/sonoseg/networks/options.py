"""What a network is built from: checked values, no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sonoseg._util.validation import StrictModel
from sonoseg.networks.efficientnet_stages import EncoderKind, channels

GateKind = Literal["seed", "grid", "same-scale", "none"]
Normalisation = Literal["none", "batch", "instance"]
Architecture = Literal["attention-unet", "monai-attention-unet", "monai-dynunet"]


class NetworkOptions(StrictModel):
    """The values from which an AttentionUNet is built; they travel with the weights on the model card.

    widths: channels of each level, finest first; the last is the bottleneck. Beside another encoder than the
        plain one they are the decoder's, and the bottleneck's are the encoder's own.
    dropout: rate between the two convolutions of a block, one a level, as `widths`.
    """

    architecture: Architecture = Field(
        "attention-unet", description="ours, or a peer of MONAI's that is trained in the same way"
    )
    encoder: EncoderKind = Field(
        "plain", description="plain: built as the decoder is; the others can start from ImageNet weights"
    )
    channels: Literal[1, 3] = Field(3, description="input channels; grey is repeated to three")
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (32, 64, 128, 256, 512), min_length=2, description="channels a level, finest first, bottleneck last"
    )
    dropout: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = Field(
        (0.1, 0.1, 0.2, 0.2, 0.3), description="dropout rate a level, between the block's two convolutions"
    )
    gate: GateKind = Field(
        "seed", description="seed, grid (Oktay 2018), same-scale (1x1 at the skip) or none"
    )
    psi_bias: float = Field(0.0, description="start of the bias before the gate's sigmoid; 3 opens the gates")
    normalisation: Normalisation = Field("none", description="after each 3x3 convolution")
    residual: bool = Field(False, description="a shortcut around each block")
    stem: Literal[1, 2] = Field(1, description="2 halves the image first and doubles the logit last")
    deep_supervision: bool = Field(False, description="one more output at each decoder level, for the loss")
    presence: bool = Field(
        False, description="a head on the bottleneck that judges whether there is a lesion at all"
    )

    @model_validator(mode="after")
    def _one_rate_a_level(self) -> NetworkOptions:
        if len(self.dropout) != len(self.widths):
            raise ValueError(
                f"{len(self.dropout)} dropout rates for {len(self.widths)} widths: give one each"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_encoder(self) -> NetworkOptions:
        if self.encoder == "plain":
            return self
        bottom = channels(self.encoder)[-1]
        if self.stem != 2 or len(self.widths) != 5 or self.widths[-1] != bottom:
            raise ValueError(f"{self.encoder} takes stem 2 and five widths, the last of them {bottom}")
        return self

    @model_validator(mode="after")
    def _says_nothing_that_a_peer_ignores(self) -> NetworkOptions:
        if self.architecture == "attention-unet":
            return self
        free = {"architecture", "channels", "widths", "dropout", "normalisation"}
        if self.architecture == "monai-dynunet":
            free |= {"deep_supervision", "residual"}
        same = {"encoder": "plain", "gate": "none", "stem": 1, "psi_bias": 0.0, "presence": False}
        same |= {"deep_supervision": False, "residual": False}
        for name, value in same.items():
            if name not in free and getattr(self, name) != value:
                raise ValueError(f"{self.architecture} takes no {name}: leave it at {value!r}")
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
