"""Measure `sonoseg predict --engine ray` on a folder of phantoms, in turns with plain `sonoseg predict`.

    python research/benchmarks/batch_throughput.py [--images 10000] [--drawn 1000] [--rounds 3] \
        [--json FILE]

First the engine alone, once, over all images, with one of the workers that hold the network killed in the
middle: every image must have one row at the end, and the memory of all its processes together (the
proportional share of each, so that what they share counts once) is noted over time. Then whole commands in
turns, plain and ray, on the same folder and cores; the ratio is taken round by round. The phantoms are drawn
new up to --drawn of them, and repeated beyond. Plain predict also writes masks, overlays, tables and a page,
the engine rows in Parquet. `stages_ms` is processor time an image in one thread, without Ray: reading,
network, finishing, and what the driver does to gather and write a row.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

import turns

TARGET = 0.9
SAMPLES = 200
"""Number of points of the stored memory curve."""


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--images", type=int, default=10_000, help="files in the folder")
    options.add_argument(
        "--drawn", type=int, default=1000, help="of which so many are drawn, the rest copies"
    )
    options.add_argument("--rounds", type=int, default=3, help="turns of each")
    options.add_argument("--partition", type=int, default=500, help="files a partition")
    options.add_argument("--workers", type=int, help="networks; one a core by default")
    options.add_argument("--runtime", default="auto", help="of both, as sonoseg predict has it")
    options.add_argument("--precision", default="auto", help="of both, as sonoseg predict has it")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, wish.images, wish.drawn)
        result = measure(wish, folder)
    packages = ("ray", "pyarrow", "onnxruntime", "openvino")
    result = {
        "benchmark": "batch_throughput",
        "machine": about,
        "versions": {one: version(one) for one in packages},
        **result,
        "target": TARGET,
    }
    rate, killed = result["images_per_second"], result["killed"]
    print(
        f"plain {turns.shown(rate['plain'], 1)}, ray {turns.shown(rate['ray'], 1)} images/s, ratio "
        f"{turns.shown(result['ratio'])}; {killed['workers']} worker killed, {killed['rows']} rows of "
        f"{result['images']} files, {killed['twice']} twice, {killed['absent']} absent; memory "
        f"{killed['memory_bytes']['quarter'] / 2**20:.0f} MiB at most in the second quarter, "
        f"{killed['memory_bytes']['last'] / 2**20:.0f} MiB in the last"
    )
    turns.write(result, wish.json)
    if killed["workers"] != 1 or killed["twice"] or killed["absent"] or killed["errors"]:
        sys.exit("not every image has one row, or no worker was killed")


def fill(folder: Path, count: int, drawn: int) -> None:
    """Write PNG files to folder/all, of which `drawn` differ."""
    from sonoseg.data.phantoms import write_phantoms

    write_phantoms(folder / "set", min(count, drawn), 1)
    made = sorted((folder / "set" / "images").iterdir())
    (folder / "all").mkdir()
    for number, path in zip(range(count), itertools.cycle(made), strict=False):
        shutil.copyfile(path, folder / "all" / f"scan-{number:06}.png")


def measure(wish: Any, folder: Path) -> dict[str, Any]:
    """Measure the run with a worker killed, and the turns."""
    both = ["--runtime", wish.runtime, "--precision", wish.precision]
    engine = ["--engine", "ray", "--partition", str(wish.partition), *both]
    if wish.workers:
        engine += ["--workers", str(wish.workers)]
    killed = with_a_kill(folder, engine, wish)
    rates: dict[str, list[float]] = {"plain": [], "ray": []}
    for number in range(wish.rounds):
        for name, words in (("plain", both), ("ray", engine)):
            began = time.perf_counter()
            subprocess.run(command(folder, words), check=True, capture_output=True)
            rates[name].append(wish.images / (time.perf_counter() - began))
            shutil.rmtree(folder / "results")
        print(
            f"round {number + 1}: plain {rates['plain'][-1]:.1f}, ray {rates['ray'][-1]:.1f} images/s",
            flush=True,
        )
    return {
        "images": wish.images,
        "drawn": min(wish.images, wish.drawn),
        "partition": wish.partition,
        "rounds": wish.rounds,
        "killed": killed,
        "images_per_second": {name: turns.spread(values) for name, values in rates.items()},
        "ratio": turns.spread([b / a for a, b in zip(rates["plain"], rates["ray"], strict=True)]),
        "stages_ms": stages(folder, killed["engine"], killed["precision"]),
    }


def command(folder: Path, words: list[str]) -> list[str]:
    """The command line of `sonoseg predict`."""
    said = [sys.executable, "-m", "sonoseg", "predict", str(folder / "all"), "--out", str(folder / "results")]
    return [*said, "--quiet", *words]


def with_a_kill(folder: Path, words: list[str], wish: Any) -> dict[str, Any]:
    """Run once, and kill a worker when half of the partitions are done."""
    from sonoseg.batch.partitions import Manifest, read_results

    done, workers, curve = folder / "results" / "partitions", 0, []
    began = time.perf_counter()
    process = subprocess.Popen(command(folder, words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said: list[bytes] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()))  # type: ignore[union-attr]
    reader.start()
    half = -(-wish.images // wish.partition) // 2
    while process.poll() is None:
        family = processes(process.pid)
        finished = len(list(done.glob("[0-9]*.parquet"))) if done.is_dir() else 0
        seconds = time.perf_counter() - began
        curve.append({"seconds": round(seconds, 1), "partitions": finished, "bytes": memory(family)})
        if not workers and finished >= half:
            for one in family:
                if "MapWorker" in title(one):
                    one.kill()
                    workers += 1
                    break
        time.sleep(0.5)
    seconds = time.perf_counter() - began
    reader.join()
    if process.returncode:
        sys.exit(f"the run with a killed worker failed:\n{said[0].decode()[-3000:]}")
    rows = read_results(folder / "results", ["file", "error"])
    count = Counter(rows.column("file").to_pylist())
    about = Manifest.read(folder / "results").fingerprint
    shutil.rmtree(folder / "results")
    last = curve[-1]["partitions"] or 1
    return {
        "engine": about["engine"],
        "precision": about["precision"],
        "runtime": about["runtime"],
        "seconds": seconds,
        "workers": workers,
        "rows": len(rows),
        "errors": len(rows) - rows.column("error").null_count,
        "twice": sum(one > 1 for one in count.values()),
        "absent": wish.images - len(count),
        # The first quarter is the start; a memory that grows is larger in the last than in the second.
        "memory_bytes": {
            "quarter": most(curve, lambda one: 0.25 * last <= one["partitions"] < 0.5 * last),
            "last": most(curve, lambda one: one["partitions"] >= 0.75 * last),
            "peak": most(curve, lambda _: True),
        },
        "curve": curve[:: -(-len(curve) // SAMPLES)],
    }


def most(curve: list[dict[str, Any]], wanted: Any) -> int:
    """The peak memory of some samples; 0 without any."""
    return max((one["bytes"] for one in curve if wanted(one)), default=0)


def processes(pid: int) -> list[psutil.Process]:
    """A process and its descendants."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def title(process: psutil.Process) -> str:
    """The title of a process, which Ray sets for its workers."""
    try:
        return " ".join([process.name(), *process.cmdline()])
    except psutil.Error:
        return ""


def memory(family: list[psutil.Process]) -> int:
    """Memory of some processes, bytes, with shared memory divided among them (PSS of Linux)."""
    total = 0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except (psutil.Error, AttributeError):
            continue
    return total


def stages(folder: Path, engine: str, precision: str) -> dict[str, float]:
    """Processor time per image of each stage, ms, in one thread, over at most 200 images."""
    import pyarrow as pa

    from sonoseg.batch.partitions import Partitions
    from sonoseg.batch.row_gathering import RowGatherer
    from sonoseg.batch.row_reading import ListedFile
    from sonoseg.batch.row_steps import finish, read_tables, segment
    from sonoseg.inference.predictor import Predictor
    from sonoseg.inputs.reading_options import ReadingOptions

    reading = ReadingOptions()
    names = [str(path) for path in sorted((folder / "all").iterdir())[:200]]
    files = [ListedFile(number, name) for number, name in enumerate(names)]
    predictor = Predictor(None, runtime=engine, precision=precision, threads=1)
    partitions = Partitions.begin(folder / "stages", names, {}, paths=[], partition=len(names))
    spent = {}

    def timed(stage: str, work: Any) -> Any:
        began = time.process_time()
        value = work()
        spent[stage] = 1000 * (time.process_time() - began) / len(names)
        return value

    segment(
        predictor, next(read_tables(files[:1], reading, folder, predictor.steps)), 1
    )  # the engine's own start
    read = timed("read", lambda: list(read_tables(files, reading, folder, predictor.steps)))
    seen = timed("network", lambda: [segment(predictor, rows, 8) for rows in read])
    done = timed("finish", lambda: [finish(rows, predictor.steps) for rows in seen])

    def write() -> None:
        gather = RowGatherer({0: partitions.span(0)}, len(names))
        ((number, whole),) = gather.add(pa.concat_tables(done))[0]
        partitions.write(number, whole)

    timed("driver", write)
    return spent


if __name__ == "__main__":
    main()
