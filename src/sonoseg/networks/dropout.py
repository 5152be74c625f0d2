"""Dropout that draws one random byte a value: torch's own draws cost a tenth of a training step on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014); on a CPU the rate is rounded to 1/256.

    In training each value is zeroed with probability `rate` and the others are scaled so that the mean
    stays; in evaluation it does nothing. Draws come from torch's generator, so a resumed run repeats them.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.cut = round(rate * 256)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.cut == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.rate)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        # Laid out as x lies in memory (channels last, mostly), so that the product stays dense.
        draws = torch.empty_like(x, dtype=torch.uint8)
        torch.as_strided(draws, (x.numel(),), (1,)).copy_(words.view(torch.uint8)[: x.numel()])
        keep = (draws >= self.cut).to(x.dtype).mul_(256 / (256 - self.cut))
        return x * keep

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
