"""What an archive of 1 or 100 million images costs: the table of docs/archive.md, from measured figures.

    python research/scripts/archive_costs.py                       # fills the table in docs/archive.md
    python research/scripts/archive_costs.py --print --cpu-price 2.4 --gpu-price 6

Measured are the figures of research/benchmarks/results, on the cores that are named there:
archive_throughput.json (what the engine does a second, and the processor time of its stages) where it is
there, else folder_throughput.json (the same of plain `sonoseg predict`), and the operations an image of
inference_speed.json. Assumed are prices, the machines' sizes and what a GPU reaches: each is an option, and
is written below the table with the date it was set down.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

RESEARCH = Path(__file__).resolve().parents[1]
RESULTS = RESEARCH / "benchmarks" / "results"
PAGE = RESEARCH.parent / "docs" / "archive.md"
BLOCK = re.compile(r"(?P<head><!-- costs -->\n).*?(?P<tail><!-- end of costs -->)", re.DOTALL)

IMAGES = (1_000_000, 100_000_000)
NODES = (("cpu", 1), ("cpu", 10), ("cpu", 100), ("gpu", 1), ("gpu", 10))


@dataclass(frozen=True)
class Assumed:
    """What nobody measured here: WORDS says what each is."""

    date: str = "2026-11-23"
    cpu_cores: int = 32
    cpu_price: float = 1.60
    gpu_cores: int = 16
    gpu_price: float = 4.00
    gpu_tflops: float = 990.0
    gpu_share: float = 0.10
    efficiency: float = 0.90
    image_kb: float = 300.0
    node_mb_per_second: float = 1000.0
    requests_price: float = 0.0004
    start_seconds: float = 180.0

    WORDS: ClassVar[dict[str, str]] = {
        "date": "the day they were set down",
        "cpu_cores": "cores of a CPU node, each as fast as one that was measured",
        "cpu_price": "USD an hour of a CPU node",
        "gpu_cores": "cores of a GPU node, which has one GPU",
        "gpu_price": "USD an hour of a GPU node",
        "gpu_tflops": "peak of the GPU in bf16, TFLOP/s",
        "gpu_share": "share of this peak that the network reaches (not measured)",
        "efficiency": "share of its speed that a node keeps beside others",
        "image_kb": "size of a file, kB",
        "node_mb_per_second": "what a node reads from the store, MB/s",
        "requests_price": "USD for 1,000 reads from the store",
        "start_seconds": "until machines and workers are up, paid for",
    }


@dataclass(frozen=True)
class Measured:
    """What was measured. rate: images a second of one core, all stages together. around: milliseconds of a
    processor an image beside the network. driver: of the driver alone, None where not measured.
    gflop: an image. source: the results these stand in.
    """

    rate: float
    around: float
    driver: float | None
    gflop: float
    source: str


def measured(folder: Path = RESULTS) -> Measured:
    """Read the figures of the shipped model."""
    gflop = _result(folder, "inference_speed")["gflop_per_image"]["shipped"]
    if (folder / "archive_throughput.json").exists():
        found = _result(folder, "archive_throughput")
        rate = found["images_per_second"]["ray"]["median"] / found["machine"]["cores"]
        spent = found["stages_ms"]
        around, driver = spent["read"] + spent["finish"], spent["driver"]
        return Measured(rate, around, driver, gflop, "archive_throughput.json, inference_speed.json")
    found = _result(folder, "folder_throughput")
    (row,) = [row for row in found["rows"] if row["model"] == "shipped"]
    spent = row["stages_ms"]
    return Measured(
        rate=row["folder"]["median"] / found["machine"]["cores"],
        around=spent["read"] + spent["resize"] + spent["write"],
        driver=None,
        gflop=gflop,
        source="folder_throughput.json (plain predict in place of the engine), inference_speed.json",
    )


def rates(kind: str, nodes: int, figures: Measured, assumed: Assumed) -> dict[str, float]:
    """Images a second that each part allows; the least is what there is."""
    store = nodes * assumed.node_mb_per_second * 1000 / assumed.image_kb
    keeps = nodes * (assumed.efficiency if nodes > 1 else 1.0)
    if kind == "cpu":
        found = {"cores": keeps * assumed.cpu_cores * figures.rate, "store": store}
    else:
        found = {
            "GPU": keeps * assumed.gpu_tflops * 1000 * assumed.gpu_share / figures.gflop,
            "cores around the GPU": keeps * assumed.gpu_cores * 1000 / figures.around,
            "store": store,
        }
    if figures.driver:
        found["driver"] = 1000 / figures.driver
    return found


def rows(figures: Measured, assumed: Assumed) -> list[dict[str, Any]]:
    """A row for each number of images and each set of machines."""
    made = []
    for images in IMAGES:
        for kind, nodes in NODES:
            allowed = rates(kind, nodes, figures, assumed)
            narrow = min(allowed, key=lambda name: allowed[name])
            seconds = assumed.start_seconds + images / allowed[narrow]
            price = assumed.cpu_price if kind == "cpu" else assumed.gpu_price
            cost = nodes * price * seconds / 3600 + images / 1000 * assumed.requests_price
            made.append(
                {
                    "images": images,
                    "kind": kind,
                    "nodes": nodes,
                    "rate": allowed[narrow],
                    "hours": seconds / 3600,
                    "cost": cost,
                    "thousand": 1000 * cost / images,
                    "narrow": narrow,
                    "next": sorted(allowed.items(), key=lambda one: one[1])[1],
                }
            )
    return made


def text(figures: Measured, assumed: Assumed) -> str:
    """The table, and what stands below it."""
    lines = [
        "| Images | Machines | images/s | takes | USD | USD a thousand | limited by | next limit, images/s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows(figures, assumed):
        name, rate = row["next"]
        lines.append(
            f"| {row['images'] // 10**6} million | {row['nodes']} {row['kind'].upper()} "
            f"node{'s' if row['nodes'] > 1 else ''} | {row['rate']:,.0f} | {_duration(row['hours'])} | "
            f"{row['cost']:,.0f} | {row['thousand']:.4f} | {row['narrow']} | {name}, {rate:,.0f} |"
        )
    driver = "not measured yet" if figures.driver is None else f"{figures.driver:.2f} ms a row"
    lines += [
        "",
        f"Measured ({figures.source}): {figures.rate:.1f} images/s a core, {figures.around:.1f} ms of a "
        f"processor around the network, {figures.gflop:.2f} GFLOP an image, the driver {driver}.",
        "",
        "Assumed, each an option of the script:",
        "",
        *(
            f"- `--{name.replace('_', '-')}` {value}: {Assumed.WORDS[name]}"
            for name, value in _values(assumed)
        ),
    ]
    return "\n".join(lines)


def fill(page: str, body: str) -> str:
    """The page with the table in its place."""
    return BLOCK.sub(lambda found: f"{found['head']}\n{body}\n\n{found['tail']}", page)


def main(words: Sequence[str] | None = None) -> None:
    """Fill the page, or print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, value in _values(Assumed()):
        options.add_argument(
            f"--{name.replace('_', '-')}", type=type(value), default=value, help=Assumed.WORDS[name]
        )
    options.add_argument("--print", action="store_true", help="print the table, and leave the page")
    wish = vars(options.parse_args(words))
    only_print = wish.pop("print")
    body = text(measured(), Assumed(**wish))
    if only_print:
        print(body)
    else:
        PAGE.write_text(fill(PAGE.read_text("utf-8"), body), "utf-8")
        print(f"filled in: {PAGE.name}")


def _values(assumed: Assumed) -> list[tuple[str, Any]]:
    return [(field.name, getattr(assumed, field.name)) for field in fields(Assumed)]


def _result(folder: Path, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return found


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


if __name__ == "__main__":
    main()
