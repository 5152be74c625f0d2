"""`sonoseg predict`: from pictures to masks, overlays, tables and a page."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.common import err, out, print_json
from sonoseg.errors import BatchError, SonosegError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sonoseg.imaging.frame import Frame, Spacing
    from sonoseg.inference.predictor import Predictor
    from sonoseg.outputs.folder import ResultsFolder

ROWS = 40
"""Lesions that the table on the terminal shows; results.csv has all."""


class RuntimeChoice(StrEnum):
    """The engine that runs the network."""

    auto = "auto"
    onnx = "onnx"
    torch = "torch"


def predict(
    paths: Annotated[list[str], typer.Argument(help="Pictures, folders (with all below them), or globs.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write results to.")],
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="A model folder or training run; the shipped model by default."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Lesion where the probability is this or more; the card's by default."),
    ] = None,
    runtime: Annotated[RuntimeChoice, typer.Option(help="What runs the network.")] = RuntimeChoice.auto,
    probability: Annotated[
        bool, typer.Option("--probability", help="Write probabilities too, as PNG of 16 bits.")
    ] = False,
    attention: Annotated[
        bool, typer.Option("--attention", help="Write each gate's attention map too, over the picture.")
    ] = False,
    spacing: Annotated[
        str | None,
        typer.Option(help="Millimetres per pixel, one number or ROW,COLUMN; sizes are in px without it."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a run of the network.")] = 8,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write results.json to stdout too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
) -> None:
    """Outline the lesions in pictures.

    Writes masks and overlays on each picture's own grid, results.csv, results.json and index.html. Goes on
    past a file that cannot be read, lists it at the end and exits with 3.
    """
    millimetres = None if spacing is None else parse_spacing(spacing)
    from sonoseg.cli.notices import plain_warnings, warn
    from sonoseg.imaging.find import find_pictures
    from sonoseg.inference.predictor import Predictor
    from sonoseg.outputs.entries import About
    from sonoseg.outputs.folder import SUBFOLDERS, ResultsFolder
    from sonoseg.outputs.names import result_names

    with plain_warnings():
        # Results of a former run below a searched folder are no pictures to segment.
        pictures = find_pictures(paths, skip=[to / name for name in SUBFOLDERS])
        predictor = Predictor(model, runtime=runtime.value, threshold=threshold)
        gates = predictor.model.card.attention
        if attention and not gates:
            warn("this model has no attention gates, so no maps are written")
        results = ResultsFolder(
            to,
            result_names(pictures, paths),
            About.of(predictor, "sonoseg predict"),
            probability=probability,
            attention=attention,
            gates=gates,
        )
        results.check(overwrite=overwrite)
        segment_all(predictor, results, pictures, spacing=millimetres, batch=batch, quiet=quiet)
        summary = results.finish()
    if as_json:
        print_json(summary)
    elif not quiet:
        report(results)
    if results.refused:
        for one in results.refused:
            err.print(f"[yellow]refused:[/] {escape(one.file)}: {escape(one.reason)}", soft_wrap=True)
        raise BatchError(f"{len(results.refused)} of {len(pictures)} files gave no result")


def segment_all(
    predictor: Predictor,
    results: ResultsFolder,
    pictures: Sequence[Path] | Sequence[Frame],
    *,
    spacing: Spacing | None = None,
    batch: int = 8,
    quiet: bool = False,
) -> None:
    """Predict pictures into a results folder, noting those that cannot be used."""
    from sonoseg.cli.notices import LateBar

    with LateBar("Segmenting", len(pictures), shown=not quiet) as bar:

        def refuse(picture: object, error: SonosegError) -> None:
            reason = ". ".join(part for part in (error.found, error.remedy) if part)
            results.refuse(str(picture), f"{reason}.")
            bar.advance()

        for segmentation in predictor.predict_many(
            pictures, batch=batch, attention=results.wants_attention, spacing=spacing, on_error=refuse
        ):
            results.add(segmentation)
            bar.advance()


def report(results: ResultsFolder) -> None:
    """Print the lesions as a table, where the results are, and the research-only line."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from sonoseg.outputs.index_page import area_text, count_text, size_text

    table = Table("Picture", box=SIMPLE, pad_edge=False)
    # Broken titles leave the names of pictures room on a terminal of 80 columns.
    for title in ("Lesion", "Longest\naxis", "Perpen-\ndicular", "Area", "Proba-\nbility"):
        table.add_column(title, justify="right", no_wrap=True)
    rows = [(entry, lesion) for entry in results.entries for lesion in entry.findings.lesions]
    for entry, lesion in rows[:ROWS]:
        unit = entry.findings.unit
        table.add_row(
            Text(entry.name, overflow="fold"),
            str(lesion.number),
            size_text(lesion.longest_axis, unit),
            size_text(lesion.perpendicular, unit),
            area_text(lesion.area, unit),
            f"{lesion.mean_probability:.2f}",
        )
    if rows:
        out.print(table)
    if len(rows) > ROWS:
        out.print(f"and {len(rows) - ROWS:,} more in results.csv")
    out.print(count_text(results.entries, results.refused))
    out.print(f"Results: {escape(str(results.page))}", soft_wrap=True)
    out.print(RESEARCH_ONLY, style="bold")


def parse_spacing(text: str) -> Spacing:
    """Read "0.08" or "0.08,0.1" (row, column) as millimetres per pixel. Raises UsageError."""
    import math

    from sonoseg.imaging.frame import Spacing

    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(math.isfinite(value) and value > 0 for value in values):
        raise UsageError(
            f"'{text}' is no spacing",
            where="--spacing",
            remedy="Give millimetres per pixel: one number above 0, or ROW,COLUMN",
        )
    return Spacing(values[0], values[-1])
