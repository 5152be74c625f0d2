"""The results of single pictures: measured and written, in whatever thread or process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath

from sonoseg.findings.lesions import measure
from sonoseg.imaging.calibration import Scale
from sonoseg.imaging.frames import FrameRef
from sonoseg.inference.segmentation import Segmentation
from sonoseg.outputs.coco import coco_picture
from sonoseg.outputs.entries import Entry, Source
from sonoseg.outputs.names import printable
from sonoseg.outputs.preview import preview
from sonoseg.outputs.sources import Sources
from sonoseg.outputs.writers import NotWritten, Writer, seen_from

# A clip's frames come one after the other: its file is hashed once.
_source = lru_cache(maxsize=64)(Source.of)


@dataclass(frozen=True)
class PictureResults:
    """Where the results of pictures go, and which kinds there are. Pickles.

    folder: of the results. names: what each frame's results are called; another frame is called by its own
        name. sources: writes what belongs to a source of which one frame is wanted.
    writers: the kinds for each picture. coco: whether annotations are gathered.
    """

    folder: Path
    names: Mapping[FrameRef, str]
    sources: Sources
    writers: Sequence[Writer]
    coco: bool

    def write(self, segmentation: Segmentation) -> Entry:
        """Measure a segmentation and write its files. Raises OutputError."""
        frame = segmentation.frame
        path = frame.source
        name = PurePath(frame.name).name
        if path is not None:
            name = self.names.get(FrameRef(path, frame.index), name)
        findings = measure(segmentation)
        findings = replace(findings, name=printable(findings.name))
        files, faults = {}, []
        for writer in self.writers:
            if frame.kind == "dicom" or not writer.dicom:
                try:
                    files[writer.kind] = writer.write(self.folder, name, segmentation, findings)
                except NotWritten as fault:
                    faults.append(str(fault))
        objects = self.sources.of_still(segmentation, findings)
        if objects is not None:
            files |= objects.files
            faults += objects.faults
        seen = "" if path is None else seen_from(self.folder, path)
        return Entry(
            name=name,
            file="" if path is None else printable(path),
            shape=frame.shape,
            scale=Scale(frame.calibration.spacing, frame.calibration.origin, frame.calibration.reason),
            findings=findings,
            uncertainty=segmentation.uncertainty,
            files=files,
            preview=preview(segmentation),
            frame=frame.index,
            kind=frame.kind,
            source=_source_of(path),
            coco=coco_picture(segmentation, findings, seen) if self.coco else None,
            faults=tuple(faults),
        )


def _source_of(path: Path | None) -> Source | None:
    if path is None:
        return None
    try:
        return _source(path)
    except OSError:
        return None
