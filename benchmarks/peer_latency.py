"""The networks that ours is compared with, at batch 1, in turns, in one run: milliseconds a picture.

    python benchmarks/peer_latency.py [--rounds 7] [--pictures 4] [--size 256] [--json FILE]

All in float32 by the same engine, ONNX Runtime, which every installation has; beside them the model that
ships in int8, as `sonoseg predict` runs it. Weights are drawn at random: speed does not depend on them. What
each network finds is in docs/results/peers.md. Ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import turns
from sonoseg.network.presets import options_for
from sonoseg.network.summary import cost

HERE = Path(__file__).resolve().parent
PRESETS = ("sonoseg", "compact", "unet", "seed", "monai-attention-unet", "monai-dynunet")
OURS = "sonoseg"


def main() -> None:
    """Measure, print, write JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=7, help="turns of each")
    options.add_argument("--pictures", type=int, default=4, help="pictures a turn")
    options.add_argument("--size", type=int, default=256, help="side of the network's input, pixels")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        setups = {}
        for preset in PRESETS:
            words = [sys.executable, HERE / "infer_model.py", f"{folder}/{preset}", str(wish.size), preset]
            subprocess.run(words, check=True)
            setups[preset, "fp32"] = f"{folder}/{preset}"
        setups["shipped", "int8"] = "shipped"
        workers = {
            key: stack.enter_context(
                turns.Worker(
                    "-".join(key), [sys.executable, HERE / "infer_sonoseg.py", where, "onnx", key[1]]
                )
            )
            for key, where in setups.items()
        }
        seconds: dict[Any, list[float]] = {key: [] for key in workers}
        for worker in workers.values():
            worker.turn(2)  # fills caches
        for number in range(wish.rounds):
            for key, worker in workers.items():
                seconds[key].append(worker.turn(wish.pictures) / wish.pictures)
            print(f"round {number + 1} of {wish.rounds}", flush=True)
    ours, rows = seconds[OURS, "fp32"], []
    for (network, precision), own in seconds.items():
        parameters, macs = cost(options_for(OURS if network == "shipped" else network), wish.size)
        rows.append(
            {
                "network": network,
                "precision": precision,
                "parameters": parameters,
                "macs": macs,
                "ms": turns.spread([1000 * one for one in own]),
                "ratio": turns.spread([b / a for a, b in zip(ours, own, strict=True)]),
            }
        )
    result = {
        "benchmark": "peer_latency",
        "machine": about,
        "versions": {name: version(name) for name in ("onnxruntime", "torch", "monai")},
        "size": wish.size,
        "rows": rows,
    }
    for row in rows:
        print(f"{row['network']:22}{row['precision']:5} {turns.shown(row['ms'], 1)} ms")
    turns.write(result, wish.json)


if __name__ == "__main__":
    main()
