"""The tables of the pages, from the results of the scripts: no figure in them is written by hand.

    python research/benchmarks/table.py research/benchmarks/results/*.json

Each result replaces what stands between its two markers:

    <!-- benchmark: training_speed -->
    <!-- end of benchmark -->
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from table_archive import archive_throughput
from table_inference import (
    folder_throughput,
    inference_speed,
    layer_profile,
    precision_loss,
    process_start,
)
from table_pacs import pacs_kills
from table_parts import Result, footing, memory, shown, table
from table_peers import peer_latency
from table_reading import reading_time
from table_server import server_load

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (
    DOCS / "benchmarks.md",
    DOCS / "runtimes.md",
    DOCS / "server.md",
    DOCS / "archive.md",
    DOCS / "results" / "reading.md",
    DOCS / "results" / "pacs.md",
    DOCS / "results" / "peers.md",
)
BLOCK = re.compile(
    r"(?P<head><!-- benchmark: (?P<name>\w+) -->\n).*?(?P<tail><!-- end of benchmark -->)", re.DOTALL
)


def main() -> None:
    """Fill the page with the results of the files named on the command line."""
    results = [json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:]]
    if not results:
        sys.exit("name the results: research/benchmarks/results/*.json")
    pages = {path: path.read_text("utf-8") for path in PAGES}
    there = {found["name"] for page in pages.values() for found in BLOCK.finditer(page)}
    for result in results:
        if result["benchmark"] not in there:
            sys.exit(f"no page has a place for {result['benchmark']}")
    for path, page in pages.items():
        path.write_text(fill(page, results), "utf-8")
    print(f"filled in: {', '.join(result['benchmark'] for result in results)}")


def fill(page: str, results: Sequence[Result]) -> str:
    """The page with the tables of these results; the others stay as they are."""
    by_name = {result["benchmark"]: result for result in results}

    def one(found: re.Match[str]) -> str:
        result = by_name.get(found["name"])
        if result is None:
            return found[0]
        body = f"{TABLES[found['name']](result)}\n\n*{footing(result)}*"
        return f"{found['head']}\n{body}\n\n{found['tail']}"

    return BLOCK.sub(one, page)


def training_speed(result: Result) -> str:
    """Images a second of both sides, their ratio, memory and share of the limit."""
    names = {
        "sonoseg": f"sonoseg, recipe `seed`, {result['precision']['sonoseg']}",
        "keras": f"Keras on TensorFlow, `{result['setup']}`, {result['precision']['keras']}",
    }
    rows = []
    for name, words in names.items():
        rate, limit = result["images_per_second"][name], result["limits"][result["precision"][name]]
        share = rate["median"] * result["gflop_per_image"] / limit
        rows.append((words, shown(rate, 2), f"{share:.0%} of {limit:.0f}", memory(result, name)))
    head = ("Training", "images/s", "share of the limit, GFLOP/s", "peak resident memory")
    ratio = f"Ratio in the same round: **{shown(result['ratio'], 2)}**; the target is {result['target']:g}."
    return f"{table(head, rows)}\n\n{ratio}"


def keras_setups(result: Result) -> str:
    """Images a second of every way of training in Keras."""
    rows = [
        (
            f"`{setup['call']}`",
            "yes" if setup["jit"] else "no",
            setup["policy"],
            "as the system's" if not setup["allocator"] else "kept from trimming",
            shown(setup["images_per_second"], 2),
            f"{setup['peak_bytes'] / 2**30:.2f} GiB" if setup["peak_bytes"] else "",
        )
        for setup in result["setups"].values()
    ]
    head = ("Call", "XLA", "precision", "allocator", "images/s", "peak resident memory")
    fastest = f"Fastest in float32 with the system's allocator: `{result['fastest']}`."
    return f"{table(head, rows)}\n\n{fastest}"


def seed_parity(result: Result) -> str:
    """How far the two networks' probabilities are apart."""
    rows = [
        (
            words,
            f"{result[key]['least']:.3f} to {result[key]['greatest']:.3f}",
            f"{result[key]['largest']:.1e}",
            f"{result[key]['mean']:.1e}",
        )
        for words, key in (
            ("drawn here, copied to Keras", "to_keras"),
            ("drawn by Keras, copied here", "from_keras"),
        )
    ]
    head = ("Weights", "probabilities", "largest difference", "mean difference")
    count = result["parameters"]
    words = (
        f"Parameters: {count['sonoseg']:,} here, {count['keras']:,} in Keras. Images: {result['images']} "
        f"of {result['size']}x{result['size']}. The limit is {result['limit']:g}."
    )
    return f"{table(head, rows)}\n\n{words}"


def data_path(result: Result) -> str:
    """Pairs a second of both sides and their ratio."""
    rate = result["pairs_per_second"]
    rows = [
        ("sonoseg, batched on the CPU, one process", shown(rate["sonoseg"], 0), memory(result, "sonoseg")),
        (f"MONAI, {result['way']}, in turns", shown(rate["monai"], 0), memory(result, "monai")),
        *((f"MONAI, {way}, one turn", f"{value:.0f}", "") for way, value in result["ways"].items()),
    ]
    head = ("Data path", "pairs/s", "peak resident memory")
    ratio = f"Ratio in the same round: **{shown(result['ratio'], 1)}**; the target is {result['target']:g}."
    return f"{table(head, rows)}\n\n{ratio}"


TABLES: dict[str, Callable[[Result], str]] = {
    "training_speed": training_speed,
    "keras_setups": keras_setups,
    "seed_parity": seed_parity,
    "data_path": data_path,
    "inference_speed": inference_speed,
    "process_start": process_start,
    "folder_throughput": folder_throughput,
    "layer_profile": layer_profile,
    "peer_latency": peer_latency,
    "precision_loss": precision_loss,
    "server_load": server_load,
    "reading_time": reading_time,
    "archive_throughput": archive_throughput,
    "pacs_kills": pacs_kills,
}


if __name__ == "__main__":
    main()
