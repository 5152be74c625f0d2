"""`sonoseg pacs`: beside an archive (PACS), as its client and as a node that segments for it."""

from __future__ import annotations

import typer

from sonoseg.cli.pacs_serve import serve

app = typer.Typer(help="Beside a PACS: take ultrasound and send results back; query, fetch, send.")
app.command()(serve)


@app.callback()
def pacs() -> None:
    """Keep `serve` a verb of its own while it is the only one."""
