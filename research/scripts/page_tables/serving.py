"""Tables of docs/server.md and docs/batch-inference.md: the server, and batch inference on Ray."""

from __future__ import annotations

from page_tables.markdown import Result, median, table


def server_load(result: Result) -> str:
    """Images a second of both sides, their ratios, latency, refusals, memory."""
    rate, latency, peak = result["images_per_second"], result["latency_ms"], result["peak_bytes"]
    spent = result["processor_ms_a_image"]
    rows = [
        (f"server, {result['clients']} clients, images/s", median(rate["server"], 1)),
        ("`sonoseg predict` on the folder, images/s", median(rate["folder"], 1)),
        ("ratio in the same round", f"**{median(result['ratio'], 2)}**"),
        ("ratio to the folder's speed without its start", median(result["ratio_steady"], 2)),
        ("latency p50, p99, greatest, ms", ", ".join(f"{latency[name]:.0f}" for name in latency)),
        ("answers 503, errors", f"{result['refused']}, {len(result['errors'])}"),
        (
            "peak memory after a tenth of the predictions, at the end",
            ", ".join(f"{peak[name] / 2**20:.0f} MiB" for name in ("tenth", "all")),
        ),
        (
            "processor time an image of the server, of the clients, ms",
            f"{spent['server']:.1f}, {spent['clients']:.1f}",
        ),
    ]
    words = f"{result['predictions']:,} predictions, {result['runtime']}. The target is {result['target']:g}."
    return f"{table(('Load', ''), rows)}\n\n{words}"


def batch_throughput(result: Result) -> str:
    """Images a second of both sides, their ratio, rows with a worker killed, memory, processor time."""
    rate, killed = result["images_per_second"], result["killed"]
    memory, spent = killed["memory_bytes"], result["stages_ms"]
    rows = [
        ("`--engine ray`, images/s", median(rate["ray"], 1)),
        ("plain `sonoseg predict`, images/s", median(rate["plain"], 1)),
        ("ratio in the same round", f"**{median(result['ratio'], 2)}**"),
        (
            "with a worker killed: rows, twice, absent",
            f"{killed['rows']:,}, {killed['twice']}, {killed['absent']}",
        ),
        (
            "memory of all processes: second quarter, last quarter, peak",
            ", ".join(f"{memory[name] / 2**20:.0f} MiB" for name in ("quarter", "last", "peak")),
        ),
        (
            "processor time an image: read, network, finish, driver",
            ", ".join(f"{spent[name]:.2g} ms" for name in ("read", "network", "finish", "driver")),
        ),
    ]
    words = (
        f"{result['images']:,} phantoms ({result['drawn']:,} drawn, the others copies), partitions of "
        f"{result['partition']:,}, {killed['runtime']}, rounds of each: "
        f"{result['rounds']}. The target is a ratio of {result['target']:g}."
    )
    return f"{table(('Batch inference', ''), rows)}\n\n{words}"
