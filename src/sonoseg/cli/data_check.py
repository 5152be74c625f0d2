"""`sonoseg data check`: check the files of data sets."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from sonoseg.cli.common import out, print_json, progress
from sonoseg.cli.data_options import JsonOption, SetOption, SetsArgument

if TYPE_CHECKING:
    from sonoseg.data.folder_check import CheckReport

LEVELS = {"fault": "[bold red]fault[/]", "known": "[cyan]known[/]", "note": "[dim]note[/]"}


def check(
    sets: SetsArgument,
    kind: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check sets: counts, unreadable or missing files, masks, duplicates. Exit code 1 on faults."""
    from sonoseg.data.folder_check import check as run
    from sonoseg.data.readers import read_sources

    reports = run(read_sources(sets, kind), track=progress)
    faults = sum(report.faults for report in reports)
    if as_json:
        print_json({"ok": faults == 0, "sets": [_as_dict(report) for report in reports]})
    else:
        for report in reports:
            _print_report(report)
    if faults:
        raise typer.Exit(1)


def _print_report(report: CheckReport) -> None:
    from rich.table import Table
    from rich.text import Text

    out.print(f"{report.name} ({report.kind}) in {report.folder}", markup=False, style="bold", soft_wrap=True)
    counts = Table("", "found", "published")
    for what, (found, published) in report.counts.items():
        mark = "" if published in (None, found) else " [bold red]differs[/]"
        counts.add_row(what, str(found), "" if published is None else f"{published}{mark}")
    out.print(counts)
    table = Table("", "what", "count", "meaning", "for example")
    order = {level: number for number, level in enumerate(LEVELS)}
    for finding in sorted(report.findings, key=lambda finding: order[finding.level]):
        examples = ", ".join(finding.images[:2]) + (", …" if len(finding.images) > 2 else "")
        number = str(len(finding.images) or "")
        table.add_row(LEVELS[finding.level], finding.kind, number, Text(finding.text), Text(examples))
    if report.findings:
        out.print(table)
    out.print(f"{report.faults} faults" if report.faults else "no faults")


def _as_dict(report: CheckReport) -> dict[str, Any]:
    counts = {what: {"found": f, "published": p} for what, (f, p) in report.counts.items()}
    return {
        "name": report.name,
        "kind": report.kind,
        "folder": str(report.folder),
        "counts": counts,
        "faults": report.faults,
        "findings": [asdict(finding) for finding in report.findings],
    }
