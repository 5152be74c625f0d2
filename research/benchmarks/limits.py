"""What this machine can do: the best rate of large products, in GFLOP/s (int8: billions of operations).

python research/benchmarks/limits.py
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

SIDES = (1024, 2048)
CHANNELS, IMAGES, SIDE = 128, 8, 64


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
    image = torch.randn(IMAGES, CHANNELS, SIDE, SIDE).to(dtype).to(memory_format=torch.channels_last)
    kernel = torch.randn(CHANNELS, CHANNELS, 3, 3).to(dtype).to(memory_format=torch.channels_last)
    flop = 2 * 9 * IMAGES * SIDE**2 * CHANNELS**2
    with torch.no_grad():
        return best(lambda: torch.conv2d(image, kernel, padding=1), flop, seconds)


def int8_product(side: int, seconds: float) -> float:
    """Two square matrices of int8, summed in int32, by oneDNN."""
    first, second = (torch.randint(-9, 9, (side, side), dtype=torch.int8) for _ in range(2))
    out = torch.empty(side, side, dtype=torch.int32)
    return best(lambda: torch._int_mm(first, second, out=out), 2 * side**3, seconds)


def int8_chain(side: int, seconds: float, length: int = 6) -> float:
    """Products of int8 matrices one after the other, each rounded to uint8 for the next, by OpenVINO."""
    import openvino
    from openvino import opset13 as op

    def rounded(x: Any, low: float, high: float) -> Any:
        ends = [op.constant(np.float32(end)) for end in (low, high)]
        return op.fake_quantize(x, *ends, *ends, 256)

    given = op.parameter([side, side], np.float32)
    weights = np.random.default_rng(0).integers(-9, 9, (side, side)).astype(np.float32) / 100
    x = rounded(given, 0, 2.55)
    for _ in range(length):
        x = rounded(op.relu(op.matmul(x, rounded(op.constant(weights), -1.28, 1.27), False, True)), 0, 2.55)
    least = op.reduce_max(x, op.constant(np.array([0, 1])), False)  # one number: no copying of results
    compiled = openvino.Core().compile_model(openvino.Model([least], [given]), "CPU")
    request, image = compiled.create_infer_request(), np.ones((side, side), np.float32)
    return best(lambda: request.infer({0: image}, share_inputs=True), length * 2 * side**3, seconds)


def measure(seconds: float = 1.0) -> dict[str, float]:
    """Limits of each precision: the best of all, for none is the best everywhere."""
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    found = {
        name: max(convolution(dtype, seconds), *(product(dtype, side, seconds) for side in SIDES))
        for name, dtype in kinds.items()
    }
    rates = [int8_product(side, seconds) for side in SIDES]
    with contextlib.suppress(ImportError):
        rates += [int8_chain(side, seconds) for side in SIDES]
    return found | {"int8": max(rates)}


if __name__ == "__main__":
    print(json.dumps(measure()))
