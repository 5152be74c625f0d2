"""`sonoseg predict --engine ray`: batch inference over millions of images on Ray Data, into Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from sonoseg.cli.common import err, out
from sonoseg.cli.summary import notify, print_origin, resumable
from sonoseg.cli.warnings_display import late_progress, plain_warnings
from sonoseg.errors import BatchError

if TYPE_CHECKING:
    from sonoseg.batch.run import BatchRun, CompletedBatch

SHOWN = 20
"""Errors that the terminal shows; the table has all."""


def predict_ray(run: BatchRun, *, quiet: bool) -> None:
    """Run it and print a summary. Raises BatchError where rows have an error."""
    with plain_warnings():
        with resumable():
            done = run.execute(track=late_progress(quiet), notify=notify(quiet))
        _print(done, quiet=quiet)


def _print(done: CompletedBatch, *, quiet: bool) -> None:
    if not quiet:
        out.print(f"{done.frames:,} frames of {done.files:,} files, {done.lesions:,} lesions")
        print_origin(done.model, done.runtime, done.partitions.path(0).parent)
    if done.errors:
        for file, reason in done.partitions.errors(SHOWN):
            err.print(f"[yellow]refused:[/] {escape(file)}: {escape(reason)}", soft_wrap=True)
        if done.errors > SHOWN:
            err.print(f"and {done.errors - SHOWN:,} more: rows of the table with an error")
        raise BatchError(f"{done.errors:,} of {done.frames + done.errors:,} rows have an error and no result")
