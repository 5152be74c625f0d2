"""Measure one image from process start to written mask and overlay: `sonoseg predict` and Keras.

    python research/benchmarks/process_start.py [--rounds 9] [--json FILE]

Ours is the command itself with the model that ships, in each runtime and as `--runtime auto` has it: besides
mask and overlay it measures the lesions and writes tables and a page. The peer is the least script that
loads the seed network in Keras and writes mask and overlay (start_keras.py). Processes are started in turns,
one at a time. The time is the wall clock's, and the processor's of the process and its threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras_env
import turns

HERE = Path(__file__).resolve().parent
TARGETS = {"ratio": 4.5, "seconds": 0.9}
OURS: dict[str, tuple[str, ...]] = {
    "auto": (),
    "onnx int8": ("--runtime", "onnx", "--precision", "int8"),
    "onnx fp32": ("--runtime", "onnx", "--precision", "fp32"),
    "openvino int8": ("--runtime", "openvino", "--precision", "int8"),
    "openvino fp32": ("--runtime", "openvino", "--precision", "fp32"),
}


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=9, help="starts of each")
    options.add_argument("--image", type=Path, help="an image in place of a sample")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    from sonoseg.samples import paths

    image = wish.image or paths()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keras, script = keras_env.python(), HERE / "start_keras.py"
        environment = os.environ | keras_env.VARIABLES
        model = folder / "seed.keras"
        subprocess.run([keras, script, "save", model], check=True, env=environment, capture_output=True)
        commands: dict[str, tuple[Sequence[Any], dict[str, str]]] = {
            "keras": ([keras, script, "predict", model, image, folder / "theirs"], environment)
        }
        for label, words in OURS.items():
            to = folder / label.replace(" ", "-")
            command = [sys.executable, "-m", "sonoseg", "predict", image, "--out", to, "--overwrite", "-q"]
            commands[label] = ([*command, *words], dict(os.environ))
        wall: dict[str, list[float]] = {label: [] for label in commands}
        cpu: dict[str, list[float]] = {label: [] for label in commands}
        for command, variables in commands.values():
            run(command, variables)  # fills the file cache
        for number in range(wish.rounds):
            for label, (command, variables) in commands.items():
                seconds, spent = run(command, variables)
                wall[label].append(seconds)
                cpu[label].append(spent)
            print(f"round {number + 1}: " + ", ".join(f"{label} {s[-1]:.2f}" for label, s in wall.items()))
    result = {
        "benchmark": "process_start",
        "machine": about,
        "versions": _versions(),
        "seconds": {label: turns.spread(values) for label, values in wall.items()},
        "processor_seconds": {label: turns.spread(values) for label, values in cpu.items()},
        "ratio": {
            label: turns.spread([a / b for a, b in zip(wall["keras"], wall[label], strict=True)])
            for label in OURS
        },
        "targets": TARGETS,
    }
    for label, figure in result["seconds"].items():
        ratio = f"  ratio {turns.shown(result['ratio'][label], 1)}" if label in result["ratio"] else ""
        spent = turns.shown(result["processor_seconds"][label])
        print(f"{label:14} {turns.shown(figure)} s  processor {spent} s{ratio}")
    turns.write(result, wish.json)


def run(command: Sequence[Any], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and processor time of a process, seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command], env=environment, capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    wanted = keras_env.REQUIREMENTS.read_text("utf-8").splitlines()
    theirs = dict(line.split("==") for line in wanted if "==" in line)
    return {name: version(name) for name in ("onnxruntime", "openvino", "numpy")} | theirs


if __name__ == "__main__":
    main()
