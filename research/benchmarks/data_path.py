"""Measure the data path, pairs of image and mask per second: sonoseg in turns with MONAI's transforms.

    python research/benchmarks/data_path.py [--rounds 6] [--pairs 256] [--json FILE]

Both sides start from the same phantoms at network size and end with augmented float batches on the CPU, by
the ranges of the recipe `compact`. MONAI gets a CacheDataset, and whichever is fastest of 0 and 2 loader
workers, with and without its tracking of metadata. No network is trained.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import turns
from data_monai import WAYS
from sonoseg.training.allocator import SETTINGS

HERE = Path(__file__).resolve().parent
TARGET = 5.0


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=6, help="turns of each side")
    options.add_argument("--pairs", type=int, default=256, help="pairs an epoch; a turn of MONAI is one")
    options.add_argument("--epochs", type=int, default=4, help="epochs a turn of sonoseg, which is quicker")
    options.add_argument("--phantoms", type=int, default=64, help="different images among them")
    options.add_argument("--size", type=int, default=256, help="side of the images")
    options.add_argument("--batch", type=int, default=16, help="pairs a batch")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    with tempfile.TemporaryDirectory() as name:
        prepared = prepare(Path(name), wish.phantoms, wish.size)
        words = [prepared, str(wish.size), str(wish.batch), str(wish.pairs)]
        with (
            worker("sonoseg", words) as ours,
            worker("monai", words) as theirs,
        ):
            ours.turn(1)
            ways: dict[str, float] = {}
            for way in WAYS:
                theirs.turn(1, way)  # fills the cache, starts the loader's workers
                ways[way] = wish.pairs / theirs.turn(1, way)
                print(f"monai, {way}: {ways[way]:.0f} pairs/s", flush=True)
            way = max(ways, key=lambda key: ways[key])
            rates: dict[str, list[float]] = {"sonoseg": [], "monai": []}
            for number in range(wish.rounds):
                rates["sonoseg"].append(wish.epochs * wish.pairs / ours.turn(wish.epochs))
                rates["monai"].append(wish.pairs / theirs.turn(1, way))
                print(
                    f"round {number + 1}: "
                    + ", ".join(f"{key} {done[-1]:.0f}" for key, done in rates.items())
                )
            last = {worker.name: worker.last for worker in (ours, theirs)}
    result = {
        "benchmark": "data_path",
        "machine": about,
        "versions": {"torch": last["sonoseg"]["version"], "monai": last["monai"]["version"]},
        "size": wish.size,
        "batch": wish.batch,
        "pairs": wish.pairs,
        "ways": ways,
        "way": way,
        "pairs_per_second": {name: turns.spread(done) for name, done in rates.items()},
        "ratio": turns.spread([a / b for a, b in zip(rates["sonoseg"], rates["monai"], strict=True)]),
        "peak_bytes": {name: done["peak"] for name, done in last.items() if "peak" in done},
        "target": TARGET,
    }
    for name, rate in result["pairs_per_second"].items():
        print(f"{name:8} {turns.shown(rate, 0)} pairs/s")
    print(f"ratio    {turns.shown(result['ratio'], 1)}  (target {TARGET:g}; MONAI with {way})")
    turns.write(result, wish.json)


def worker(name: str, words: list[str | Path]) -> turns.Worker:
    """Start one side. Both get the allocator settings of `sonoseg train`, which do not slow MONAI."""
    return turns.Worker(name, [sys.executable, HERE / f"data_{name}.py", *words], SETTINGS)


def prepare(folder: Path, count: int, size: int) -> Path:
    """Make and prepare phantoms; return the folder of the prepared set."""
    drawn, prepared = folder / "phantoms", folder / "prepared"
    for words in (
        ["phantom", "--out", drawn, "--count", str(count), "--seed", "7"],
        ["prepare", drawn, "--out", prepared, "--size", str(size), "--fit", "letterbox"],
    ):
        command = [sys.executable, "-m", "sonoseg", "data", *(str(word) for word in words)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return prepared


if __name__ == "__main__":
    main()
