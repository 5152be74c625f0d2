"""Compare ways of training in Keras, one after the other, a few turns each.

    python research/benchmarks/keras_setups.py [--rounds 3] [--steps 1] [--json FILE]

The fastest of the ordinary ones is what `training_speed.py --setup NAME` measures against. The others
(bfloat16, the allocator settings of our own command) are for information: nobody's first try, yet fair to
know.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras_env
import turns
from train_keras import ORDINARY, SETUPS
from training_speed import keras_worker


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=3, help="turns of each setup")
    options.add_argument("--steps", type=int, default=1, help="steps a turn")
    options.add_argument("--size", type=int, default=256, help="side of the images")
    options.add_argument("--batch", type=int, default=8, help="images a step")
    options.add_argument("--only", nargs="*", choices=SETUPS, help="these setups alone")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about, python = turns.machine(), keras_env.python()
    turns.warn_if_busy(about["load_before"])
    rates: dict[str, list[float]] = {}
    last: dict[str, dict[str, Any]] = {}
    for name in wish.only or SETUPS:
        # One after the other: all at once would not fit into memory.
        with keras_worker(python, name, wish.size, wish.batch, name) as worker:
            first = worker.turn(1)
            print(f"{name}: first step {first:.1f} s", flush=True)
            rates[name] = [wish.steps * wish.batch / worker.turn(wish.steps) for _ in range(wish.rounds)]
            last[name] = worker.last
    fastest = max((n for n in rates if n in ORDINARY), key=lambda n: max(rates[n]), default=None)
    result = {
        "benchmark": "keras_setups",
        "machine": about,
        "versions": {key: next(iter(last.values()))[key] for key in ("keras", "tensorflow")},
        "size": wish.size,
        "batch": wish.batch,
        "setups": {
            name: {
                **SETUPS[name]._asdict(),
                "jit": last[name]["jit"],
                "ordinary": name in ORDINARY,
                "images_per_second": turns.spread(done),
                "peak_bytes": last[name].get("peak"),
            }
            for name, done in rates.items()
        },
        "fastest": fastest,
    }
    for name, done in rates.items():
        peak = last[name].get("peak")
        print(
            f"{name:38} {turns.shown(turns.spread(done))} images/s"
            + (f"  peak {peak / 2**30:.2f} GiB" if peak else "")
        )
    print(f"fastest of the ordinary setups: {fastest}")
    turns.write(result, wish.json)


if __name__ == "__main__":
    main()
