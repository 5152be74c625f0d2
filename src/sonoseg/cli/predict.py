"""`sonoseg predict`: from pictures to masks, overlays, tables and a page."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.common import err, out
from sonoseg.errors import BatchError, OutputError, SonosegError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sonoseg.imaging.frame import Frame, Spacing
    from sonoseg.inference.predictor import Predictor
    from sonoseg.outputs.folder import ResultsFolder
    from sonoseg.outputs.results import Results

ROWS = 40
"""Lesions that the table on the terminal shows; results.csv has all."""


class RuntimeChoice(StrEnum):
    """The engine that runs the network."""

    auto = "auto"
    onnx = "onnx"
    openvino = "openvino"
    torch = "torch"


class PrecisionChoice(StrEnum):
    """What the engine computes in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


class TtaChoice(StrEnum):
    """Test-time augmentation."""

    none = "none"
    flip = "flip"
    scales = "scales"
    full = "full"


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
    runtime: Annotated[
        RuntimeChoice, typer.Option(help="What runs the network: the fastest installed one by default.")
    ] = RuntimeChoice.auto,
    precision: Annotated[
        PrecisionChoice,
        typer.Option(help="What it computes in: the fastest that the card allows by default."),
    ] = PrecisionChoice.auto,
    tta: Annotated[
        TtaChoice, typer.Option(help="Show each picture mirrored, at other scales, or both; slower, surer.")
    ] = TtaChoice.none,
    refer: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Mark this share of the pictures, the most doubtful, for a person."),
    ] = None,
    probability: Annotated[
        bool, typer.Option("--probability", help="Write probabilities too, as PNG of 16 bits.")
    ] = False,
    attention: Annotated[
        bool, typer.Option("--attention", help="Write each gate's attention map too, over the picture.")
    ] = False,
    spacing: Annotated[
        str | None,
        typer.Option(help="Millimetres per pixel, one number or ROW,COLUMN; in place of what a file says."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pictures a run of the network.")] = 8,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run with the same options was broken off.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write results.json to stdout too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")] = False,
) -> None:
    """Outline the lesions in pictures, and measure them.

    Writes masks and overlays on each picture's own grid, results.csv, results.json, report.html and
    report.json. Goes on past a file that cannot be read, lists it at the end and exits with 3. Broken off, it
    goes on with --resume.
    """
    millimetres = None if spacing is None else parse_spacing(spacing)
    if resume and overwrite:
        raise UsageError("both --resume and --overwrite", remedy="Go on, or begin anew: give one of them")
    from sonoseg.cli.notices import plain_warnings, warn
    from sonoseg.imaging.find import find_pictures
    from sonoseg.inference.predictor import Predictor
    from sonoseg.outputs.entries import About
    from sonoseg.outputs.folder import SUBFOLDERS, ResultsFolder
    from sonoseg.outputs.manifest import Notes
    from sonoseg.outputs.names import result_names
    from sonoseg.outputs.writers import picture_writers

    with plain_warnings() as warned:
        # Results of a former run below a searched folder are no pictures to segment.
        pictures = find_pictures(paths, skip=[to / name for name in SUBFOLDERS])
        start = time.monotonic()
        predictor = Predictor(
            model,
            runtime=runtime.value,
            precision=precision.value,
            pictures=len(pictures),
            threshold=threshold,
            tta=tta.value,
        )
        loaded = time.monotonic()
        gates = predictor.model.card.attention
        if attention and not gates:
            warn("this model has no attention gates, so no maps are written")
            warned.append("this model has no attention gates, so no maps are written")
        options = {
            "tta": tta.value,
            "spacing": None if millimetres is None else list(millimetres),
            "probability": probability,
            "attention": attention,
        }
        results = ResultsFolder(
            to,
            result_names(pictures, paths),
            About.of(predictor, "sonoseg predict", options),
            writers=picture_writers(probability=probability, gates=gates if attention else ()),
        )
        results.check(overwrite=overwrite, resume=resume)
        with resumable():
            todo = [picture for picture in pictures if not (resume and results.done(picture))]
            if len(todo) < len(pictures) and not quiet:
                err.print(f"{len(pictures) - len(todo):,} of {len(pictures):,} pictures are done already")
            results.begin(len(todo))
            segment_all(
                predictor,
                results,
                todo,
                spacing=millimetres,
                batch=batch,
                attention=attention and bool(gates),
                quiet=quiet,
            )
            spent = time.monotonic() - loaded
            timings = {"load": round(loaded - start, 3), "segment": round(spent, 3)}
            found = results.finish(Notes(timings, warned, dict(predictor.model.card.sha256)), refer=refer)
        results.close()
    if as_json:
        with results.summary.open(encoding="utf-8") as file:
            shutil.copyfileobj(file, sys.stdout)
    elif not quiet:
        report(results, found)
    if found.refused:
        for one in found.refused:
            err.print(f"[yellow]refused:[/] {escape(one.file)}: {escape(one.reason)}", soft_wrap=True)
        raise BatchError(f"{len(found.refused)} of {len(pictures)} files gave no result")


@contextmanager
def resumable() -> Iterator[None]:
    """Say, where the work within is broken off, that it can be gone on with."""
    try:
        yield
    except KeyboardInterrupt:
        err.print("interrupted; what is done is kept: go on with the same command and --resume")
        raise
    except OutputError as error:
        remedy = f"{error.remedy or 'See to it'}; then go on with the same command and --resume"
        raise OutputError(error.found, where=error.where, remedy=remedy) from error


def segment_all(
    predictor: Predictor,
    results: ResultsFolder,
    pictures: Sequence[Path] | Sequence[Frame],
    *,
    spacing: Spacing | None = None,
    batch: int = 8,
    attention: bool = False,
    quiet: bool = False,
) -> None:
    """Predict pictures into a results folder, noting those that cannot be used.

    Results are written in threads while the network works on the next pictures, and noted in order.
    """
    from concurrent.futures import ThreadPoolExecutor

    from sonoseg.cli.notices import LateBar
    from sonoseg.inference.pipeline import ahead

    writing = ThreadPoolExecutor(2, "sonoseg-write")
    with LateBar("Segmenting", len(pictures), shown=not quiet) as bar:

        def refuse(picture: object, error: SonosegError) -> None:
            reason = ". ".join(part for part in (error.found, error.remedy) if part)
            results.refuse(str(picture), f"{reason}.")
            bar.advance()

        found = predictor.predict_many(
            pictures, batch=batch, attention=attention, spacing=spacing, on_error=refuse
        )
        try:
            for _, entry in ahead(writing, results.write, found, 4):
                results.commit(entry.result())
                bar.advance()
        finally:
            writing.shutdown(wait=True, cancel_futures=True)


def report(results: ResultsFolder, found: Results) -> None:
    """Print the lesions as a table, where the results are, and the research-only line."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from sonoseg.outputs.wording import area_text, count_text, scale_notes, size_text

    table = Table("Picture", box=SIMPLE, pad_edge=False)
    # Broken titles leave the names of pictures room on a terminal of 80 columns.
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
    for note in scale_notes(found.counts):
        out.print(escape(note), soft_wrap=True)
    out.print(f"Model {escape(found.about.model)} ({found.about.model_hash}), {escape(found.about.runtime)}")
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
