"""Whether a device supports bfloat16 in hardware."""

from __future__ import annotations

import torch


def has_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16.

    Elsewhere torch emulates it, correctly and slowly: on a processor with AVX2 alone, torch 2.13 takes many
    times as long for a training step in bfloat16 as in float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is None:  # an older torch, for x86 alone
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, bool)() for name in names)
    found = capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))
