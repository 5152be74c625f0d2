"""The results folder of a run: checked before the work, and written while it proceeds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TextIO

from sonoseg._util.files import atomic_path, cannot_write, remove_leftovers
from sonoseg._util.text import printable
from sonoseg._util.timestamps import utc_now
from sonoseg.errors import FullDiskError, OutputError
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.uncertainty import refer as choose
from sonoseg.inputs.file_search import RESULT_FOLDERS
from sonoseg.inputs.frame_list import FrameRef
from sonoseg.lesions.measurement import Findings
from sonoseg.results.entries import ImageEntry, OutputFile, RefusedFile, Results, RunInfo, SourceFile
from sonoseg.results.html_templates import preload
from sonoseg.results.journal import FORMER_JOURNAL, JOURNAL, Journal
from sonoseg.results.report_page import REPORT_TEMPLATE, write_report
from sonoseg.results.result_files import ImageFiles, SourceFiles
from sonoseg.results.result_names import frame_names
from sonoseg.results.run_manifest import RunNotes, write_manifest
from sonoseg.results.tables import write_coco, write_csv, write_json, write_xlsx
from sonoseg.results.writers import ObjectWriter, Writer, image_writers

CSV, JSON, XLSX, COCO, PAGE = "results.csv", "results.json", "results.xlsx", "coco.json", "report.html"
MANIFEST = "report.json"


@dataclass(frozen=True)
class RequestedOutputs:
    """The kinds of output file beside the tables and the report.

    writers: for each image; masks and overlays by default.
    objects: for each DICOM source.
    xlsx: whether the tables are written as a workbook, too.
    coco: whether annotations are collected in one file.
    anonymise: whether the tables are without patient and examination.
    """

    writers: Sequence[Writer] = field(default_factory=image_writers)
    objects: Sequence[ObjectWriter] = ()
    xlsx: bool = False
    coco: bool = False
    anonymise: bool = False


class ResultsFolder:
    """The results of a run: files for each image, the tables, the report and the journal.

    folder: the output folder. names: of each file's results (see `result_names`); a frame of another file
        goes by its own name.
    frames: the frames of those files, in the order of the results; by default each file is one still.
    outputs: the kinds of output file. page: the report's file name.

    Call `check` and `begin` before the work, `add` or `refuse` for each image, `finish` at the end, and
    `close`, or use it as a context manager. To overlap writing with other work, call `write` in any thread,
    or `images.write` in any process, and `commit` the entries in one thread.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Mapping[Path, str],
        about: RunInfo,
        *,
        frames: Sequence[FrameRef] | None = None,
        outputs: RequestedOutputs | None = None,
        page: str = PAGE,
    ) -> None:
        self.folder = Path(folder)
        self.about = about
        self.refused: list[RefusedFile] = []
        self.page = self.folder / page
        self.summary = self.folder / JSON
        self._files = dict(names)
        self._frames = [FrameRef(path) for path in names] if frames is None else list(frames)
        self._names = frame_names(self._frames, names)
        self._outputs = outputs or RequestedOutputs()
        self._journal: Journal | None = None
        self._order = dict.fromkeys(self._names.values())
        self._sources = SourceFiles(self.folder, about, self._files, self._names, self._outputs.objects)

    def check(self, *, overwrite: bool = False, resume: bool = False) -> None:
        """Create the folder, check that it can be written to, and open the journal.

        overwrite: replace existing results. resume: resume an interrupted run.

        Raises OutputError where the folder cannot be written to, where it has results and neither option is
        set, and where the run to resume had another model or other options.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise OutputError(
                f"cannot be written to: {error.strerror or error}",
                where=self.folder,
                remedy="Choose another folder with --out, or ask for write permission",
            ) from error
        journal = self.folder / JOURNAL
        resume = resume and journal.exists()
        if not (resume or overwrite):
            self._require_free()
        self._journal = Journal(journal, self.about.fingerprint(), resume=resume)
        if overwrite:  # after the journal, whose lock keeps other runs out
            for name in (CSV, JSON, XLSX, COCO, MANIFEST, FORMER_JOURNAL, self.page.name):
                try:
                    (self.folder / name).unlink(missing_ok=True)
                except OSError as error:
                    raise cannot_write(self.folder / name, error) from error
        if resume or overwrite:
            self._remove_leftovers()

    def begin(self) -> list[FrameRef]:
        """Return the frames to process: those not recorded, whose output files are missing, or that changed.

        Records the start of a session in the journal. Raises OutputError.
        """
        preload(REPORT_TEMPLATE)  # while the network works
        journal = self._open()
        todo: list[FrameRef] = []
        done: list[FrameRef] = []
        for frame in self._frames:
            (done if self._done(frame) else todo).append(frame)
        started = utc_now()
        journal.add_session({"started": started, "images": len(todo)})
        for path, error in self._sources.resume(journal, done):
            self._refuse(FrameRef(path), str(error))
        return todo

    @property
    def images(self) -> ImageFiles:
        """The writer of single images' files; it can be sent to another process."""
        outputs = self._outputs
        return ImageFiles(
            *(self.folder, self._names, self._sources, outputs.writers, outputs.coco, outputs.anonymise)
        )

    def write(self, segmentation: Segmentation) -> ImageEntry:
        """Measure a segmentation and write its files, in any thread. Raises OutputError."""
        return self.images.write(segmentation)

    def commit(self, entry: ImageEntry) -> None:
        """Record an image whose files are in place; after a clip's last frame, write its objects.

        Objects that cannot be written are recorded as refused. Raises OutputError.
        """
        self._order.setdefault(entry.name)
        self._open().add(entry)
        self._finish_frame(entry.file)

    def add(self, segmentation: Segmentation) -> Findings:
        """Write and commit. Raises OutputError."""
        entry = self.write(segmentation)
        self.commit(entry)
        return entry.findings

    def refuse(self, frame: FrameRef | str | Path, reason: str) -> None:
        """Record a file, or a frame of one, that cannot be used."""
        ref = frame if isinstance(frame, FrameRef) else FrameRef(Path(frame))
        self._refuse(ref, reason)
        if ref in self._names:
            self._finish_frame(printable(ref.path))

    def _refuse(self, frame: FrameRef, reason: str) -> None:
        name = self._names.get(frame, self._files.get(frame.path, ""))
        self.refused.append(RefusedFile(printable(str(frame)), printable(reason), name))

    def _finish_frame(self, file: str) -> None:
        try:
            self._sources.frame_finished(file, self._open())
        except FullDiskError:
            raise
        except OutputError as error:
            self._refuse(FrameRef(Path(file)), str(error))

    def entries(self) -> Iterator[ImageEntry]:
        """Read what is done from the journal, one image at a time, in the order of the names."""
        objects = self._open().objects
        for entry in self._open().entries(self._order):
            shared = objects.get(entry.file)
            yield entry if shared is None else replace(entry, files=entry.files | shared.files)

    def finish(self, notes: RunNotes | None = None, *, refer: float | None = None) -> Results:
        """Write the tables, the report and the manifest.

        refer: the share of the images, those of the highest uncertainty, to mark for review; None marks none.
        Raises OutputError.
        """
        referred = None if refer is None else self._most_uncertain(refer)
        results = Results(self.about, self.entries, self._all_refused(), referred)
        summaries: list[OutputFile] = []

        def write(path: Path, writer: Callable[[TextIO, Results], None]) -> None:
            def write_text(temporary: Path, results: Results) -> None:
                with temporary.open("w", encoding="utf-8", newline="") as file:
                    writer(file, results)

            write_file(path, write_text)

        def write_file(path: Path, writer: Callable[[Path, Results], None]) -> None:
            with atomic_path(path) as temporary:
                writer(temporary, results)
            summaries.append(OutputFile(path.name, SourceFile.of(path).sha256, path.stat().st_size))

        write(self.folder / CSV, write_csv)
        write(self.summary, write_json)
        if self._outputs.xlsx:
            write_file(self.folder / XLSX, write_xlsx)
        if self._outputs.coco:
            write(self.folder / COCO, write_coco)
        write(self.page, write_report)
        sessions, notes = self._open().sessions, notes or RunNotes()
        write(
            self.folder / MANIFEST,
            lambda file, results: write_manifest(file, results, notes, sessions, list(summaries)),
        )
        self._open().require_present()
        return results

    def _all_refused(self) -> list[RefusedFile]:
        """List the refused files and the outputs that could not be written, in the order of the names."""
        faults = [
            RefusedFile(entry.file, fault, entry.name)
            for entry in self._open().entries(self._order)
            for fault in entry.faults
        ]
        for objects in self._open().objects.values():
            name = self._sources.name(objects.file)
            faults += [RefusedFile(objects.file, fault, name) for fault in objects.faults]
        position = {name: number for number, name in enumerate(self._order)}
        return sorted([*self.refused, *faults], key=lambda one: position.get(one.name, len(position)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal, so that another process may resume."""
        if self._journal is not None:
            self._journal.close()

    def _open(self) -> Journal:
        if self._journal is None:
            self.check()
        assert self._journal is not None
        return self._journal

    def _done(self, frame: FrameRef) -> bool:
        """Whether results are recorded and in place, and their input file is unchanged."""
        journal, name = self._open(), self._names[frame]
        if name not in journal:
            return False
        entry = journal.get(name)
        done = (
            entry.file == printable(frame.path)
            and entry.frame == frame.index
            and entry.source is not None
            and entry.source.unchanged(frame.path)
            and all(one.exists(self.folder) for one in entry.files.values())
        )
        if not done:
            journal.remove(name)
        return done

    def _most_uncertain(self, share: float) -> frozenset[str]:
        uncertainty = {entry.name: entry.uncertainty for entry in self.entries()}
        names = list(uncertainty)
        return frozenset(names[index] for index in choose(list(uncertainty.values()), share))

    def _remove_leftovers(self) -> None:
        """Remove the partial files of a run that was killed."""
        remove_leftovers(self.folder)
        for name in RESULT_FOLDERS:
            for folder, _, _ in os.walk(self.folder / name):
                remove_leftovers(folder)

    def _require_free(self) -> None:
        """Raise OutputError where results or a journal exist."""
        if (self.folder / FORMER_JOURNAL).exists():
            raise OutputError(
                "cannot resume: this journal was written by an older sonoseg",
                where=self.folder / FORMER_JOURNAL,
                remedy="Use --overwrite, or another --out",
            )
        if (self.folder / JOURNAL).exists() and not (self.folder / MANIFEST).exists():
            raise OutputError(
                "an interrupted run is here",
                where=self.folder,
                remedy="Resume it with --resume, replace it with --overwrite, or choose another --out",
            )
        wanted = [self.folder / name for name in (CSV, JSON, XLSX, COCO, MANIFEST, JOURNAL, self.page.name)]
        wanted += self._sources.paths()
        for name in self._names.values():
            wanted += [self.folder / one.path(name) for one in self._outputs.writers]
        there = [path for path in wanted if path.exists()]
        if there:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise OutputError(
                f"results are here already ({there[0].relative_to(self.folder).as_posix()}{more})",
                where=self.folder,
                remedy="Use --overwrite, or another --out",
            )
