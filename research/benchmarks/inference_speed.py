"""Measure inference at batch 1: sonoseg's runtimes in turns with Keras.

    python research/benchmarks/inference_speed.py [--rounds 7] [--images 8] [--model FOLDER] [--json FILE]

Every engine and precision is a process of its own that waits while another works; a round is a turn of each.
The peer is `model.predict` of the seed network in Keras on TensorFlow, and for information its tf.function.
Ours are the seed network itself and the model that ships (or FOLDER). Ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import keras_env
import turns

HERE = Path(__file__).resolve().parent
TARGETS = {"seed": 8.0, "shipped": 15.0}
LIMIT_SHARE, RESIDENT = 0.85, 300 * 2**20
SETUPS = (
    ("onnx", "fp32"),
    ("onnx", "int8"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
    ("torch", "fp32"),
    ("torch", "bf16"),
)


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=7, help="turns of each")
    options.add_argument("--images", type=int, default=8, help="images a turn")
    options.add_argument("--model", default="shipped", help="a model folder in place of the shipped one")
    options.add_argument("--only", nargs="*", help="only these setups, as openvino-int8; all by default")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    setups = [one for one in SETUPS if not wish.only or "-".join(one) in wish.only]
    before = limits()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        subprocess.run([sys.executable, HERE / "infer_model.py", folder], check=True)
        keras = stack.enter_context(
            turns.Worker("keras", [keras_env.python(), HERE / "infer_keras.py", "256"], keras_env.VARIABLES)
        )
        ours = {
            (network, *setup): stack.enter_context(
                turns.Worker(
                    "-".join((network, *setup)),
                    [sys.executable, HERE / "infer_sonoseg.py", where, *setup],
                    {"CUDA_VISIBLE_DEVICES": "-1"},
                )
            )
            for network, where in (("seed", folder), ("shipped", wish.model))
            for setup in setups
        }
        seconds: dict[Any, list[float]] = {key: [] for key in ("predict", "function", *ours)}
        keras.turn(2, "function")
        for worker in (keras, *ours.values()):
            worker.turn(2)  # traces, compiles, fills caches
        for number in range(wish.rounds):
            for what in ("predict", "function"):
                seconds[what].append(keras.turn(wish.images, what) / wish.images)
            for key, worker in ours.items():
                seconds[key].append(worker.turn(wish.images) / wish.images)
            print(f"round {number + 1}: Keras predict {1000 * seconds['predict'][-1]:.0f} ms", flush=True)
        versions = {key: keras.last[key] for key in ("keras", "tensorflow")}
        memory = {"keras": keras.last} | {key: worker.last for key, worker in ours.items()}
    after = limits()
    best = {name: max(before[name], after[name]) for name in before}
    work = {"seed": gflop("seed"), "shipped": gflop(wish.model)}
    rows = []
    for key, worker in ours.items():
        network, engine, precision = key
        rate = work[network] / min(seconds[key])
        median = turns.spread(seconds[key])["median"]
        rows.append(
            {
                "network": network,
                "runtime": engine,
                "precision": precision,
                "name": worker.last["name"],
                "ms": turns.spread([1000 * one for one in seconds[key]]),
                "ratio": turns.spread([a / b for a, b in zip(seconds["predict"], seconds[key], strict=True)]),
                "gflops": work[network] / median,
                "share_of_limit": work[network] / median / best[precision],
                "best_share_of_limit": rate / best[precision],
                "resident_bytes": memory[key].get("resident"),
                "peak_bytes": memory[key].get("peak"),
                "torch_loaded": worker.last["torch"],
            }
        )
    result = {
        "benchmark": "inference_speed",
        "machine": about,
        "versions": versions | {"numpy": _version("numpy")},
        "images": wish.images,
        "limits": best,
        "gflop_per_image": work,
        "keras": {
            "ms": {what: turns.spread([1000 * s for s in seconds[what]]) for what in ("predict", "function")},
            "share_of_limit": {
                what: work["seed"] / turns.spread(seconds[what])["median"] / best["fp32"]
                for what in ("predict", "function")
            },
            "resident_bytes": memory["keras"].get("resident"),
            "peak_bytes": memory["keras"].get("peak"),
        },
        "rows": rows,
        "targets": TARGETS | {"limit_share": LIMIT_SHARE, "resident_bytes": RESIDENT},
    }
    show(result)
    turns.write(result, wish.json)


def limits() -> dict[str, float]:
    """Measure the matrix limits in a process of its own."""
    done = subprocess.run([sys.executable, HERE / "limits.py"], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def gflop(model: str) -> float:
    """Operations of the forward pass of an image, GFLOP: twice its multiply-accumulates."""
    from sonoseg.model.model import Model
    from sonoseg.networks import NetworkOptions, build
    from sonoseg.networks.layer_table import summary

    if model == "seed":
        return 2 * sum(row.macs for row in summary(build("seed"), 256)) / 1e9
    card = Model.load(None if model == "shipped" else model).card
    network = build(NetworkOptions.model_validate(card.network))
    return 2 * sum(row.macs for row in summary(network, card.preprocessing.size)) / 1e9


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def show(result: dict[str, Any]) -> None:
    """Print the result as a table."""
    for what, figure in result["keras"]["ms"].items():
        share = result["keras"]["share_of_limit"][what]
        print(f"keras {what:18} {turns.shown(figure, 1)} ms  {share:.0%} of the fp32 limit")
    for row in result["rows"]:
        resident = (row["resident_bytes"] or 0) / 2**20
        print(
            f"{row['network']:8}{row['runtime']:9}{row['precision']:5} {turns.shown(row['ms'], 1)} ms  "
            f"ratio {turns.shown(row['ratio'], 1)}  {row['share_of_limit']:.0%} of "
            f"{result['limits'][row['precision']]:.0f}  {resident:.0f} MiB"
        )


if __name__ == "__main__":
    main()
