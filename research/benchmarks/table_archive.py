"""The table of docs/archive.md."""

from __future__ import annotations

from table_parts import Result, shown, table


def archive_throughput(result: Result) -> str:
    """Images a second of both sides, their ratio, rows with a worker killed, memory, processor time."""
    rate, killed = result["images_per_second"], result["killed"]
    memory, spent = killed["memory_bytes"], result["stages_ms"]
    rows = [
        ("`--engine ray`, images/s", shown(rate["ray"], 1)),
        ("plain `sonoseg predict`, images/s", shown(rate["plain"], 1)),
        ("ratio in the same round", f"**{shown(result['ratio'], 2)}**"),
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
    return f"{table(('Archive', ''), rows)}\n\n{words}"
