"""A folder of results: what goes where in it, checked before the work and written as it goes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePath
from typing import TextIO

from sonoseg.errors import OutputError
from sonoseg.files import atomic_path
from sonoseg.findings.lesions import Findings, measure
from sonoseg.imaging.calibration import Scale
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.uncertainty import refer as choose
from sonoseg.outputs.entries import About, Entry, Refused, Source, Written
from sonoseg.outputs.journal import Journal
from sonoseg.outputs.manifest import Notes, write_manifest
from sonoseg.outputs.preview import preview
from sonoseg.outputs.report_page import write_page
from sonoseg.outputs.results import Results
from sonoseg.outputs.tables import write_csv, write_json
from sonoseg.outputs.writers import Writer, picture_writers

CSV, JSON, MANIFEST, JOURNAL, PAGE = (
    "results.csv",
    "results.json",
    "report.json",
    "journal.jsonl",
    "report.html",
)

SUBFOLDERS = ("masks", "overlays", "probability", "attention")


class ResultsFolder:
    """Results of a batch: a file of each kind for each picture, the tables, the page and the journal.

    folder: where to. names: what each file's results are called (see result_names); a frame that comes from
        none of them is called by its own name.
    writers: the kinds of file for each picture; masks and overlays by default. page: the page's name.

    Call `check` before the work, `add` or `refuse` for each picture, `finish` at the end. To overlap writing
    with other work, `write` in any thread and `commit` what it gives, in one.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Mapping[Path, str],
        about: About,
        *,
        writers: Sequence[Writer] | None = None,
        page: str = PAGE,
    ) -> None:
        self.folder = Path(folder)
        self.about = about
        self.refused: list[Refused] = []
        self.page = self.folder / page
        self.summary = self.folder / JSON
        self._names = dict(names)
        self._writers = list(picture_writers() if writers is None else writers)
        self._journal: Journal | None = None
        self._order = dict.fromkeys(self._names.values())
        # A clip's frames come one after the other: its file is hashed once.
        self._source = lru_cache(maxsize=64)(Source.of)

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
        journal, fingerprint = self.folder / JOURNAL, self.about.fingerprint()
        if resume and journal.exists():
            self._journal = Journal.resume(journal, fingerprint)
            return
        if overwrite:
            for name in (CSV, JSON, MANIFEST, self.page.name):  # they would tell of what is no more
                with suppress(OSError):
                    (self.folder / name).unlink()
        else:
            self._leave_alone()
        self._journal = Journal.start(journal, fingerprint)

    def begin(self, count: int) -> None:
        """Note in the journal that work on so many pictures begins. Raises OutputError."""
        self._open().session({"started": datetime.now(UTC).isoformat(timespec="seconds"), "pictures": count})

    def done(self, file: Path) -> bool:
        """Whether a file's results are in the journal and in place, and the file is the one they are of."""
        journal, name = self._open(), self._names[file]
        if name not in journal:
            return False
        entry = journal.get(name)
        whole = entry.file == str(file) and entry.source is not None and entry.source.still(file)
        whole = whole and all(_there(self.folder / one.path, one.bytes) for one in entry.files.values())
        if not whole:
            journal.forget(name)
        return whole

    def write(self, segmentation: Segmentation) -> Entry:
        """Measure a segmentation and write its pictures, in any thread. Raises OutputError."""
        frame = segmentation.frame
        name = self._names[frame.source] if frame.source in self._names else PurePath(frame.name).name
        findings = measure(segmentation)
        files = {one.kind: one.write(self.folder, name, segmentation, findings) for one in self._writers}
        return Entry(
            name=name,
            file=str(frame.source or ""),
            shape=frame.shape,
            scale=Scale(frame.calibration.spacing, frame.calibration.origin, frame.calibration.reason),
            findings=findings,
            uncertainty=segmentation.uncertainty,
            files=files,
            preview=preview(segmentation),
            frame=frame.index,
            source=self._source_of(frame.source),
        )

    def commit(self, entry: Entry) -> None:
        """Note in the journal that a picture's files are in place. Raises OutputError."""
        self._order.setdefault(entry.name)
        self._open().add(entry)

    def add(self, segmentation: Segmentation) -> Findings:
        """Write and commit. Raises OutputError."""
        entry = self.write(segmentation)
        self.commit(entry)
        return entry.findings

    def refuse(self, file: str | Path, reason: str) -> None:
        """Note a file that could not be used."""
        self.refused.append(Refused(str(file), reason, self._names.get(Path(file), "")))

    def entries(self) -> Iterator[Entry]:
        """What is done, in the order of the names, read from the journal one at a time."""
        return self._open().entries(self._order)

    def finish(self, notes: Notes | None = None, *, refer: float | None = None) -> Results:
        """Write the tables, the page and the manifest.

        refer: the share of the pictures, the most doubtful, that are marked for a person; None marks none.
        Raises OutputError.
        """
        place = {name: number for number, name in enumerate(self._order)}
        refused = sorted(self.refused, key=lambda one: place.get(one.name, len(place)))
        referred = None if refer is None else self._doubtful(refer)
        results = Results(self.about, self.entries, refused, referred)
        summaries: list[Written] = []

        def write(path: Path, writer: Callable[[TextIO, Results], None]) -> None:
            with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
                writer(file, results)
            summaries.append(Written(path.name, Source.of(path).sha256, path.stat().st_size))

        write(self.folder / CSV, write_csv)
        write(self.summary, write_json)
        write(self.page, write_page)
        sessions, notes = self._open().sessions, notes or Notes()
        write(
            self.folder / MANIFEST,
            lambda file, results: write_manifest(file, results, notes, sessions, list(summaries)),
        )
        return results

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def _open(self) -> Journal:
        if self._journal is None:
            self.check()
        assert self._journal is not None
        return self._journal

    def _source_of(self, path: Path | None) -> Source | None:
        if path is None:
            return None
        try:
            return self._source(path)
        except OSError:
            return None

    def _doubtful(self, share: float) -> frozenset[str]:
        doubts = {entry.name: entry.uncertainty for entry in self.entries()}
        names = list(doubts)
        return frozenset(names[place] for place in choose(list(doubts.values()), share))

    def _leave_alone(self) -> None:
        """Raise OutputError where something is in the way."""
        if (self.folder / JOURNAL).exists() and not (self.folder / MANIFEST).exists():
            raise OutputError(
                "a run was broken off here",
                where=self.folder,
                remedy="Go on with --resume, begin anew with --overwrite, or choose another --out",
            )
        wanted = [self.folder / name for name in (CSV, JSON, MANIFEST, JOURNAL, self.page.name)]
        for name in self._names.values():
            wanted += [self.folder / one.place(name) for one in self._writers]
        there = [path for path in wanted if path.exists()]
        if there:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise OutputError(
                f"results are here already ({there[0].relative_to(self.folder).as_posix()}{more})",
                where=self.folder,
                remedy="Choose another folder with --out, or replace them with --overwrite",
            )


def _there(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False
