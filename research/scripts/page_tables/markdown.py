"""Parts of the generated tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def median(spread: Mapping[str, Any], digits: int) -> str:
    """The median of several rounds with the least and the greatest: "2.0 (1.5 to 3.0)"."""
    return f"{spread['median']:.{digits}f} ({spread['least']:.{digits}f} to {spread['greatest']:.{digits}f})"


def gibibytes(result: Result, name: str) -> str:
    """The peak memory of one side of a comparison; "" where it was not measured."""
    peak = result["peak_bytes"].get(name)
    return f"{peak / 2**30:.2f} GiB" if peak else ""


def mebibytes(count: int | None) -> str:
    """A number of bytes in MiB; "" where it was not measured."""
    return f"{count / 2**20:.0f} MiB" if count else ""


def footnote(result: Result) -> str:
    """The command, the machine, the date and the versions of a measurement."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    if "machine" not in result:  # written by a command of sonoseg, not by a script of research/benchmarks
        return f"Made by `{result['command']}`, {result['created'][:10]}; {versions}."
    m = result["machine"]
    commit = f", commit {m['commit']}" if m["commit"] else ""
    return (
        f"Made by `{m['command']}` on {m['cores']} cores ({m['processor']}), {m['date']}{commit}; "
        f"{versions}; load average before: {m['load_before']:.2f}."
    )
