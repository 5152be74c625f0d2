"""The files that results are written to: one writer a kind, in a list. A new kind is one writer more."""

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
from sonoseg.dicom.writing.identity import Algorithm
from sonoseg.errors import MissingExtra, OutputError, SonosegError, first_line
from sonoseg.image.callipers import draw_callipers
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import Findings
from sonoseg.results.entries import Written
from sonoseg.results.labelme import labelme as polygons
from sonoseg.results.nrrd import ENDING
from sonoseg.results.nrrd import nrrd as label_map
from sonoseg.results.png import attention_png, colour_png, grey_png, mask_png, probability_png
from sonoseg.results.result_names import printable

FOLDERS = ("masks", "overlays", "probability", "attention", "dicom", "labelme", "nrrd")
"""The sub-folders of results. None of them is ever searched for images."""

# Functions of a module, bound by partial: writers are sent to other processes.
Make = Callable[[Segmentation, Findings, Path], bytes]
MakeObject = Callable[[Path, Sequence[Segmentation], Sequence[Findings], Path], bytes]


class NotWritten(Exception):
    """One file could not be made of this image; str() says which and why."""


@dataclass(frozen=True)
class Writer:
    """One kind of file, one an image.

    kind: how results call it. pattern: its path in the results folder, with {name}.
    make: what it holds; it is told where it will lie.
    dicom: whether it is written for DICOM sources only.
    """

    kind: str
    pattern: str
    make: Make
    dicom: bool = False

    def place(self, name: str) -> str:
        """The file's path relative to the results folder."""
        return self.pattern.replace("{name}", name)

    def write(self, folder: Path, name: str, segmentation: Segmentation, findings: Findings) -> Written:
        """Write it, whole or not at all. Raises OutputError, and NotWritten where it cannot be made."""
        place = self.place(name)
        with _faults(self.kind):
            content = self.make(segmentation, findings, folder / place)
        return _write(folder, place, content)


@dataclass(frozen=True)
class ObjectWriter:
    """One kind of file, one for all frames of a DICOM source. kind, pattern: as a Writer's.

    make: what it holds, from the source, its segmentations with their findings, and the results folder.
    """

    kind: str
    pattern: str
    make: MakeObject

    def place(self, name: str) -> str:
        """The file's path relative to the results folder. name: of the source's results."""
        return self.pattern.replace("{name}", name)

    def write(
        self,
        folder: Path,
        name: str,
        source: Path,
        segmentations: Sequence[Segmentation],
        findings: Sequence[Findings],
    ) -> Written:
        """Write it, whole or not at all. Raises OutputError, and NotWritten where it cannot be made."""
        place = self.place(name)
        with _faults(self.kind):
            content = self.make(source, segmentations, findings, folder / place)
        return _write(folder, place, content)


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
    """The overlay and the mask, and what else is asked for.

    gates: the attention maps to write. capture: a DICOM Secondary Capture; anonymise: without patient data.
    algorithm: who drew the masks, for DICOM.
    """
    writers = [Writer("overlay", "overlays/{name}.png", _overlay), Writer("mask", "masks/{name}.png", _mask)]
    if probability:
        writers.append(Writer("probability", "probability/{name}.png", _probability))
    for gate in gates:
        place = f"attention/{{name}}_gate{gate.removeprefix('attention_')}.png"
        writers.append(Writer(gate, place, partial(_attention, gate)))
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
    """The DICOM objects that belong to a whole source: segmentation, then the report that refers to it.

    algorithm: who drew the masks.
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
    return colour_png(draw_callipers(found.overlay(), findings, mask=found.mask))


def _mask(found: Segmentation, findings: Findings, _: Path) -> bytes:
    return mask_png(found.mask)


def _probability(found: Segmentation, findings: Findings, _: Path) -> bytes:
    return probability_png(found.probability)


def _image(found: Segmentation, findings: Findings, _: Path) -> bytes:
    return grey_png(found.frame.pixels)


def _attention(gate: str, found: Segmentation, findings: Findings, _: Path) -> bytes:
    return attention_png(found, gate)


def _nrrd(found: Segmentation, findings: Findings, _: Path) -> bytes:
    return label_map(found, findings)


def _labelme(found: Segmentation, findings: Findings, place: Path) -> bytes:
    """LabelMe opens raster images: of a DICOM frame one is laid beside it."""
    source = found.frame.source
    if source is None or found.frame.kind == "dicom":
        image = f"{place.stem}.png"
    else:
        image = seen_from(place.parent, source)
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
    place: Path,
) -> bytes:
    from sonoseg.dicom.writing.attributes import encode
    from sonoseg.dicom.writing.sr import make_sr

    beside = place.with_name(place.name.removesuffix("_sr.dcm") + "_seg.dcm") if seg else None
    there = beside if beside is not None and beside.exists() else None
    return encode(make_sr(source, found, findings, seg=there, anonymise=anonymise, algorithm=algorithm))


def seen_from(folder: Path, path: Path) -> str:
    """A path as seen from a folder, with /."""
    try:
        seen = Path(os.path.relpath(path, folder))
    except ValueError:  # Windows: on another drive
        seen = path.absolute()
    return printable(seen.as_posix())


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _write(folder: Path, place: str, content: bytes) -> Written:
    atomic_write_bytes(folder / place, content)
    return Written(place, sha256(content).hexdigest(), len(content))


@contextmanager
def _faults(kind: str) -> Iterator[None]:
    """Turn what a writer raises into NotWritten: one odd file must not end a batch."""
    try:
        yield
    except (OutputError, MissingExtra):
        raise
    except SonosegError as error:
        raise NotWritten(f"no {kind} was written: {error.found}") from error
    except Exception as error:  # highdicom and pydicom meet odd attributes with any exception
        raise NotWritten(f"no {kind} was written: {first_line(error)}") from error
