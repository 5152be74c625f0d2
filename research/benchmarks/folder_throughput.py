"""Measure `sonoseg predict` on a folder of images, in turns with the network alone.

    python research/benchmarks/folder_throughput.py [--images 500] [--rounds 3] [--model FOLDER ...] \
        [--json FILE]

The bare network is the same runtime in a process of its own, one image a call, from network input to
logits, with nothing else to do. The folder is PNG files (copies of the samples); its time is that of the
whole command in a fresh process, Python's start, the model's loading, masks, overlays, tables and the page
included. Peak memory of a tenth of the images and of all of them shows whether it is flat. `--profile` also
says how much processor time an image's reading, network, finishing and writing take.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import turns

HERE = Path(__file__).resolve().parent
TARGET = 0.85


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--images", type=int, default=500, help="images in the folder")
    options.add_argument("--rounds", type=int, default=3, help="turns of each")
    options.add_argument("--runtime", default="auto", help="as sonoseg predict has it")
    options.add_argument("--precision", default="auto", help="as sonoseg predict has it")
    options.add_argument("--model", nargs="*", default=["seed", "shipped"], help="seed, shipped or folders")
    options.add_argument("--profile", action="store_true", help="also where the processor's time goes")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, few = folder / "all", folder / "few"
        fill(images, wish.images)
        fill(few, max(8, wish.images // 10))
        rows = [one(wish, folder, which, images, few) for which in wish.model]
    result = {
        "benchmark": "folder_throughput",
        "machine": about,
        "versions": {},
        "images": wish.images,
        "rows": rows,
        "target": TARGET,
    }
    for row in rows:
        print(
            f"{row['model']:8} {row['runtime']}: folder {turns.shown(row['folder'], 1)}, network "
            f"{turns.shown(row['network'], 1)} images/s, share {turns.shown(row['share'])}; peak "
            f"{row['peak_bytes']['few'] / 2**20:.0f} MiB for {row['few']}, "
            f"{row['peak_bytes']['all'] / 2**20:.0f} MiB for {wish.images}"
        )
        for stage, milliseconds in row.get("stages_ms", {}).items():
            print(f"    {stage:10} {milliseconds:6.2f} ms of one processor an image")
    turns.write(result, wish.json)


def one(wish: Any, folder: Path, which: str, images: Path, few: Path) -> dict[str, Any]:
    """Measure one model."""
    model = which
    if which == "seed":
        model = str(folder / "seed")
        subprocess.run([sys.executable, HERE / "infer_model.py", model], check=True)
    engine, precision = wish.runtime, wish.precision
    if which == "seed" and precision == "auto":
        precision = "int8"  # its card lists no measured precision, and speed is what is asked for here
    words = ["--runtime", engine, "--precision", precision]
    if model != "shipped":
        words += ["--model", model]
    rates: dict[str, list[float]] = {"network": [], "folder": []}
    with turns.Worker(
        "network", [sys.executable, HERE / "infer_sonoseg.py", model, engine, precision]
    ) as bare:
        bare.turn(4)
        for number in range(wish.rounds):
            rates["network"].append(wish.images / bare.turn(wish.images))
            seconds, peak = command(images, folder / "results", words)
            rates["folder"].append(wish.images / seconds)
            print(
                f"{which}, round {number + 1}: network {rates['network'][-1]:.1f}, "
                f"folder {rates['folder'][-1]:.1f} images/s",
                flush=True,
            )
        name = bare.last["name"]
    _, small = command(few, folder / "results", words)
    row = {
        "model": which if which in ("seed", "shipped") else Path(which).name,
        "runtime": name,
        "network": turns.spread(rates["network"]),
        "folder": turns.spread(rates["folder"]),
        "share": turns.spread([a / b for a, b in zip(rates["folder"], rates["network"], strict=True)]),
        "few": len(list(few.iterdir())),
        "peak_bytes": {"few": small, "all": peak},
    }
    if wish.profile:
        row["stages_ms"] = stages(None if model == "shipped" else model, engine, precision, few)
    return row


def fill(folder: Path, count: int) -> None:
    """Write PNG files, which are copies of the samples."""
    from sonoseg.samples import paths

    samples = paths()
    folder.mkdir()
    for number in range(count):
        shutil.copyfile(samples[number % len(samples)], folder / f"scan-{number:04}.png")


def command(images: Path, to: Path, words: list[str]) -> tuple[float, int]:
    """Seconds of one `sonoseg predict` process, and its peak resident memory, bytes (Linux)."""
    import time

    line = [sys.executable, "-m", "sonoseg", "predict", str(images), "--out", str(to), "-q", *words]
    began = time.perf_counter()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        sys.exit(f"{' '.join(line)} failed:\n{said.decode()[-3000:]}")
    shutil.rmtree(to)
    return seconds, usage.ru_maxrss * 1024


def stages(model: str | None, engine: str, precision: str, images: Path) -> dict[str, float]:
    """Processor time per image of each stage, ms, in one thread and without overlap."""
    import time

    from sonoseg.image.network_grid import Grid
    from sonoseg.inference.predictor import Predictor
    from sonoseg.inputs.frame_list import list_frames, read
    from sonoseg.results.entries import RunInfo
    from sonoseg.results.result_names import result_names
    from sonoseg.results.results_folder import ResultsFolder

    files = sorted(images.iterdir())
    wanted = [frame for file in files for frame in list_frames(file)]
    predictor = Predictor(model, runtime=engine, precision=precision)
    card = predictor.model.card.preprocessing
    spent = dict.fromkeys(("read", "resize", "predict", "write", "tables"), 0.0)
    with tempfile.TemporaryDirectory() as to:
        results = ResultsFolder(
            to,
            result_names(files, [str(images)]),
            RunInfo.of(predictor, "sonoseg predict", {}),
            frames=wanted,
        )
        results.check()
        results.begin()
        predictor.predict(read(wanted[0]))
        for reference in wanted:
            clock = time.process_time()
            frame = read(reference)
            clock = _add(spent, "read", clock)
            Grid(frame.shape, card.size, card.fit).to_network(frame.pixels)
            clock = _add(spent, "resize", clock)
            found = predictor.predict(frame)  # its own resizing, the network, and finishing
            clock = _add(spent, "predict", clock)
            results.add(found)
            _add(spent, "write", clock)
        clock = time.process_time()
        results.finish()
        _add(spent, "tables", clock)
        results.close()
    spent["predict"] -= spent["resize"]
    return {stage: 1000 * seconds / len(wanted) for stage, seconds in spent.items()}


def _add(spent: dict[str, float], stage: str, since: float) -> float:
    import time

    now = time.process_time()
    spent[stage] += now - since
    return now


if __name__ == "__main__":
    main()
