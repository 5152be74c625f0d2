"""A prediction run: from files to a results folder, as `sonoseg predict` does it.

run = PredictionRun(["scans"], Path("results"), outputs=OutputOptions(probability=True))
print(run.execute().results.counts)
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from sonoseg._util.machine import usable_cores
from sonoseg._util.packages import require
from sonoseg.dicom.reading.detection import is_dicom
from sonoseg.errors import OutputError, SonosegError, SonosegWarning, UsageError
from sonoseg.inference.pipeline import OfflineExecutor
from sonoseg.inference.predictor import Predictor
from sonoseg.inputs.file_search import RESULT_FOLDERS, find_images
from sonoseg.inputs.frame_list import FrameRef
from sonoseg.inputs.reading_options import ReadingOptions
from sonoseg.results.entries import Results, RunInfo
from sonoseg.results.journal import JOURNAL, recorded_fingerprint
from sonoseg.results.result_names import result_names
from sonoseg.results.results_folder import RequestedOutputs, ResultsFolder
from sonoseg.results.run_manifest import RunNotes
from sonoseg.results.workbook import require_xlsx
from sonoseg.results.writers import image_writers, object_writers

COMMAND = "sonoseg predict"

MANY = 100
"""From more images than this, measuring and writing in processes pays for their start."""

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Passes items through under a progress bar: track(items, description, total)."""


def untracked(items: Iterable[Any], description: str, total: int) -> Iterable[Any]:
    """Pass items through without a progress bar."""
    return items


@dataclass(frozen=True)
class OutputOptions:
    """The files to write besides masks, overlays, tables and the page.

    probability, attention: maps as PNG. xlsx: the tables as a workbook.
    coco, labelme, nrrd: formats of annotation tools.
    seg, sr, capture: DICOM objects, for DICOM sources. fractional: a SEG of probabilities; implies `seg` and
    `probability`. anonymise: without patient and study in the tables and the DICOM objects.
    """

    probability: bool = False
    attention: bool = False
    xlsx: bool = False
    coco: bool = False
    labelme: bool = False
    nrrd: bool = False
    seg: bool = False
    sr: bool = False
    capture: bool = False
    fractional: bool = False
    anonymise: bool = False

    def __post_init__(self) -> None:
        if self.fractional:
            object.__setattr__(self, "seg", True)
            object.__setattr__(self, "probability", True)

    @property
    def dicom(self) -> bool:
        """Whether any DICOM object is requested."""
        return self.seg or self.sr or self.capture

    def writers(self, gates: Sequence[str]) -> RequestedOutputs:
        """Return the writers of these files. gates: the attention gates whose maps are written."""
        return RequestedOutputs(
            image_writers(
                probability=self.probability,
                gates=gates,
                capture=self.capture,
                anonymise=self.anonymise,
                labelme=self.labelme,
                nrrd=self.nrrd,
            ),
            object_writers(seg=self.seg, sr=self.sr, fractional=self.fractional, anonymise=self.anonymise),
            xlsx=self.xlsx,
            coco=self.coco,
            anonymise=self.anonymise,
        )

    def fingerprint(self, gates: Sequence[str]) -> dict[str, Any]:
        """Return the options as JSON values, for the journal and report.json."""
        kinds = ("probability", "attention", "xlsx", "coco", "labelme", "nrrd", "seg", "sr", "capture")
        files = [kind for kind in kinds if (bool(gates) if kind == "attention" else getattr(self, kind))]
        return {"files": files, "fractional": self.fractional, "anonymise": self.anonymise}


@dataclass(frozen=True)
class CompletedRun:
    """What a run wrote. files: how many input files were found. page, summary: report.html, results.json."""

    results: Results
    files: int
    page: Path
    summary: Path


@dataclass(frozen=True)
class RunOptions:
    """What a run on one machine and a batch run on Ray have in common.

    paths: images, folders with all below them, or globs. out: the folder to write to.
    model, runtime, precision, threshold, tta: as in Predictor; on `resume`, "auto" is what the interrupted
        run used. batch: images per run of the network.
    reading: frames, pixel spacing and burned-in text of the input.
    resume: continue an interrupted run with the same options. overwrite: replace existing results.

    Raises UsageError for `resume` together with `overwrite`.
    """

    paths: Sequence[str | Path]
    out: Path
    model: str | Path | None = None
    runtime: str = "auto"
    precision: str = "auto"
    threshold: float | None = None
    tta: str = "none"
    batch: int = 8
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise UsageError("both --resume and --overwrite", remedy="Give one of them")


@dataclass(frozen=True)
class PredictionRun(RunOptions):
    """Segments files into a results folder. The options are those of RunOptions and:

    outputs: the files to write. refer: fraction of the images, the most uncertain ones, to mark for review by
    a person; None marks none.

    With more than MANY images `execute` starts processes: a script needs `if __name__ == "__main__":` around
    it.
    """

    outputs: OutputOptions = field(default_factory=OutputOptions)
    refer: float | None = None

    def execute(
        self, *, track: Track = untracked, notify: Callable[[str], None] = lambda message: None
    ) -> CompletedRun:
        """Run it. Files that cannot be read are listed in the results as refused.

        track: shows a progress bar. notify: called with a message for the user.

        Warns (SonosegWarning) of requested outputs that cannot be written. Raises InputError where no image
        is found, OutputError where results cannot be written or resumed, MissingExtra, and as Predictor.
        """
        if self.outputs.dicom:
            require("dicom", "pydicom", "highdicom")
        if self.outputs.xlsx:
            require_xlsx()
        with _recorded_warnings() as warned:
            # The results of an earlier run below a searched folder are not input.
            files = find_images(self.paths, skip=[self.out / name for name in RESULT_FOLDERS])
            self.reading.warn_of_unmatched(files)
            frames, unreadable = self._list_frames(files, track)
            start = time.monotonic()
            predictor = self._predictor(len(frames))
            loaded = time.monotonic()
            gates = predictor.model.card.attention if self.outputs.attention else []
            self._warn_of_missing_outputs(files, gates)
            options = {"tta": self.tta, **self.reading.fingerprint(), **self.outputs.fingerprint(gates)}
            folder = ResultsFolder(
                self.out,
                result_names(files, self.paths),
                RunInfo.of(predictor, COMMAND, options),
                frames=frames,
                outputs=self.outputs.writers(gates),
            )
            folder.check(overwrite=self.overwrite, resume=self.resume)
            with folder:
                todo = folder.begin()
                if len(todo) < len(frames):
                    notify(f"{len(frames) - len(todo):,} of {len(frames):,} images are done already")
                for path, error in unreadable:
                    folder.refuse(path, error.reason)
                predict_into(
                    folder, predictor, todo, self.reading.read, self.batch, attention=bool(gates), track=track
                )
                seconds = time.monotonic() - loaded
                timings = {"load": round(loaded - start, 3), "segment": round(seconds, 3)}
                notes = RunNotes(timings, warned, dict(predictor.model.card.sha256))
                results = folder.finish(notes, refer=self.refer)
        return CompletedRun(results, len(files), folder.page, folder.summary)

    def _list_frames(
        self, files: Sequence[Path], track: Track
    ) -> tuple[list[FrameRef], list[tuple[Path, SonosegError]]]:
        """List the chosen frames of all files, and the files that cannot be read, with the error."""
        frames: list[FrameRef] = []
        unreadable: list[tuple[Path, SonosegError]] = []
        for path in track(files, "Reading headers", len(files)):
            try:
                frames += self.reading.list_frames(path)
            except SonosegError as error:
                unreadable.append((path, error))
        return frames, unreadable

    def _predictor(self, images: int) -> Predictor:
        """Load the model; for "auto" on `resume`, with the engine and precision of the interrupted run."""
        before = recorded_fingerprint(self.out / JOURNAL) if self.resume else {}
        runtime, precision = self.runtime, self.precision
        return Predictor(
            self.model,
            runtime=before.get("engine", runtime) if runtime == "auto" else runtime,
            precision=before.get("precision", precision) if precision == "auto" else precision,
            images=images,
            threshold=self.threshold,
            tta=self.tta,
        )

    def _warn_of_missing_outputs(self, files: Sequence[Path], gates: Sequence[str]) -> None:
        if self.outputs.attention and not gates:
            warnings.warn(
                "this model has no attention gates: no maps are written", SonosegWarning, stacklevel=3
            )
        others = sum(not is_dicom(path) for path in files) if self.outputs.dicom else 0
        if others:
            warnings.warn(
                f"{others:,} of {len(files):,} files are not DICOM: SEG, SR and capture are written for "
                "DICOM sources only",
                SonosegWarning,
                stacklevel=3,
            )


def predict_into(
    folder: ResultsFolder,
    predictor: Predictor,
    images: Sequence[Any],
    load: Callable[[Any], Any] = lambda image: image,
    batch: int = 8,
    *,
    attention: bool = False,
    track: Track = untracked,
) -> None:
    """Predict images into a results folder, and note those that cannot be read or written as refused.

    images: FrameRefs, or what Predictor takes. load: makes of one what Predictor takes.

    Measuring and writing run beside the network, in processes where there are more than MANY images; results
    are recorded in order.
    """
    executor = OfflineExecutor(
        predictor,
        folder.images.try_write,
        load=load,
        batch=batch,
        attention=attention,
        workers=min(8, usable_cores()),
        processes=len(images) > MANY,
    )
    for image, outcome in track(executor.map(images), "Segmenting", len(images)):
        if isinstance(outcome, SonosegError):
            reason = str(outcome) if isinstance(outcome, OutputError) else outcome.reason
            folder.refuse(image if isinstance(image, FrameRef) else str(image), reason)
        else:
            folder.commit(outcome)


@contextmanager
def _recorded_warnings() -> Iterator[list[str]]:
    """Yield the list of the texts of the warnings shown in the block, which are shown as before."""
    texts: list[str] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def record(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            texts.append(str(message))
            show(message, category, filename, lineno, file, line)

        warnings.showwarning = record
        yield texts
