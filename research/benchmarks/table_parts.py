"""What the tables of the pages are put together from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(figure: Mapping[str, Any], digits: int) -> str:
    """Median (least to greatest)."""
    return f"{figure['median']:.{digits}f} ({figure['least']:.{digits}f} to {figure['greatest']:.{digits}f})"


def memory(result: Result, name: str) -> str:
    """The peak of one side in GiB, where it is known."""
    peak = result["peak_bytes"].get(name)
    return f"{peak / 2**30:.2f} GiB" if peak else ""


def footing(result: Result) -> str:
    """How, where and when it was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    if "machine" not in result:  # made by a verb of sonoseg, not by a script of this folder
        return f"Made by `{result['command']}`, {result['created'][:10]}; {versions}."
    m = result["machine"]
    commit = f", commit {m['commit']}" if m["commit"] else ""
    return (
        f"Made by `{m['command']}` on {m['cores']} cores ({m['processor']}), {m['date']}{commit}; "
        f"{versions}; load average before: {m['load_before']:.2f}."
    )
