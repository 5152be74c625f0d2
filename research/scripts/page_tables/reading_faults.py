"""The table of damaged files in docs/files.md."""

from __future__ import annotations

from page_tables.markdown import Result, mebibytes, table


def fuzz_readers(result: Result) -> str:
    """How many damaged files of each reader were read, warned of and refused, and what was found."""
    rows = []
    for one in result["rows"]:
        outcomes = one["outcomes"]
        rows.append(
            (
                one["what"],
                f"{one['seconds'] / 60:.0f}",
                f"{one['inputs']:,}",
                *(f"{outcomes.get(name, 0):,}" for name in ("read", "warned", "refused")),
                f"{one['messages']:,}",
                f"{one['slowest']:.2f} s",
                mebibytes(one["peak_bytes"]),
                f"**{one['findings']}**",
            )
        )
    head = ("Reader", "Minutes", "Inputs", "Read", "Read with a warning", "Refused", "Distinct messages")
    return table((*head, "Slowest (processor time)", "Peak memory", "Findings"), rows)
