"""`sonoseg pacs fetch`: retrieve instances from a PACS to a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json, progress
from sonoseg.cli.pacs_options import (
    ConnectionOptions,
    JsonOption,
    LimitOption,
    MatchingOptions,
    shared_options,
)
from sonoseg.errors import BatchError, UsageError


@shared_options
def fetch(
    into: Annotated[Path, typer.Option("--out", "-o", help="The folder, created if needed.")],
    connection: ConnectionOptions,
    matching: MatchingOptions,
    limit: LimitOption = None,
    move_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="DIMSE: receive at this port by C-MOVE instead of C-GET."),
    ] = None,
    listen_host: Annotated[
        str | None, typer.Option(help="DIMSE: address to listen on for C-MOVE; 127.0.0.1 by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Retrieve all matching instances, each as OUT/<SOP Instance UID>.dcm in its own transfer syntax.

    Existing files are left unchanged: the same command resumes an interrupted retrieval.
    Exit code 3 if single instances failed, 1 if the archive cannot be reached or refuses.
    """
    require("pacs", "pynetdicom", "dicomweb_client")
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.pacs.archive import FetchOutcome
    from sonoseg.pacs.client import open_archive

    if not (limit or any(asdict(matching).values())):
        raise UsageError(
            "no matching key: this would retrieve the whole archive",
            remedy="Give one, such as --study, or --limit",
        )
    address = connection.address(
        retrieve=None if move_port is None else "move", listen_port=move_port, listen_host=listen_host
    )
    query = matching.query("instance", limit)
    fetched = []
    with plain_warnings(), open_archive(address) as archive:
        for item in progress(archive.fetch(query, into), "fetching"):
            fetched.append(item)
            if item.outcome is FetchOutcome.FAILED:
                err.print(escape(f"{item.instance}: {item.reason}"), soft_wrap=True)
    counts = {outcome.value: sum(item.outcome is outcome for item in fetched) for outcome in FetchOutcome}
    if as_json:
        print_json({"archive": str(address), "counts": counts, "instances": [asdict(i) for i in fetched]})
    else:
        out.print(f"{counts['fetched']:,} fetched, {counts['exists']:,} existed, {counts['failed']:,} failed")
    if counts["failed"]:
        raise BatchError(f"{counts['failed']:,} of {len(fetched):,} instances could not be retrieved")
