"""What this machine can do: the best rate of large matrix products, in GFLOP/s.

python benchmarks/limits.py
"""

from __future__ import annotations

import json
import time

import torch


SIDES = (768, 1024, 1536, 2048)


def matmul(dtype: torch.dtype, side: int, seconds: float) -> float:
    """The best of some seconds of products of two square matrices, GFLOP/s on all cores."""
    first, second = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    out, best, end = torch.empty_like(first), float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        torch.mm(first, second, out=out)
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9


def measure(seconds: float = 1.0) -> dict[str, float]:
    """Limits of float32 and bfloat16: the best over several sizes, for no size is the best everywhere."""
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    return {name: max(matmul(dtype, side, seconds) for side in SIDES) for name, dtype in kinds.items()}


if __name__ == "__main__":
    print(json.dumps(measure()))
