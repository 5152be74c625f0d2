"""The output files of images and of whole sources: measured and written, in any thread or process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath

from sonoseg._util.text import printable
from sonoseg.dicom.reading.acquisition import read_acquisition
from sonoseg.errors import FullDiskError, OutputError
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inputs.frame_list import FrameRef
from sonoseg.lesions.measurement import Findings, measure
from sonoseg.results.coco import coco_image
from sonoseg.results.entries import ImageEntry, OutputFile, RunInfo, SourceFile, SourceObjects
from sonoseg.results.journal import Journal
from sonoseg.results.lazy_segmentations import LazySequence, read_segmentation
from sonoseg.results.preview import make_preview
from sonoseg.results.writers import NotWritten, ObjectWriter, Writer, relative_path

# A clip's frames come one after the other: its file is hashed, and its header read, once.
_source_file = lru_cache(maxsize=64)(SourceFile.of)
_acquisition = lru_cache(maxsize=64)(read_acquisition)


class SourceFiles:
    """Writes the objects of whole sources, such as a clip's DICOM SEG, after the source's last frame.

    folder: of the results. names: of each file's results. frames: those requested, with the names of their
    results. writers: the kinds of object for each DICOM source.
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
        self._remaining = Counter({path: len(own) for path, own in self._frames.items()})
        self._by_text = {printable(path): path for path in names}

    def name(self, file: str) -> str:
        """Return the name of a file's results; "" for an unknown file. file: as in its entry."""
        return self._names.get(self._by_text[file], "") if file in self._by_text else ""

    def paths(self) -> list[Path]:
        """List every object that may be written."""
        return [self._folder / one.path(name) for name in self._names.values() for one in self._writers]

    def frame_finished(self, file: str, journal: Journal) -> None:
        """Note that a frame is done or refused; after a clip's last one, write its objects.

        Raises OutputError, also where an object cannot be written; a resumed run tries again.
        """
        path = self._by_text.get(file)
        if path is not None:
            self._remaining[path] -= 1
            if self._remaining[path] == 0:
                self._write(path, journal)

    def resume(self, journal: Journal, done: Sequence[FrameRef]) -> Iterator[tuple[Path, OutputError]]:
        """Subtract the frames that are done, and write objects that are missing although all frames are.

        They are missing where a run was killed between a clip's last frame and its objects.
        Yields each source whose objects cannot be written, with the error.
        """
        for frame in done:
            self._remaining[frame.path] -= 1
        objects = journal.objects
        for path in self._frames:
            recorded = objects.get(printable(path))
            if recorded is None or not all(one.exists(self._folder) for one in recorded.files.values()):
                try:
                    self._write(path, journal)
                except FullDiskError:
                    raise
                except OutputError as error:
                    yield path, error

    def write_still(self, segmentation: Segmentation, findings: Findings) -> SourceObjects | None:
        """Write the objects of a source of which one frame is requested; None for others.

        Raises OutputError.
        """
        frame = segmentation.frame
        if frame.kind != "dicom" or frame.source is None or len(self._frames.get(frame.source, ())) != 1:
            return None
        return self._make(frame.source, [segmentation], [findings])

    def _write(self, path: Path, journal: Journal) -> None:
        """Write the objects of a clip whose frames are all done."""
        if not self._writers or len(self._frames[path]) < 2 or self._remaining[path] > 0:
            return
        names = [name for name in self._frames[path] if name in journal]
        if names and journal.get(names[0]).kind == "dicom":
            segmentations = LazySequence(
                lambda name: read_segmentation(journal.get(name), self._folder, self._about), names
            )
            findings = LazySequence(lambda name: journal.get(name).findings, names)
            journal.add_objects(self._make(path, segmentations, findings))

    def _make(self, path: Path, found: Sequence[Segmentation], findings: Sequence[Findings]) -> SourceObjects:
        files: dict[str, OutputFile] = {}
        faults = []
        for writer in self._writers:
            try:
                files[writer.kind] = writer.write(self._folder, self._names[path], path, found, findings)
            except NotWritten as fault:
                faults.append(str(fault))
        return SourceObjects(printable(path), files, tuple(faults))


@dataclass(frozen=True)
class ImageFiles:
    """Writes the output files of single images. Can be pickled.

    folder: of the results. names: of each frame's results; another frame goes by its own name.
    sources: writes the objects of a source of which one frame is requested.
    writers: the kinds of file for each image. coco: whether annotations are collected.
    anonymise: whether the entries are without patient and examination.
    """

    folder: Path
    names: Mapping[FrameRef, str]
    sources: SourceFiles
    writers: Sequence[Writer]
    coco: bool
    anonymise: bool = False

    def try_write(self, segmentation: Segmentation) -> ImageEntry | OutputError:
        """Call `write`, and return the error where a file cannot be written: the other images still can.

        Raises FullDiskError.
        """
        try:
            return self.write(segmentation)
        except FullDiskError:
            raise
        except OutputError as error:
            return error

    def write(self, segmentation: Segmentation) -> ImageEntry:
        """Measure a segmentation and write its files. Raises OutputError."""
        frame = segmentation.frame
        path = frame.source
        name = PurePath(frame.name).name
        if path is not None:
            name = self.names.get(FrameRef(path, frame.index), name)
        findings = measure(segmentation)
        findings = replace(findings, name=printable(findings.name))
        files: dict[str, OutputFile] = {}
        faults: list[str] = []
        for writer in self.writers:
            if frame.kind == "dicom" or not writer.dicom:
                try:
                    files[writer.kind] = writer.write(self.folder, name, segmentation, findings)
                except NotWritten as fault:
                    faults.append(str(fault))
        objects = self.sources.write_still(segmentation, findings)
        if objects is not None:
            files |= objects.files
            faults += objects.faults
        named = path if frame.kind == "dicom" and not self.anonymise else None
        image_path = "" if path is None else relative_path(path, self.folder)
        return ImageEntry(
            name=name,
            file="" if path is None else printable(path),
            shape=frame.shape,
            local_spacing=frame.calibration.whole,
            findings=findings,
            uncertainty=segmentation.uncertainty,
            files=files,
            preview=make_preview(segmentation),
            frame=frame.index,
            kind=frame.kind,
            source=_hashed(path),
            coco=coco_image(segmentation, findings, image_path) if self.coco else None,
            acquisition=None if named is None else _acquisition(named),
            faults=tuple(faults),
        )


def _hashed(path: Path | None) -> SourceFile | None:
    if path is None:
        return None
    try:
        return _source_file(path)
    except OSError:
        return None
