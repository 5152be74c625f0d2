"""Measure `sonoseg serve` with many clients, in turns with `sonoseg predict` on a folder of the same images.

    python research/benchmarks/server_load.py [--clients 16] [--predictions 2000] [--rounds 4] [--json FILE]

The server is a process of its own on loopback, started once; each client has one connection and asks POST
/api/v1/predict for the next image, with its mask, as soon as it has the answer to the last. A client that
receives 503 waits as Retry-After says and sends again: its latency counts from the first request. In each
round the same number of images goes through the server and then, while it waits, through the whole command
`sonoseg predict` in a fresh process, which also writes masks, overlays, tables and the page. The clients take
processor time too, on the same cores; it is reported. `steady` is the folder's speed without its start, from
the difference between all images of a round and a few. A tenth of the predictions come before the first
round, unmeasured; the server's peak memory after them and at the end shows whether it is flat.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import turns
from folder_throughput import command, fill

TARGET = 0.9
PATH = "/api/v1/predict?mask=true"


@dataclass
class Told:
    """The answers to the clients: seconds of each, number of 503, and other errors."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    errors: list[str] = field(default_factory=list)

    def add(self, other: Told) -> None:
        """Add another client's answers."""
        self.seconds += other.seconds
        self.refused += other.refused
        self.errors += other.errors


def main() -> None:
    """Measure, print and write the result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--clients", type=int, default=16, help="clients that ask at once")
    options.add_argument(
        "--predictions", type=int, default=2000, help="of the server, in all rounds together"
    )
    options.add_argument("--rounds", type=int, default=4, help="turns of each side")
    options.add_argument("--runtime", default="auto", help="of both, as sonoseg predict has it")
    options.add_argument("--precision", default="auto", help="of both, as sonoseg predict has it")
    options.add_argument("--model", default=None, help="of both; the shipped one by default")
    options.add_argument("--json", type=Path, help="also write the result here")
    wish = options.parse_args()
    if not 1 <= wish.rounds <= wish.predictions:
        options.error("at least one image a round")
    about = turns.machine()
    turns.warn_if_busy(about["load_before"])
    with tempfile.TemporaryDirectory() as name:
        result = measure(wish, Path(name))
    packages = ("fastapi", "uvicorn", "starlette", "onnxruntime", "openvino")
    result = {
        "benchmark": "server_load",
        "machine": about,
        "versions": {one: installed(one) for one in packages if installed(one)},
        **result,
        "target": TARGET,
    }
    rates = result["images_per_second"]
    print(
        f"server {turns.shown(rates['server'], 1)}, folder {turns.shown(rates['folder'], 1)} images/s, "
        f"ratio {turns.shown(result['ratio'])}, to its steady speed {turns.shown(result['ratio_steady'])}\n"
        f"latency p50 {result['latency_ms']['p50']:.0f}, p99 {result['latency_ms']['p99']:.0f} ms; "
        f"{result['refused']} times 503, {len(result['errors'])} errors; peak "
        f"{result['peak_bytes']['tenth'] / 2**20:.0f} MiB at a tenth, "
        f"{result['peak_bytes']['all'] / 2**20:.0f} MiB at all"
    )
    turns.write(result, wish.json)
    if result["errors"]:
        sys.exit(f"errors: {result['errors'][:5]}")


def measure(wish: Any, folder: Path) -> dict[str, Any]:
    """Measure all rounds of both sides."""
    each = math.ceil(wish.predictions / wish.rounds)
    few = max(1, each // 10)
    fill(folder / "all", each)
    fill(folder / "few", few)
    images = [path.read_bytes() for path in sorted((folder / "all").iterdir())]
    words = ["--runtime", wish.runtime, "--precision", wish.precision]
    if wish.model:
        words += ["--model", wish.model]
    rates: dict[str, list[float]] = {"server": [], "folder": [], "steady": []}
    told, clients_cpu, server_cpu = Told(), 0.0, 0.0
    with Server(folder / "state", words) as server:
        server.wait()
        tenth = max(1, wish.predictions // 10)
        load(server.port, wish.clients, [images[k % each] for k in range(tenth)])  # not measured
        peak_at_tenth = server.memory()["peak"]
        for number in range(wish.rounds):
            before = time.process_time(), server.processor()
            seconds, one = load(server.port, wish.clients, images)
            clients_cpu += time.process_time() - before[0]
            server_cpu += server.processor() - before[1]
            told.add(one)
            rates["server"].append(len(one.seconds) / seconds)
            whole, _ = command(folder / "all", folder / "results", words)
            short, _ = command(folder / "few", folder / "results", words)
            rates["folder"].append(each / whole)
            rates["steady"].append((each - few) / (whole - short) if whole > short else each / whole)
            print(
                f"round {number + 1}: server {rates['server'][-1]:.1f}, folder {rates['folder'][-1]:.1f} "
                "images/s",
                flush=True,
            )
        state = server.memory()
        runtime = server.ask("GET", "/api/v1/about")["runtime"]
    return {
        "clients": wish.clients,
        "predictions": len(told.seconds),
        "rounds": wish.rounds,
        "runtime": runtime,
        "images_per_second": {name: turns.spread(values) for name, values in rates.items()},
        "ratio": turns.spread([a / b for a, b in zip(rates["server"], rates["folder"], strict=True)]),
        "ratio_steady": turns.spread([a / b for a, b in zip(rates["server"], rates["steady"], strict=True)]),
        "latency_ms": {
            "p50": 1000 * percentile(told.seconds, 50),
            "p99": 1000 * percentile(told.seconds, 99),
            "greatest": 1000 * max(told.seconds),
        },
        "refused": told.refused,
        "errors": told.errors,
        "peak_bytes": {"tenth": peak_at_tenth, "all": state["peak"]},
        "resident_bytes": state["resident"],
        "processor_ms_a_image": {
            "clients": 1000 * clients_cpu / len(told.seconds),
            "server": 1000 * server_cpu / len(told.seconds),
        },
    }


class Server:
    """`sonoseg serve` on a free port of this machine."""

    def __init__(self, state: Path, words: Sequence[str]) -> None:
        line = [sys.executable, "-m", "sonoseg", "serve", "--state", str(state), "--port", "0", "-q", *words]
        self.words = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=self.words, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        if found is None:
            self.process.wait(60)
            self.words.seek(0)
            sys.exit(f"{' '.join(line)} failed:\n{self.words.read()[-3000:]}")
        self.port = int(found[1])

    def ask(self, method: str, path: str) -> Any:
        """The JSON of an answer; None where it is not a success."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return json.loads(data) if answer.status < 400 else None

    def wait(self) -> None:
        """Wait until the model is loaded."""
        end = time.monotonic() + 300
        while self.ask("GET", "/ready") is None:
            if time.monotonic() > end:
                sys.exit("the model was not loaded within five minutes")
            time.sleep(0.1)

    def memory(self) -> dict[str, int]:
        """Its resident memory now and at its most, in bytes (Linux; elsewhere 0)."""
        return {"peak": 0, "resident": 0, **turns.memory(self.process.pid)}

    def processor(self) -> float:
        """Seconds of processor time it took so far (Linux; elsewhere 0)."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.words.close()


def load(port: int, clients: int, images: Sequence[bytes]) -> tuple[float, Told]:
    """Send each image once with some concurrent clients; return the total seconds and the answers."""
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    for image in images:
        waiting.put(image)
    all_told = [Told() for _ in range(clients)]
    threads = [threading.Thread(target=client, args=(port, waiting, one)) for one in all_told]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    told = Told()
    for one in all_told:
        told.add(one)
    return seconds, told


def client(port: int, waiting: queue.SimpleQueue[bytes], told: Told) -> None:
    """Send one image after the other until none is left."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while True:
        try:
            image = waiting.get_nowait()
        except queue.Empty:
            connection.close()
            return
        began = time.perf_counter()
        try:
            while (again := ask(connection, image)) is not None:
                told.refused += 1
                time.sleep(again)
            told.seconds.append(time.perf_counter() - began)
        except (OSError, http.client.HTTPException, ValueError) as error:
            told.errors.append(f"{type(error).__name__}: {error}"[:200])
            connection.close()


def ask(connection: http.client.HTTPConnection, image: bytes) -> float | None:
    """Send one image: None where it was answered, seconds to wait where the server is busy.

    Raises ValueError for any other answer, and for one that is no result.
    """
    connection.request("POST", PATH, image, {"Content-Type": "application/octet-stream"})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status == 503:
        return float(answer.headers["Retry-After"])
    if answer.status != 200:
        raise ValueError(f"{answer.status}: {data[:100]!r}")
    if json.loads(data)["mask"] is None:
        raise ValueError("an answer without a mask")
    return None


def percentile(values: Sequence[float], share: float) -> float:
    """The percentile of some values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def installed(name: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
