"""The device and precision of a run: bfloat16 where every process' device supports it, else float32."""

from __future__ import annotations

from typing import Literal

import torch
from accelerate.utils import gather

from sonoseg.errors import TrainingError
from sonoseg.networks.bfloat16 import has_bf16
from sonoseg.training import distributed as processes

Computed = Literal["fp32", "bf16"]


def uses_cpu(device: str) -> bool:
    """Whether a run on `device` ("auto", "cpu" or "cuda") is on the CPU.

    Raises TrainingError for "cuda" without a CUDA device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("no CUDA device was found", remedy="Leave --device out, or use --device cpu")
    return device == "cpu" or not torch.cuda.is_available()


def resolve_precision(wanted: Literal["auto", "fp32", "bf16"], device: torch.device) -> Computed:
    """Return the precision of the run for the recipe's `precision`; the same in every process of the job."""
    if wanted != "auto":
        return wanted
    own = has_bf16(device)
    if processes.count() > 1:
        own = bool(gather(torch.tensor([int(own)], device=device)).min())
    return "bf16" if own else "fp32"


def emulation_warning(wanted: Literal["auto", "fp32", "bf16"], device: str) -> str | None:
    """Return a warning where bfloat16 is asked for on a device without it, else None.

    device: "auto", "cpu" or "cuda".
    """
    used = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
    if wanted != "bf16" or has_bf16(used):
        return None
    name = "this processor" if used.type == "cpu" else "this GPU"
    return f"{name} emulates bfloat16, which is many times slower: --set precision=auto uses fp32"
