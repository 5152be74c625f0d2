"""The stages of EfficientNet-Lite as numbers, without torch.

Tan and Le 2019 (arXiv 1905.11946), table 1; factors of the Lite sizes from Google's release of 2020.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

EncoderKind = Literal["plain", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"]


class Stage(NamedTuple):
    """A row of the paper's table 1: `blocks` blocks, of which the first has the stride."""

    blocks: int
    kernel: int
    stride: int
    expand: int
    outputs: int


# Without the last stage and the head, which serve classification and hold a fifth of the weights.
_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
)
STEM = 32
_SCALES: Mapping[EncoderKind, tuple[float, float]] = {
    "efficientnet-lite0": (1.0, 1.0),
    "efficientnet-lite1": (1.0, 1.1),
    "efficientnet-lite2": (1.1, 1.2),
}
"""Factors of width and depth."""


def stages(kind: EncoderKind) -> list[Stage]:
    """Return the stages of one size: widths rounded to multiples of 8, depths rounded up.

    The stem and the depth of the first stage are not scaled.
    """
    width, depth = _SCALES[kind]
    found = []
    for number, stage in enumerate(_STAGES):
        outputs = max(8, int(stage.outputs * width + 4) // 8 * 8)
        if outputs < 0.9 * stage.outputs * width:
            outputs += 8
        blocks = stage.blocks if number == 0 else math.ceil(stage.blocks * depth)
        found.append(stage._replace(blocks=blocks, outputs=outputs))
    return found


def channels(kind: EncoderKind) -> list[int]:
    """Return the channels of each level, finest (half size) first, the bottleneck last."""
    found: list[int] = []
    for stage in stages(kind):
        if stage.stride == 2 or not found:
            found.append(stage.outputs)
        else:
            found[-1] = stage.outputs
    return found
