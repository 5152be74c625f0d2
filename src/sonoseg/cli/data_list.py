"""`sonoseg data list`: the catalogue of public sets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sonoseg.cli.common import out, print_json
from sonoseg.cli.data_options import JsonOption


def list_sets(
    name: Annotated[str | None, typer.Argument(help="Show this set in full.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the public sets with content, licence and source."""
    from rich.table import Table
    from rich.text import Text

    from sonoseg.data.catalogue import CATALOGUE, entry_of
    from sonoseg.data.record import LABELS

    entries = list(CATALOGUE.values()) if name is None else [entry_of(name)]
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    if name is not None:
        entry = entries[0]
        lines = {
            "title": entry.title,
            "citation": entry.citation,
            "licence": entry.licence,
            "home": entry.home,
            "published": ", ".join(f"{number} {what}" for what, number in entry.counts.items()),
            "layout": entry.layout,
            "remarks": entry.remarks or "none",
            "get": f"sonoseg data get {entry.name}",
            "by hand": f"{entry.by_hand}; then: {entry.by_hand_command}",
        }
        table = Table(show_header=False, box=None, title=entry.name, title_justify="left")
        for key, text in lines.items():
            table.add_row(key, Text(text))
    else:
        table = Table(title="Public sets")
        for column in ("name", "images", "classes", "licence", "home"):
            table.add_column(column, overflow="fold")
        for entry in entries:
            classes = ", ".join(f"{entry.counts[c]} {c}" for c in LABELS if c in entry.counts)
            images = str(entry.counts["images"])
            table.add_row(entry.name, images, classes, Text(entry.licence), Text(entry.home))
    out.print(table)
