"""What this machine can do: the best rate of large products, in GFLOP/s.

python benchmarks/limits.py
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import torch

SIDES = (1024, 2048)
CHANNELS, PICTURES, SIDE = 128, 8, 64


def best(work: Callable[[], object], flop: float, seconds: float) -> float:
    """The best of some seconds of calls, GFLOP/s on all cores."""
    fastest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - began)
    return flop / fastest / 1e9


def product(dtype: torch.dtype, side: int, seconds: float) -> float:
    """Two square matrices."""
    first, second = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    out = torch.empty_like(first)
    return best(lambda: torch.mm(first, second, out=out), 2 * side**3, seconds)


def convolution(dtype: torch.dtype, seconds: float) -> float:
    """A 3x3 convolution over channels enough to keep every unit busy.

    Torch's float32 products go to a library that does not use the widest units of every processor; its
    convolutions do, so that products alone would set the limit below what networks reach.
    """
    picture = torch.randn(PICTURES, CHANNELS, SIDE, SIDE).to(dtype).to(memory_format=torch.channels_last)
    kernel = torch.randn(CHANNELS, CHANNELS, 3, 3).to(dtype).to(memory_format=torch.channels_last)
    flop = 2 * 9 * PICTURES * SIDE**2 * CHANNELS**2
    with torch.no_grad():
        return best(lambda: torch.conv2d(picture, kernel, padding=1), flop, seconds)


def measure(seconds: float = 1.0) -> dict[str, float]:
    """Limits of float32 and bfloat16: the best of all, for none is the best everywhere."""
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return {
        name: max(convolution(dtype, seconds), *(product(dtype, side, seconds) for side in SIDES))
        for name, dtype in kinds.items()
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
