"""The kinds of output file: a writer each. A new kind is one more writer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from sonoseg._util.files import atomic_write_bytes
from sonoseg._util.text import first_line, printable
from sonoseg.dicom.writing.identity import Algorithm
from sonoseg.errors import MissingExtra, OutputError, SonosegError
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.callipers import draw_callipers
from sonoseg.lesions.measurement import Findings
from sonoseg.results.entries import OutputFile
from sonoseg.results.labelme import labelme as polygons
from sonoseg.results.nrrd import ENDING
from sonoseg.results.nrrd import nrrd as label_map
from sonoseg.results.png import attention_png, encode_png, mask_png, probability_png

# Functions of a module, bound by partial: writers are sent to other processes.
Make = Callable[[Segmentation, Findings, Path], bytes]
MakeObject = Callable[[Path, Sequence[Segmentation], Sequence[Findings], Path], bytes]


class NotWritten(Exception):
    """A file could not be made for this image; the text says which, and the reason."""


@dataclass(frozen=True)
class _KindOfFile:
    """A kind of output file.

    kind: its name in results. pattern: its path in the results folder, with {name}.
    """

    kind: str
    pattern: str

    def path(self, name: str) -> str:
        """Return the file's path relative to the results folder. name: of the results."""
        return self.pattern.replace("{name}", name)

    def _save(self, folder: Path, name: str, make: Callable[[Path], bytes]) -> OutputFile:
        path = self.path(name)
        with _as_not_written(self.kind):
            content = make(folder / path)
        atomic_write_bytes(folder / path, content)
        return OutputFile(path, sha256(content).hexdigest(), len(content))


@dataclass(frozen=True)
class Writer(_KindOfFile):
    """A kind of file for each image.

    make: gives its content from the segmentation, the findings and the path that it will be written to.
    dicom: whether it is written for DICOM sources only.
    """

    make: Make
    dicom: bool = False

    def write(self, folder: Path, name: str, segmentation: Segmentation, findings: Findings) -> OutputFile:
        """Write the file atomically. Raises OutputError, and NotWritten where it cannot be made."""
        return self._save(folder, name, lambda path: self.make(segmentation, findings, path))


@dataclass(frozen=True)
class ObjectWriter(_KindOfFile):
    """A kind of file for all frames of a DICOM source together.

    make: gives its content from the source, its segmentations, their findings and the path that it will be
    written to.
    """

    make: MakeObject

    def write(
        self,
        folder: Path,
        name: str,
        source: Path,
        segmentations: Sequence[Segmentation],
        findings: Sequence[Findings],
    ) -> OutputFile:
        """Write the file atomically. Raises OutputError, and NotWritten where it cannot be made."""
        return self._save(folder, name, lambda path: self.make(source, segmentations, findings, path))


def image_writers(
    *,
    probability: bool = False,
    gates: Sequence[str] = (),
    capture: bool = False,
    anonymise: bool = False,
    labelme: bool = False,
    nrrd: bool = False,
    algorithm: Algorithm = "AUTOMATIC",
) -> list[Writer]:
    """List writers for the overlay, the mask and the requested kinds of file.

    gates: the attention maps to write. capture: a DICOM Secondary Capture; anonymise: without patient data.
    algorithm: the origin of the masks, for DICOM.
    """
    writers = [Writer("overlay", "overlays/{name}.png", _overlay), Writer("mask", "masks/{name}.png", _mask)]
    if probability:
        writers.append(Writer("probability", "probability/{name}.png", _probability))
    for gate in gates:
        pattern = f"attention/{{name}}_gate{gate.removeprefix('attention_')}.png"
        writers.append(Writer(gate, pattern, partial(_attention, gate)))
    if labelme:
        writers.append(Writer("labelme", "labelme/{name}.json", _labelme))
        writers.append(Writer("labelme_image", "labelme/{name}.png", _image, dicom=True))
    if nrrd:
        writers.append(Writer("nrrd", f"nrrd/{{name}}{ENDING}", _nrrd))
    if capture:
        writers.append(
            Writer("capture", "dicom/{name}_capture.dcm", partial(_capture, anonymise, algorithm), dicom=True)
        )
    return writers


def object_writers(
    *,
    seg: bool = False,
    sr: bool = False,
    fractional: bool = False,
    anonymise: bool = False,
    algorithm: Algorithm = "AUTOMATIC",
) -> list[ObjectWriter]:
    """List writers for the DICOM objects of a whole source: the SEG, then the SR that refers to it.

    algorithm: the origin of the masks.
    """
    writers = []
    if seg:
        make = partial(_seg, fractional, anonymise, algorithm)
        writers.append(ObjectWriter("seg", "dicom/{name}_seg.dcm", make))
    if sr:
        make = partial(_sr, seg, anonymise, algorithm)
        writers.append(ObjectWriter("sr", "dicom/{name}_sr.dcm", make))
    return writers


def _overlay(found: Segmentation, findings: Findings, _: Path) -> bytes:
    return encode_png(draw_callipers(found.overlay(), findings, mask=found.mask))


def _mask(found: Segmentation, findings: Findings, _: Path) -> bytes:
    return mask_png(found.mask)


def _probability(found: Segmentation, findings: Findings, _: Path) -> bytes:
    return probability_png(found.probability)


def _image(found: Segmentation, findings: Findings, _: Path) -> bytes:
    return encode_png(found.frame.pixels)


def _attention(gate: str, found: Segmentation, findings: Findings, _: Path) -> bytes:
    return attention_png(found, gate)


def _nrrd(found: Segmentation, findings: Findings, _: Path) -> bytes:
    return label_map(found, findings)


def _labelme(found: Segmentation, findings: Findings, path: Path) -> bytes:
    """LabelMe opens raster images only: for a DICOM frame, a PNG is written beside the file."""
    source = found.frame.source
    if source is None or found.frame.kind == "dicom":
        image = f"{path.stem}.png"
    else:
        image = relative_path(source, path.parent)
    return _json(polygons(found, findings, image))


def _capture(
    anonymise: bool, algorithm: Algorithm, found: Segmentation, findings: Findings, _: Path
) -> bytes:
    from sonoseg.dicom.writing.attributes import encode
    from sonoseg.dicom.writing.capture import make_capture

    assert found.frame.source is not None
    made = make_capture(found.frame.source, found, findings, anonymise=anonymise, algorithm=algorithm)
    return encode(made)


def _seg(
    fractional: bool,
    anonymise: bool,
    algorithm: Algorithm,
    source: Path,
    found: Sequence[Segmentation],
    findings: Sequence[Findings],
    _: Path,
) -> bytes:
    from sonoseg.dicom.writing.attributes import encode
    from sonoseg.dicom.writing.seg import make_seg

    made = make_seg(source, found, findings, fractional=fractional, anonymise=anonymise, algorithm=algorithm)
    return encode(made)


def _sr(
    seg: bool,
    anonymise: bool,
    algorithm: Algorithm,
    source: Path,
    found: Sequence[Segmentation],
    findings: Sequence[Findings],
    path: Path,
) -> bytes:
    from sonoseg.dicom.writing.attributes import encode
    from sonoseg.dicom.writing.sr import make_sr

    beside = path.with_name(path.name.removesuffix("_sr.dcm") + "_seg.dcm") if seg else None
    there = beside if beside is not None and beside.exists() else None
    return encode(make_sr(source, found, findings, seg=there, anonymise=anonymise, algorithm=algorithm))


def relative_path(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with /."""
    try:
        relative = Path(os.path.relpath(path, folder))
    except ValueError:  # Windows: on another drive
        relative = path.absolute()
    return printable(relative.as_posix())


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


@contextmanager
def _as_not_written(kind: str) -> Iterator[None]:
    """Turn what a writer raises into NotWritten: one faulty file must not end a batch."""
    try:
        yield
    except (OutputError, MissingExtra):
        raise
    except SonosegError as error:
        raise NotWritten(f"{kind} was not written: {error.found}") from error
    except Exception as error:  # highdicom and pydicom raise anything on odd attributes
        raise NotWritten(f"{kind} was not written: {first_line(error)}") from error
