"""The results of single images: measured and written, in whatever thread or process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePath

from sonoseg.image.calibration import Scale
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inputs.frame_list import FrameRef
from sonoseg.lesions.measurement import measure
from sonoseg.results.coco import coco_image
from sonoseg.results.entries import ImageEntry, SourceFile
from sonoseg.results.preview import preview
from sonoseg.results.result_names import printable
from sonoseg.results.source_results import Sources
from sonoseg.results.writers import NotWritten, Writer, seen_from

# A clip's frames come one after the other: its file is hashed once.
_source = lru_cache(maxsize=64)(SourceFile.of)


@dataclass(frozen=True)
class ImageResults:
    """Where the results of images go, and which kinds there are. Pickles.

    folder: of the results. names: what each frame's results are called; another frame is called by its own
        name. sources: writes what belongs to a source of which one frame is wanted.
    writers: the kinds for each image. coco: whether annotations are gathered.
    """

    folder: Path
    names: Mapping[FrameRef, str]
    sources: Sources
    writers: Sequence[Writer]
    coco: bool

    def write(self, segmentation: Segmentation) -> ImageEntry:
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
        return ImageEntry(
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
            coco=coco_image(segmentation, findings, seen) if self.coco else None,
            faults=tuple(faults),
        )


def _source_of(path: Path | None) -> SourceFile | None:
    if path is None:
        return None
    try:
        return _source(path)
    except OSError:
        return None
