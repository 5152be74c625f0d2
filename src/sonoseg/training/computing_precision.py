"""What a run computes in: bfloat16 where every process' device has it, else float32."""

from __future__ import annotations

from typing import Literal

import torch
from accelerate.utils import gather

from sonoseg.networks.bfloat16 import has_bf16
from sonoseg.training import distributed as processes

Computed = Literal["fp32", "bf16"]


def computed(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Computed:
    """What the run computes in where its recipe says `wanted`; the same in every process of the job."""
    if wanted != "auto":
        return wanted
    own = has_bf16(device)
    if processes.count() > 1:
        own = bool(gather(torch.tensor([int(own)], device=device)).min())
    return "bf16" if own else "fp32"


def imitated(wanted: Literal["auto", "fp32", "bf16"], device: str) -> str | None:
    """What to tell a user who asks for bfloat16 of a device that has none; else None.

    device: "auto", "cpu" or "cuda", as `sonoseg train` takes it.
    """
    here = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    if wanted != "bf16" or has_bf16(here):
        return None
    name = "this processor" if here.type == "cpu" else "this GPU"
    return f"{name} has no bfloat16 and imitates it, many times slower: --set precision=auto takes fp32"
