"""`sonoseg pacs`: a client of a PACS, and a node that segments for it."""

from __future__ import annotations

import typer

from sonoseg.cli.pacs_fetch import fetch
from sonoseg.cli.pacs_query import query
from sonoseg.cli.pacs_send import send
from sonoseg.cli.pacs_serve import serve

app = typer.Typer(help="Work with a PACS: segment what it sends; query, fetch, send.")
for verb in (serve, query, fetch, send):
    app.command()(verb)
