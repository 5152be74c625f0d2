"""What this machine can do: the best rate of large matrix products, in GFLOP/s.

python benchmarks/limits.py
"""

from __future__ import annotations

import json
import time

import torch


def matmul(dtype: torch.dtype, side: int = 2048, seconds: float = 3.0) -> float:
    """The best of some seconds of products of two square matrices, GFLOP/s on all cores."""
    first, second = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    out, best, end = torch.empty_like(first), float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        torch.mm(first, second, out=out)
        best = min(best, time.perf_counter() - began)
    return 2 * side**3 / best / 1e9


def measure(seconds: float = 3.0) -> dict[str, float]:
    """Limits of float32 and bfloat16."""
    return {
        "fp32": matmul(torch.float32, seconds=seconds),
        "bf16": matmul(torch.bfloat16, seconds=seconds),
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
