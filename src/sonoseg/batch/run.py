"""A batch run: from files to partitions of rows, as `sonoseg predict --engine ray` does it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonoseg._util.locks import locked
from sonoseg.batch.file_listing import list_files
from sonoseg.batch.filesystems import is_url
from sonoseg.batch.partitions import MANIFEST, Manifest, Partitions
from sonoseg.batch.ray_start import connected
from sonoseg.errors import OutputError
from sonoseg.inputs.file_search import RESULT_FOLDERS
from sonoseg.results.prediction_run import RunOptions, Track, untracked

LOCK = ".lock"

PARTITION = 1000
"""Files per partition by default: some ten seconds of a large machine."""


@dataclass(frozen=True)
class CompletedBatch:
    """What a batch run wrote. frames, lesions, errors: counts of rows; errors are rows without a result."""

    partitions: Partitions
    model: str
    runtime: str
    frames: int = 0
    lesions: int = 0
    errors: int = 0

    @property
    def files(self) -> int:
        """The files of the listing."""
        return self.partitions.manifest.files


@dataclass(frozen=True)
class BatchRun(RunOptions):
    """Segments millions of files on Ray. The options are those of RunOptions, paths may be URLs, and:

    anonymise: leave out patient and examination of DICOM files.
    workers: networks in parallel; one per core by default. partition: files per partition; PARTITION by
    default.
    address: of a Ray cluster; by default Ray is started on this machine.
    """

    anonymise: bool = False
    workers: int | None = None
    partition: int | None = None
    address: str | None = None

    def execute(
        self, *, track: Track = untracked, notify: Callable[[str], None] = lambda message: None
    ) -> CompletedBatch:
        """Run it. Files that cannot be read give rows with an error.

        track: shows a progress bar. notify: called with a message for the user.

        Raises InputError where no image is found, OutputError where results cannot be written or resumed, or
        Ray cannot be started, and as Predictor.
        """
        if not self.resume and not self.overwrite:
            Partitions.check_unused(self.out)  # before Ray takes seconds to start
        # A second driver in the folder would delete what the first is writing.
        problem, remedy = "another process writes these results", "Wait until it ends, then use --resume"
        with locked(self.out / LOCK, problem, remedy):
            before = Manifest.read(self.out) if self.resume and (self.out / MANIFEST).exists() else None
            with connected(self.address):
                return self._run(before, track, notify)

    def _run(self, before: Manifest | None, track: Track, notify: Callable[[str], None]) -> CompletedBatch:
        from sonoseg.batch.ray_engine import Resources, describe, run_partitions

        plan = self._plan(before)
        resources = Resources.of(self.workers, plan.runtime)
        plan = plan.with_threads(resources.threads)
        about, steps = describe(plan, resources)
        options = {"tta": self.tta, "anonymise": self.anonymise, **self.reading.fingerprint()}
        fingerprint = about.fingerprint() | {f"options.{name}": value for name, value in options.items()}
        partitions = self._partitions(before, fingerprint)
        todo, total = partitions.todo(), partitions.manifest.partitions
        if len(todo) < total:
            notify(f"{total - len(todo):,} of {total:,} partitions are done already")
        done_files = run_partitions(partitions, plan.with_engine(about), resources, steps)
        for _ in track(done_files, "Segmenting", sum(len(partitions.span(number)) for number in todo)):
            pass
        counts = dict.fromkeys(("frames", "lesions", "errors"), 0)
        for number in range(total):
            done = partitions.done(number)
            if done is None:
                raise OutputError(
                    "this partition was written and is missing",
                    where=partitions.path(number),
                    remedy="Check what else writes to this folder",
                )
            counts = {name: count + done[name] for name, count in counts.items()}
        return CompletedBatch(partitions, f"{about.model} ({about.model_hash})", about.runtime, **counts)

    def _plan(self, before: Manifest | None) -> Any:
        """Return the workers' plan; "auto" stays what it was when the run began."""
        from sonoseg.batch.ray_engine import RayPlan

        then = {} if before is None else before.fingerprint
        return RayPlan(
            model=None if self.model is None else str(Path(self.model).absolute()),
            runtime=then.get("engine", "auto") if self.runtime == "auto" else self.runtime,
            precision=then.get("precision", "auto") if self.precision == "auto" else self.precision,
            threshold=self.threshold,
            tta=self.tta,
            batch=self.batch,
            reading=self.reading,
            anonymise=self.anonymise,
            base=Path.cwd() if before is None else Path(before.base),
        )

    def _partitions(self, before: Manifest | None, fingerprint: Mapping[str, Any]) -> Partitions:
        paths = [str(path) for path in self.paths]
        absolute = [path if is_url(path) else os.path.normpath(Path(path).absolute()) for path in paths]
        if before is not None:
            return Partitions.resume(self.out, fingerprint, paths=absolute, partition=self.partition)
        return Partitions.begin(
            self.out,
            list_files(paths, skip=[self.out / name for name in RESULT_FOLDERS]),
            fingerprint,
            paths=absolute,
            partition=self.partition or PARTITION,
            overwrite=self.overwrite or self.resume,
        )
