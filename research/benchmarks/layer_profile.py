"""Measure the time of an OpenVINO run by kind of layer.

    python research/benchmarks/layer_profile.py [--json FILE]

The engine's own counters over so many runs of one image, summed by the kind of work each layer came to be
after fusion. "int8 convolutions" are those that the engine says it ran in 8 bits.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

import turns

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--runs", type=int, default=60, help="images after the first ten")
    options.add_argument("--model", nargs="*", default=["seed", "shipped"], help="seed, shipped or folders")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for which in wish.model:
            folder = which
            if which == "seed":
                folder = str(Path(name) / "seed")
                subprocess.run([sys.executable, HERE / "infer_model.py", folder], check=True)
            kinds = profile(None if which == "shipped" else folder, wish.runs)
            named = which if which in ("seed", "shipped") else Path(which).name
            rows.append({"model": named, "kinds": kinds})
            print(which)
            for kind, one in sorted(kinds.items(), key=lambda item: -item[1]["ms"]):
                print(f"    {kind:24} {one['layers']:4} layers {one['ms']:8.2f} ms {one['share']:5.0%}")
    result = {"benchmark": "layer_profile", "machine": about, "versions": {}, "rows": rows}
    turns.write(result, wish.json)


def profile(model: str | None, runs: int) -> dict[str, dict[str, Any]]:
    """Milliseconds an image, layers and share of the whole, by kind of layer, in int8."""
    import openvino

    from sonoseg.model.model import Model

    loaded = Model.load(model)
    card = loaded.card.preprocessing
    core: Any = openvino.Core()
    network = core.read_model(str(loaded.int8_path))
    shape = [1, card.channels, card.size, card.size]
    network.reshape({"image": shape})
    compiled = core.compile_model(network, "CPU", {"PERFORMANCE_HINT": "LATENCY", "PERF_COUNT": True})
    request = compiled.create_infer_request()
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    spent: dict[str, float] = defaultdict(float)
    layers: dict[str, set[str]] = defaultdict(set)
    for number in range(runs + 10):
        request.infer({"image": image})
        if number < 10:
            continue
        for one in request.profiling_info:
            milliseconds = one.real_time.total_seconds() * 1000
            if milliseconds > 0:
                kind = _kind(one.node_type, one.exec_type)
                spent[kind] += milliseconds / runs
                layers[kind].add(one.node_name)
    total = sum(spent.values())
    return {kind: {"ms": ms, "share": ms / total, "layers": len(layers[kind])} for kind, ms in spent.items()}


def _kind(node: str, execution: str) -> str:
    """What a layer is called here: convolutions by their type, others by their name."""
    if node == "Convolution":
        return f"{'int8' if execution.lower().endswith(('i8', 'u8')) else 'other'} convolutions"
    return node


if __name__ == "__main__":
    main()
