"""What the terminal tells of results: a table of lesions, the counts, the model, where the page is."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from rich.markup import escape

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.common import out

if TYPE_CHECKING:
    from sonoseg.results.entries import Results
    from sonoseg.results.results_folder import ResultsFolder

ROWS = 40
"""Lesions that the table on the terminal shows; results.csv has all."""


def report(results: ResultsFolder, found: Results) -> None:
    """Print the lesions as a table, where the results are, and the research-only line."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from sonoseg.results.formatting import area_text, count_text, size_text, spacing_notes

    table = Table("Image", box=SIMPLE, pad_edge=False)
    # Broken titles leave the names of images room on a terminal of 80 columns.
    for title in ("Lesion", "Longest\naxis", "Perpen-\ndicular", "Area", "Proba-\nbility"):
        table.add_column(title, justify="right", no_wrap=True)
    rows = ((entry, lesion) for entry in found.entries() for lesion in entry.findings.lesions)
    for entry, lesion in islice(rows, ROWS):
        table.add_row(
            Text(entry.name, overflow="fold"),
            str(lesion.number),
            size_text(lesion.longest_axis, lesion.unit),
            size_text(lesion.perpendicular, lesion.unit),
            area_text(lesion.area, lesion.unit),
            f"{lesion.mean_probability:.2f}",
        )
    if found.counts.lesions:
        out.print(table)
    if found.counts.lesions > ROWS:
        out.print(f"and {found.counts.lesions - ROWS:,} more in results.csv")
    out.print(count_text(found.counts, len(found.refused), len(found.referred or ())))
    for note in spacing_notes(found.counts):
        out.print(escape(note), soft_wrap=True)
    out.print(f"Model {escape(found.about.model)} ({found.about.model_hash}), {escape(found.about.runtime)}")
    out.print(f"Results: {escape(str(results.page))}", soft_wrap=True)
    out.print(RESEARCH_ONLY, style="bold")
