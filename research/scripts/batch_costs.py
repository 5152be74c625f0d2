"""Compute the cost of batch inference over 1 or 100 million images from measured figures.

    python research/scripts/batch_costs.py [--cpu-price 2.4] [--gpu-price 6] ...   # print the table

Measured figures come from research/benchmarks/results: throughput and processor time of the stages from
batch_throughput.json, or else from folder_throughput.json (the same of plain `sonoseg predict`), and the
operations per image from inference_speed.json. Prices, machine sizes and the share of its peak that a GPU
reaches are assumptions: each is an option and is listed below the table with its date.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from evidence import BENCHMARKS, read_json

IMAGES = (1_000_000, 100_000_000)
NODES = (("cpu", 1), ("cpu", 10), ("cpu", 100), ("gpu", 1), ("gpu", 10))


@dataclass(frozen=True)
class Assumed:
    """Assumptions, each an option of the script; WORDS describes them."""

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
    """Measured figures.

    rate: images per second and core, all stages together.
    around: processor time per image beside the network, ms.
    driver: processor time per image of the driver alone, ms; None where it was not measured.
    gflop: operations per image, GFLOP. source: the results that the figures come from.
    """

    rate: float
    around: float
    driver: float | None
    gflop: float
    source: str


def measured(folder: Path = BENCHMARKS) -> Measured:
    """Read the measured figures of the shipped model."""
    gflop = read_json(folder / "inference_speed.json")["gflop_per_image"]["shipped"]
    if (folder / "batch_throughput.json").exists():
        found = read_json(folder / "batch_throughput.json")
        rate = found["images_per_second"]["ray"]["median"] / found["machine"]["cores"]
        spent = found["stages_ms"]
        around, driver = spent["read"] + spent["finish"], spent["driver"]
        return Measured(rate, around, driver, gflop, "batch_throughput.json, inference_speed.json")
    found = read_json(folder / "folder_throughput.json")
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
    """Images per second that each part allows; the lowest is the throughput."""
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


def costs_text(figures: Measured, assumed: Assumed) -> str:
    """The table with the measured figures and the assumptions below it."""
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


def costs_table() -> str:
    """The table of docs/batch-inference.md, with the default assumptions."""
    return costs_text(measured(), Assumed())


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, value in _values(Assumed()):
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=type(value), default=value, help=Assumed.WORDS[name]
        )
    print(costs_text(measured(), Assumed(**vars(parser.parse_args(words)))))


def _values(assumed: Assumed) -> list[tuple[str, Any]]:
    return [(field.name, getattr(assumed, field.name)) for field in fields(Assumed)]


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


if __name__ == "__main__":
    main()
