"""Measure the trained networks of an experiment at batch 1, in turns: milliseconds per image.

    python research/benchmarks/peer_latency.py EXPERIMENT [--rounds 11] [--images 16] [--json FILE]

EXPERIMENT is the folder of `sonoseg experiment research/plans/peers.yaml`; of each variant its first run's
Model is taken. All in float32 by the same engine, ONNX Runtime, which every installation has. Ratios to the
first variant are taken within a round.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import turns
from sonoseg.experiments.plan import load_plan
from sonoseg.model.model import Model
from sonoseg.networks.layer_table import cost
from sonoseg.networks.options import NetworkOptions

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("study", type=Path, help="the study's folder")
    options.add_argument("--rounds", type=int, default=11, help="turns of each")
    options.add_argument("--images", type=int, default=16, help="images a turn")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    models = trained(wish.study)
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                turns.Worker(name, [sys.executable, HERE / "infer_sonoseg.py", model.folder, "onnx", "fp32"])
            )
            for name, model in models.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        for worker in workers.values():
            worker.turn(2)  # fills caches
        for number in range(wish.rounds):
            for name, worker in workers.items():
                seconds[name].append(worker.turn(wish.images) / wish.images)
            print(f"round {number + 1} of {wish.rounds}", flush=True)
    reference = next(iter(models))
    result = {
        "benchmark": "peer_latency",
        "machine": about,
        "versions": {name: version(name) for name in ("onnxruntime", "torch", "monai")},
        "size": models[reference].card.preprocessing.size,
        "reference": reference,
        "rows": [row(name, model, seconds[name], seconds[reference]) for name, model in models.items()],
    }
    for one in result["rows"]:
        print(f"{one['network']:22}{turns.shown(one['ms'], 1)} ms")
    turns.write(result, wish.json)


def trained(study: Path) -> dict[str, Model]:
    """The Model of each variant, in the order of the plan."""
    plan = load_plan(study / "plan.yaml")
    found = {}
    for name in plan.variants:
        runs = sorted((study / "runs" / name).glob("*/model"))
        if not runs:
            sys.exit(f"{study}: the variant {name} has no trained run; run the study first")
        found[name] = Model.load(runs[0])
    return found


def row(name: str, model: Model, own: list[float], reference: list[float]) -> dict[str, Any]:
    """The cost of one network: parameters, multiplications, milliseconds, ratio to the reference."""
    size = model.card.preprocessing.size
    parameters, macs = cost(NetworkOptions.model_validate(model.card.network), size)
    return {
        "network": name,
        "parameters": parameters,
        "macs": macs,
        "ms": turns.spread([1000 * one for one in own]),
        "ratio": turns.spread([b / a for a, b in zip(reference, own, strict=True)]),
    }


if __name__ == "__main__":
    main()
