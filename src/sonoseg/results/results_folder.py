"""A folder of results: what goes where in it, checked before the work and written as it goes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TextIO

from sonoseg._util.files import atomic_path, remove_leftovers
from sonoseg.errors import OutputError
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.uncertainty import refer as choose
from sonoseg.inputs.frame_list import FrameRef
from sonoseg.lesions.measurement import Findings
from sonoseg.results.entries import ImageEntry, RefusedFile, RunInfo, SourceFile, Written
from sonoseg.results.image_results import ImageResults
from sonoseg.results.journal import FORMER_JOURNAL, JOURNAL, Journal
from sonoseg.results.report_page import write_page
from sonoseg.results.result_names import frame_names, printable
from sonoseg.results.results import Results
from sonoseg.results.run_manifest import Notes, write_manifest
from sonoseg.results.source_results import Sources
from sonoseg.results.tables import write_coco, write_csv, write_json
from sonoseg.results.writers import FOLDERS, ObjectWriter, Writer, image_writers

CSV, JSON, COCO, PAGE = "results.csv", "results.json", "coco.json", "report.html"
MANIFEST = "report.json"


@dataclass(frozen=True)
class RequestedOutputs:
    """What files of results are wanted beside the tables and the page.

    writers: the kinds for each image; masks and overlays by default.
    objects: the kinds for each DICOM source.
    coco: whether annotations are gathered in one file.
    """

    writers: Sequence[Writer] = field(default_factory=image_writers)
    objects: Sequence[ObjectWriter] = ()
    coco: bool = False


class ResultsFolder:
    """Results of a batch: a file of each kind for each image, the tables, the page and the journal.

    folder: where to. names: what each file's results are called (see result_names); a frame that comes from
        none of them is called by its own name.
    frames: which frames of those files, in the order of the results; a still of each by default.
    asked: which kinds of file. page: the page's name.

    Call `check` and `begin` before the work, `add` or `refuse` for each image, `finish` at the end, and
    `close`, or use it as a context. To overlap writing with other work, `write` in any thread, or
    `images.write` in any process, and `commit` what it gives, in one.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Mapping[Path, str],
        about: RunInfo,
        *,
        frames: Sequence[FrameRef] | None = None,
        asked: RequestedOutputs | None = None,
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
        self._asked = asked or RequestedOutputs()
        self._journal: Journal | None = None
        self._order = dict.fromkeys(self._names.values())
        self._sources = Sources(self.folder, about, self._files, self._names, self._asked.objects)

    def check(self, *, overwrite: bool = False, resume: bool = False) -> None:
        """Make the folder, make sure that everything can be written to it, and open the journal.

        overwrite: begin anew in place of results that are there. resume: go on where a run was broken off.

        Raises OutputError where the folder cannot be written to, where a result is there already and
        neither is given, and where the run to go on with had another model or other options.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise OutputError(
                f"this folder cannot be written to: {error.strerror or error}",
                where=self.folder,
                remedy="Choose another with --out, or ask for permission to write",
            ) from error
        journal = self.folder / JOURNAL
        resume = resume and journal.exists()
        if not (resume or overwrite):
            self._leave_alone()
        self._journal = Journal(journal, self.about.fingerprint(), resume=resume)
        if overwrite:  # after the journal, whose lock keeps other runs out
            for name in (CSV, JSON, COCO, MANIFEST, FORMER_JOURNAL, self.page.name):
                with suppress(OSError):
                    (self.folder / name).unlink()
        if resume or overwrite:
            self._sweep()

    def begin(self) -> list[FrameRef]:
        """What is left to do: frames whose results are not in the journal, not in place, or of another file.

        Notes in the journal that work on them begins. Raises OutputError.
        """
        journal = self._open()
        todo: list[FrameRef] = []
        done: list[FrameRef] = []
        for frame in self._frames:
            (done if self._done(frame) else todo).append(frame)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        journal.add_session({"started": started, "images": len(todo)})
        self._sources.catch_up(journal, done)
        return todo

    @property
    def images(self) -> ImageResults:
        """What writes single images' results: it can be sent to another process."""
        return ImageResults(self.folder, self._names, self._sources, self._asked.writers, self._asked.coco)

    def write(self, segmentation: Segmentation) -> ImageEntry:
        """Measure a segmentation and write its files, in any thread. Raises OutputError."""
        return self.images.write(segmentation)

    def commit(self, entry: ImageEntry) -> None:
        """Note in the journal that an image's files are in place; after a clip's last, write its objects.

        Raises OutputError.
        """
        self._order.setdefault(entry.name)
        self._open().add(entry)
        self._sources.one_less(entry.file, self._open())

    def add(self, segmentation: Segmentation) -> Findings:
        """Write and commit. Raises OutputError."""
        entry = self.write(segmentation)
        self.commit(entry)
        return entry.findings

    def refuse(self, frame: FrameRef | str | Path, reason: str) -> None:
        """Note a file, or a frame of one, that could not be used."""
        ref = frame if isinstance(frame, FrameRef) else FrameRef(Path(frame))
        name = self._names.get(ref, self._files.get(ref.path, ""))
        self.refused.append(RefusedFile(printable(str(frame)), printable(reason), name))
        if ref in self._names:
            self._sources.one_less(printable(ref.path), self._open())

    def entries(self) -> Iterator[ImageEntry]:
        """What is done, in the order of the names, read from the journal one at a time."""
        objects = self._open().objects
        for entry in self._open().entries(self._order):
            shared = objects.get(entry.file)
            yield entry if shared is None else replace(entry, files=entry.files | shared.files)

    def finish(self, notes: Notes | None = None, *, refer: float | None = None) -> Results:
        """Write the tables, the page and the manifest.

        refer: the share of the images, the most doubtful, that are marked for a person; None marks none.
        Raises OutputError.
        """
        referred = None if refer is None else self._doubtful(refer)
        results = Results(self.about, self.entries, self._all_refused(), referred)
        summaries: list[Written] = []

        def write(path: Path, writer: Callable[[TextIO, Results], None]) -> None:
            with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
                writer(file, results)
            summaries.append(Written(path.name, SourceFile.of(path).sha256, path.stat().st_size))

        write(self.folder / CSV, write_csv)
        write(self.summary, write_json)
        if self._asked.coco:
            write(self.folder / COCO, write_coco)
        write(self.page, write_page)
        sessions, notes = self._open().sessions, notes or Notes()
        write(
            self.folder / MANIFEST,
            lambda file, results: write_manifest(file, results, notes, sessions, list(summaries)),
        )
        return results

    def _all_refused(self) -> list[RefusedFile]:
        """What was refused and what could not be written, in the order of the names."""
        faults = [
            RefusedFile(entry.file, fault, entry.name)
            for entry in self._open().entries(self._order)
            for fault in entry.faults
        ]
        for objects in self._open().objects.values():
            name = self._sources.name(objects.file)
            faults += [RefusedFile(objects.file, fault, name) for fault in objects.faults]
        place = {name: number for number, name in enumerate(self._order)}
        return sorted([*self.refused, *faults], key=lambda one: place.get(one.name, len(place)))

    def __enter__(self) -> ResultsFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal, so that another run may go on."""
        if self._journal is not None:
            self._journal.close()

    def _open(self) -> Journal:
        if self._journal is None:
            self.check()
        assert self._journal is not None
        return self._journal

    def _done(self, frame: FrameRef) -> bool:
        """Whether results are in the journal and in place, and the file is the one they are of."""
        journal, name = self._open(), self._names[frame]
        if name not in journal:
            return False
        entry = journal.get(name)
        whole = entry.file == printable(frame.path) and entry.frame == frame.index
        whole = whole and entry.source is not None and entry.source.still(frame.path)
        whole = whole and all(one.there(self.folder) for one in entry.files.values())
        if not whole:
            journal.remove(name)
        return whole

    def _doubtful(self, share: float) -> frozenset[str]:
        doubts = {entry.name: entry.uncertainty for entry in self.entries()}
        names = list(doubts)
        return frozenset(names[place] for place in choose(list(doubts.values()), share))

    def _sweep(self) -> None:
        """Remove the half-written files of a run that was killed."""
        remove_leftovers(self.folder)
        for name in FOLDERS:
            for folder, _, _ in os.walk(self.folder / name):
                remove_leftovers(folder)

    def _leave_alone(self) -> None:
        """Raise OutputError where something is in the way."""
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
        wanted = [self.folder / name for name in (CSV, JSON, COCO, MANIFEST, JOURNAL, self.page.name)]
        wanted += self._sources.places()
        for name in self._names.values():
            wanted += [self.folder / one.place(name) for one in self._asked.writers]
        there = [path for path in wanted if path.exists()]
        if there:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise OutputError(
                f"results are here already ({there[0].relative_to(self.folder).as_posix()}{more})",
                where=self.folder,
                remedy="Choose another folder with --out, or replace them with --overwrite",
            )
