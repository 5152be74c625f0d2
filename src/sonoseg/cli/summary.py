"""Output of prediction runs on the terminal: lesions, counts, model, path of the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.common import err, out
from sonoseg.errors import BatchError, OutputError

if TYPE_CHECKING:
    from sonoseg.results.entries import Results
    from sonoseg.results.prediction_run import CompletedRun

ROWS = 40
"""Lesions in the table on the terminal; results.csv has all."""


def print_results(results: Results, page: Path) -> None:
    """Print the lesions as a table, the counts, the model, the page's path, and the research-only notice."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from sonoseg.results.formatting import area_text, count_text, size_text, spacing_notes

    table = Table("Image", box=SIMPLE, pad_edge=False)
    # Broken titles leave room for the names of images on a terminal of 80 columns.
    for title in ("Lesion", "Longest\naxis", "Perpen-\ndicular", "Area", "Proba-\nbility"):
        table.add_column(title, justify="right", no_wrap=True)
    rows = ((entry, lesion) for entry in results.entries() for lesion in entry.findings.lesions)
    for entry, lesion in islice(rows, ROWS):
        table.add_row(
            Text(entry.name, overflow="fold"),
            str(lesion.number),
            size_text(lesion.longest_axis, lesion.unit),
            size_text(lesion.perpendicular, lesion.unit),
            area_text(lesion.area, lesion.unit),
            f"{lesion.mean_probability:.2f}",
        )
    counts = results.counts
    if counts.lesions:
        out.print(table)
    if counts.lesions > ROWS:
        out.print(f"and {counts.lesions - ROWS:,} more in results.csv")
    out.print(count_text(counts, len(results.refused), len(results.referred or ())))
    for note in spacing_notes(counts):
        out.print(escape(note), soft_wrap=True)
    about = results.about
    print_origin(f"{about.model} ({about.model_hash})", about.runtime, page)


def print_origin(model: str, runtime: str, results: Path) -> None:
    """Print the model, the runtime, where the results are, and the research-only notice."""
    out.print(f"Model {escape(model)}, {escape(runtime)}")
    out.print(f"Results: {escape(str(results))}", soft_wrap=True)
    out.print(RESEARCH_ONLY, style="bold")


def raise_refused(completed: CompletedRun) -> None:
    """Print the files that were refused. Raises BatchError where there are any."""
    for one in completed.results.refused:
        err.print(f"[yellow]refused:[/] {escape(one.file)}: {escape(one.reason)}", soft_wrap=True)
    if count := len({one.file for one in completed.results.refused}):
        raise BatchError(f"{count} of {completed.files} files were refused, or not all outputs were written")


def notify(quiet: bool) -> Callable[[str], None]:
    """Return a function that writes a message to stderr, or nothing if `quiet`."""
    return (lambda message: None) if quiet else err.print


@contextmanager
def resumable() -> Iterator[None]:
    """Tell the user that the work in the block can be resumed where it is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted; completed results are kept: repeat the command with --resume to continue")
        raise
    except OutputError as error:
        remedy = "repeat the command with --resume to continue"
        remedy = f"{error.remedy}; then {remedy}" if error.remedy else remedy.capitalize()
        raise OutputError(error.found, where=error.where, remedy=remedy) from error
