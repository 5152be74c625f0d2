"""`sonoseg data get`: retrieve a public set."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sonoseg.cli.common import err, out, print_json
from sonoseg.cli.data_options import JsonOption

if TYPE_CHECKING:
    from sonoseg.data.catalogue import Download
    from sonoseg.data.download import Report


def get(
    name: Annotated[str, typer.Argument(help="A public set: see `sonoseg data list`.")],
    to: Annotated[
        Path, typer.Option("--out", "-o", help="The folder in which the set's folder is made.")
    ] = Path("data"),
    files: Annotated[
        list[Path] | None,
        typer.Option("--from", help="A local archive, in place of the download; repeat it for a second."),
    ] = None,
    any_checksum: Annotated[
        bool, typer.Option("--any-checksum", help="With --from: check the counts only, not the checksum.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the downloaded archives.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Download a public set, or unpack a local archive of it, and verify it.

    An interrupted download is resumed, now or when the command is run again.
    """
    from sonoseg.data.catalogue import entry_of
    from sonoseg.data.retrieval import get as run

    entry = entry_of(name)
    with _bars() as reporter:
        got = run(entry, to, files=files or (), any_checksum=any_checksum, keep=keep, reporter=reporter)
    if as_json:
        print_json(
            {
                "set": entry.name,
                "folder": str(got.folder),
                "fresh": got.fresh,
                "counts": got.counts,
                "sha256": got.checksums,
            }
        )
        return
    counts = ", ".join(f"{number} {what}" for what, number in got.counts.items())
    word = "retrieved" if got.fresh else "already present"
    out.print(f"{entry.name} {word}: {got.folder}", markup=False, soft_wrap=True)
    out.print(f"{counts}: as published", markup=False)
    unknown = {item.name for item in entry.downloads if item.sha256 is None}
    for file, digest in got.checksums.items():
        why = ", none is published to compare with" if files is None and file in unknown else ""
        out.print(f"SHA-256 of {file}{why}: {digest}", markup=False, soft_wrap=True)
    out.print(f"licence: {entry.licence}", markup=False, soft_wrap=True)
    out.print(f"please cite: {entry.citation}", markup=False, soft_wrap=True)


@contextmanager
def _bars() -> Iterator[Callable[[Download], Report]]:
    """A progress bar for each download, on stderr if it is a terminal."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True, disable=not sys.stderr.isatty()) as bars:

        def reporter(item: Download) -> Report:
            task = bars.add_task(item.name, total=item.size)

            def report(done: int, total: int | None) -> None:
                bars.update(task, completed=done, total=total or item.size)

            return report

        yield reporter
