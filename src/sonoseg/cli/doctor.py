"""`sonoseg doctor`: test this installation on one phantom."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.cli.common import err, out, print_json

_SIGNS = {"works": "[green]works[/]", "absent": "[dim]absent[/]", "broken": "[bold red]broken[/]"}


def doctor(
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="A model folder or training run; the shipped model by default."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """Test this installation on one phantom: packages, the model's hash, runtimes, writers, DICOM.

    Absent extras are not errors; anything installed that does not work makes it exit with 1.
    """
    from dataclasses import asdict

    from rich.markup import escape
    from rich.table import Table

    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.installation.self_test import self_test

    with plain_warnings(), err.status("Testing", spinner="line") if err.is_terminal else nullcontext():
        checks = list(self_test(model))
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        values = [asdict(check) | {"seconds": round(check.seconds, 3)} for check in checks]
        print_json({"sonoseg": __version__, "notice": RESEARCH_ONLY, "works": not broken, "checks": values})
    else:
        table = Table("", "", "", "", box=None, pad_edge=False, show_header=False)
        last = ""
        for check in checks:
            group = check.group if check.group != last else ""
            last = check.group
            table.add_row(f"[bold]{group}[/]", escape(check.name), _SIGNS[check.state], escape(check.detail))
        out.print(table)
        ending = f"{len(broken)} broken" if broken else "everything installed works"
        out.print(f"\nsonoseg {__version__}: {ending}.")
        out.print(RESEARCH_ONLY, style="bold")
    if broken:
        raise typer.Exit(1)
