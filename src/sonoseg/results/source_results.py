"""What belongs to a whole source, such as a clip's DICOM segmentation: written after its last frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from sonoseg.inference.segmentation import Segmentation
from sonoseg.inputs.frame_list import FrameRef
from sonoseg.lesions.measurement import Findings
from sonoseg.results.entries import Objects, RunInfo
from sonoseg.results.journal import Journal
from sonoseg.results.lazy_segmentations import KeptFindings, KeptSegmentations
from sonoseg.results.result_names import printable
from sonoseg.results.writers import NotWritten, ObjectWriter


class Sources:
    """The files that results are of, and how many of their frames are still to come.

    folder: of the results. names: of each file's results. frames: those that are wanted, with their results'
    names. writers: the kinds of object for each DICOM source.
    """

    def __init__(
        self,
        folder: Path,
        about: RunInfo,
        names: Mapping[Path, str],
        frames: Mapping[FrameRef, str],
        writers: Sequence[ObjectWriter],
    ) -> None:
        self._folder = folder
        self._about = about
        self._names = names
        self._frames: dict[Path, list[str]] = {}
        for frame, name in frames.items():
            self._frames.setdefault(frame.path, []).append(name)
        self._writers = list(writers)
        self._left = Counter({path: len(own) for path, own in self._frames.items()})
        self._by_text = {printable(path): path for path in names}

    def name(self, file: str) -> str:
        """What the results of a file are called; "" for one that is not ours. file: as an entry has it."""
        return self._names.get(self._by_text[file], "") if file in self._by_text else ""

    def places(self) -> list[Path]:
        """Every object that may be written."""
        return [self._folder / one.place(name) for name in self._names.values() for one in self._writers]

    def one_less(self, file: str, journal: Journal) -> None:
        """A frame is done or refused; after a clip's last one its objects are written. Raises OutputError."""
        path = self._by_text.get(file)
        if path is not None:
            self._left[path] -= 1
            if self._left[path] == 0:
                self._write(path, journal)

    def catch_up(self, journal: Journal, done: Sequence[FrameRef]) -> None:
        """Take what is done already off the count, and write the objects that are missing all the same.

        So they are where a run was killed between a clip's last frame and its objects. Raises OutputError.
        """
        for frame in done:
            self._left[frame.path] -= 1
        objects = journal.objects
        for path in self._frames:
            recorded = objects.get(printable(path))
            if recorded is None or not all(one.there(self._folder) for one in recorded.files.values()):
                self._write(path, journal)

    def of_still(self, segmentation: Segmentation, findings: Findings) -> Objects | None:
        """Write the objects of a source of which one frame is wanted; None for others. Raises OutputError."""
        frame = segmentation.frame
        if frame.kind != "dicom" or frame.source is None or len(self._frames.get(frame.source, ())) != 1:
            return None
        return self._make(frame.source, [segmentation], [findings])

    def _write(self, path: Path, journal: Journal) -> None:
        """Write what belongs to a clip whose frames are all done."""
        if not self._writers or len(self._frames[path]) < 2 or self._left[path] > 0:
            return
        names = [name for name in self._frames[path] if name in journal]
        if names and journal.get(names[0]).kind == "dicom":
            found = KeptSegmentations(journal.get, names, self._folder, self._about)
            journal.add_objects(self._make(path, found, KeptFindings(journal.get, names)))

    def _make(self, path: Path, found: Sequence[Segmentation], findings: Sequence[Findings]) -> Objects:
        files, faults = {}, []
        for writer in self._writers:
            try:
                files[writer.kind] = writer.write(self._folder, self._names[path], path, found, findings)
            except NotWritten as fault:
                faults.append(str(fault))
        return Objects(printable(path), files, tuple(faults))
