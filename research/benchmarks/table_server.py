"""The table of docs/server.md."""

from __future__ import annotations

from table_parts import Result, shown, table


def server_load(result: Result) -> str:
    """Images a second of both sides, their ratios, latency, refusals, memory."""
    rate, latency, peak = result["images_per_second"], result["latency_ms"], result["peak_bytes"]
    spent = result["processor_ms_a_image"]
    rows = [
        (f"server, {result['clients']} clients, images/s", shown(rate["server"], 1)),
        ("`sonoseg predict` on the folder, images/s", shown(rate["folder"], 1)),
        ("ratio in the same round", f"**{shown(result['ratio'], 2)}**"),
        ("ratio to the folder's speed without its start", shown(result["ratio_steady"], 2)),
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
