"""`sonoseg predict --engine ray`: images by the million, as a stream over Ray Data, into Parquet."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from sonoseg import RESEARCH_ONLY
from sonoseg._util.packages import require
from sonoseg.cli.common import err, out
from sonoseg.cli.segment_files import resumable
from sonoseg.errors import BatchError, OutputError, UsageError

if TYPE_CHECKING:
    from sonoseg.batch.partitions import Manifest, Partitions
    from sonoseg.image.frame import Spacing

LOCK = ".lock"

PARTITION = 1000
"""Files a partition, where nothing else is asked for: some ten seconds of a large machine."""

SHOWN = 20
"""Bad files that the terminal shows; the table has all."""


@dataclass(frozen=True)
class BatchRequest:
    """What was asked for, as `sonoseg predict` has it."""

    paths: Sequence[str]
    to: Path
    model: Path | None
    threshold: float | None
    runtime: str
    precision: str
    tta: str
    spacing: Spacing | None
    spacings: Path | None
    frames: str
    keep_burned_in: bool
    batch: int
    workers: int | None
    partition: int | None
    address: str | None
    resume: bool
    overwrite: bool
    quiet: bool


def refuse_options(given: Mapping[str, Any], engine: str) -> None:
    """Raise UsageError where an option is given that does not go with the engine."""
    wrong = [name for name, value in given.items() if value is not None and value is not False]
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)} with --engine {engine}",
            remedy="Leave them out: this engine writes rows of a table, nothing else"
            if engine == "ray"
            else "Give --engine ray too, or leave them out",
        )


def predict_ray(asked: BatchRequest) -> None:
    """Do it. Raises SonosegError; BatchError where some files gave no result, or not all of it."""
    require("scale", "ray", "pyarrow", "fsspec")
    from sonoseg._util.locks import locked
    from sonoseg.batch.partitions import MANIFEST, Manifest, Partitions

    if not asked.resume and not asked.overwrite:
        Partitions.free(asked.to)  # before Ray takes its seconds to start
    # A second driver in the folder would clear away what the first is writing.
    busy = ("another command writes these results", "Wait for it or stop it, then say --resume")
    with locked(asked.to / LOCK, *busy):
        before = Manifest.read(asked.to) if asked.resume and (asked.to / MANIFEST).exists() else None
        _predict_ray(asked, before)


def _predict_ray(asked: BatchRequest, before: Manifest | None) -> None:
    """The work, while nobody else writes there."""
    from sonoseg.batch.ray_start import connected
    from sonoseg.cli.warnings_display import LateBar, plain_warnings

    with plain_warnings(), connected(asked.address), resumable():
        from sonoseg.batch.ray_engine import Cores, describe, resolved, run

        plan, options = _plan(asked, before)
        cores = Cores.of(asked.workers, plan.runtime)
        plan = plan.with_threads(cores.threads)
        about, steps = describe(plan, cores)
        partitions = _partitions(asked, before, about.fingerprint() | options)
        todo = partitions.todo()
        files = sum(len(partitions.span(number)) for number in todo)
        skipped = partitions.manifest.partitions - len(todo)
        if skipped and not asked.quiet:
            err.print(f"{skipped:,} of {partitions.manifest.partitions:,} partitions are done already")
        with LateBar("Segmenting", files, shown=not asked.quiet) as bar:

            def advance(count: int) -> None:
                for _ in range(count):
                    bar.advance()

            run(partitions, resolved(plan, about), cores, steps, advance=advance)
    _report(asked, partitions, about.model, about.model_hash, about.runtime)


def _plan(asked: BatchRequest, before: Manifest | None) -> tuple[Any, dict[str, Any]]:
    """What the workers do, and the options that a resumed run must share."""
    from sonoseg._util.files import sha256_file
    from sonoseg.batch.ray_engine import RayPlan
    from sonoseg.batch.row_reading import Wish
    from sonoseg.inputs.spacing_table import read_spacings

    then = {} if before is None else before.fingerprint
    wish = Wish(
        base=Path.cwd() if before is None else Path(before.base),
        spacing=asked.spacing,
        spacings=None if asked.spacings is None else read_spacings(asked.spacings),
        frames=asked.frames,
        keep_burned_in=asked.keep_burned_in,
    )
    plan = RayPlan(
        model=None if asked.model is None else str(asked.model.absolute()),
        # What "auto" means depends on what is installed: it stays what it was.
        runtime=then.get("engine", "auto") if asked.runtime == "auto" else asked.runtime,
        precision=then.get("precision", "auto") if asked.precision == "auto" else asked.precision,
        threshold=asked.threshold,
        tta=asked.tta,
        batch=asked.batch,
        wish=wish,
    )
    options = {
        "options.tta": asked.tta,
        "options.spacing": None if asked.spacing is None else list(asked.spacing),
        "options.spacings": None if asked.spacings is None else sha256_file(asked.spacings),
        "options.frames": asked.frames,
        "options.keep_burned_in": asked.keep_burned_in,
    }
    return plan, options


def _partitions(asked: BatchRequest, before: Manifest | None, fingerprint: Mapping[str, Any]) -> Partitions:
    from sonoseg.batch.file_listing import list_files
    from sonoseg.batch.filesystems import is_url
    from sonoseg.batch.partitions import Partitions
    from sonoseg.results.writers import FOLDERS

    paths = [path if is_url(path) else os.path.normpath(Path(path).absolute()) for path in asked.paths]
    if before is not None:
        return Partitions.resume(asked.to, fingerprint, asked=paths, partition=asked.partition)
    return Partitions.begin(
        asked.to,
        list_files(asked.paths, skip=[asked.to / name for name in FOLDERS]),
        fingerprint,
        asked=paths,
        partition=asked.partition or PARTITION,
        overwrite=asked.overwrite or asked.resume,
    )


def _report(asked: BatchRequest, partitions: Partitions, model: str, model_hash: str, runtime: str) -> None:
    """Say what came of it; raise BatchError where a file gave nothing, or not all of it."""
    total = {"frames": 0, "errors": 0, "lesions": 0}
    for number in range(partitions.manifest.partitions):
        done = partitions.done(number)
        if done is None:
            raise OutputError(
                "a partition that was written is not there",
                where=partitions.path(number),
                remedy="See who else writes to this folder, and go on with --resume",
            )
        total = {name: count + done[name] for name, count in total.items()}
    if not asked.quiet:
        out.print(
            f"{total['frames']:,} frames of {partitions.manifest.files:,} files, {total['lesions']:,} lesions"
        )
        out.print(f"Model {escape(model)} ({model_hash}), {escape(runtime)}")
        out.print(f"Results: {escape(str(partitions.path(0).parent))}", soft_wrap=True)
        out.print(RESEARCH_ONLY, style="bold")
    if total["errors"]:
        for file, why in partitions.errors(SHOWN):
            err.print(f"[yellow]refused:[/] {escape(file)}: {escape(why)}", soft_wrap=True)
        if total["errors"] > SHOWN:
            err.print(f"and {total['errors'] - SHOWN:,} more: rows of the table with an error")
        rows = total["frames"] + total["errors"]
        raise BatchError(f"{total['errors']:,} of {rows:,} rows have an error in place of a result")
