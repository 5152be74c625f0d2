"""What a run computes in: bfloat16 where every process' device has it, else float32."""

from __future__ import annotations

from typing import Literal

import torch
from accelerate.utils import gather

from sonoseg.training import processes

Computed = Literal["fp32", "bf16"]


def has_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16, and does not merely imitate them.

    Imitation is correct and slow: on a processor with AVX2 alone, torch 2.13 takes many times as long for a
    step in bfloat16 as in float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # Newer than the oldest torch that serves; without it float32 is always right.
    look = getattr(torch.cpu, "get_capabilities", None)
    found = look() if look else {}
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


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
    return f"{name} has no bfloat16 and imitates it, many times slower: precision=auto takes fp32 here"
