"""Measure the training of the seed network: sonoseg in turns with Keras on TensorFlow.

    python research/benchmarks/training_speed.py [--rounds 6] [--steps 3] [--setup fit] [--json FILE]

A is sonoseg's loop with the recipe `seed` (bf16, channels_last, the allocator settings of the command), B the
same network in Keras in its ordinary setup (float32). Each is a process of its own that waits while the other
works; a round is a turn of A, then one of B. Memory is the highest resident size of each process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras_env
import turns
from train_keras import ORDINARY, SETUPS

HERE = Path(__file__).resolve().parent
TARGET = 1.45


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=6, help="turns of each side")
    options.add_argument("--steps", type=int, default=3, help="steps a turn")
    options.add_argument("--size", type=int, default=256, help="side of the images")
    options.add_argument("--batch", type=int, default=8, help="images a step")
    options.add_argument(
        "--setup", choices=ORDINARY, default="train_on_batch", help="the fastest of keras_setups.py"
    )
    options.add_argument("--precision", choices=("bf16", "fp32"), default="bf16", help="of sonoseg's side")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    python, before = keras_env.python(), limits()
    rates: dict[str, list[float]] = {"sonoseg": [], "keras": []}
    with (
        sonoseg_worker(wish.size, wish.batch, wish.precision) as ours,
        keras_worker(python, wish.setup, wish.size, wish.batch) as theirs,
    ):
        for worker in (ours, theirs):
            worker.turn(2)  # traces, compiles, fills caches
        for number in range(wish.rounds):
            for worker in (ours, theirs):
                rates[worker.name].append(wish.steps * wish.batch / worker.turn(wish.steps))
            print(
                f"round {number + 1}: " + ", ".join(f"{name} {done[-1]:.2f}" for name, done in rates.items())
            )
        last = {worker.name: worker.last for worker in (ours, theirs)}
    after = limits()
    best = {name: max(before[name], after[name]) for name in before}
    result = {
        "benchmark": "training_speed",
        "machine": about,
        "versions": {key: value for done in last.values() for key, value in done.items() if key in NAMED},
        "size": wish.size,
        "batch": wish.batch,
        "steps": wish.steps,
        "setup": wish.setup,
        "jit": last["keras"]["jit"],
        "precision": {"sonoseg": wish.precision, "keras": "fp32"},
        "limits": best,
        "gflop_per_image": 3 * 2 * macs(wish.size) / 1e9,
        "images_per_second": {name: turns.spread(done) for name, done in rates.items()},
        "ratio": turns.spread([a / b for a, b in zip(rates["sonoseg"], rates["keras"], strict=True)]),
        "peak_bytes": {name: done["peak"] for name, done in last.items() if "peak" in done},
        "target": TARGET,
    }
    show(result)
    turns.write(result, wish.json)


NAMED = ("torch", "keras", "tensorflow")


def sonoseg_worker(size: int, batch: int, precision: str) -> turns.Worker:
    """Start sonoseg, in this environment."""
    words = [sys.executable, HERE / "train_sonoseg.py", str(size), str(batch), precision]
    return turns.Worker("sonoseg", words)


def keras_worker(python: Path, setup: str, size: int, batch: int, name: str = "keras") -> turns.Worker:
    """Start Keras, in its own environment."""
    from sonoseg.training.allocator import SETTINGS

    variables = keras_env.VARIABLES | (SETTINGS if SETUPS[setup].allocator else {})
    return turns.Worker(name, [python, HERE / "train_keras.py", setup, str(size), str(batch)], variables)


def limits() -> dict[str, float]:
    """Measure the matrix limits in a process of its own."""
    done = subprocess.run([sys.executable, HERE / "limits.py"], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def macs(size: int) -> int:
    """Multiply-accumulates of the seed network's convolutions, forward, for one image."""
    from sonoseg.networks import build
    from sonoseg.networks.layer_table import summary

    return sum(row.macs for row in summary(build("seed"), size))


def show(result: dict[str, Any]) -> None:
    """Print the result as a table."""
    for name, rate in result["images_per_second"].items():
        precision = result["precision"][name]
        share = rate["median"] * result["gflop_per_image"] / result["limits"][precision]
        peak = result["peak_bytes"].get(name)
        print(
            f"{name:8} {precision}  {turns.shown(rate)} images/s  "
            f"{share:.0%} of {result['limits'][precision]:.0f} GFLOP/s"
            + (f"  peak {peak / 2**30:.2f} GiB" if peak else "")
        )
    print(f"ratio    {turns.shown(result['ratio'])}  (target {TARGET})")


if __name__ == "__main__":
    main()
