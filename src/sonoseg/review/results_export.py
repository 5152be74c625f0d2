"""Export of reviewed images: the files that `sonoseg predict` writes, of the current masks."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg._util.csv_text import CsvWriter
from sonoseg._util.files import atomic_path
from sonoseg._util.packages import require
from sonoseg._util.text import printable
from sonoseg.dicom.reading.acquisition import read_acquisition
from sonoseg.dicom.writing.identity import Algorithm
from sonoseg.errors import OutputError, UsageError
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import Findings, measure, measure_mask
from sonoseg.model.card import Postprocessing
from sonoseg.results import codebook
from sonoseg.results.coco import coco_image
from sonoseg.results.entries import ImageEntry, OutputFile, RefusedFile, Results, RunInfo
from sonoseg.results.lazy_segmentations import PackedSegmentation, unpacked
from sonoseg.results.png import encode_png
from sonoseg.results.preview import make_preview
from sonoseg.results.report_page import write_report
from sonoseg.results.tables import acquisition_cells, spacing_cells, write_coco, write_csv, write_json
from sonoseg.results.writers import NotWritten, Writer, image_writers, object_writers
from sonoseg.review.reading import Review

WHAT = ("masks", "report", "coco", "labelme", "nrrd", "seg", "sr", "capture")
"""The kinds of file that can be exported."""

REVIEWS = "reviews.csv"

WORDS = ("shape", "orientation", "margin", "echo_pattern", "posterior", "assessment", "comment", "seconds")

COLUMNS = codebook.names(codebook.REVIEWS)

_ALGORITHMS: Mapping[str, Algorithm] = {"model": "AUTOMATIC", "edited": "SEMIAUTOMATIC", "manual": "MANUAL"}
_UNKNOWN = 0.5  # the threshold, where nobody says


@dataclass(frozen=True, eq=False)
class Reviewed:
    """One image with its reading.

    frame: the image. mask: bool (H, W), the current one. probability: float32 (H, W) of the model, or None.
    source: of the mask: "model", "edited" or "manual". reader: who changed it last.
    signed_at: None unless signed. file: the file name; by default the name of the frame.
    identity: of the item. revision: of the mask. threshold: of the model's mask. model: name and hash.
    settings_hash: of the model's mask (see Segmentation).
    """

    frame: Frame
    mask: NDArray[np.bool_]
    probability: NDArray[np.float32] | None
    source: Literal["model", "edited", "manual"]
    reader: str | None
    signed_at: str | None
    review: Review | None
    file: str = ""
    identity: str = ""
    revision: int | None = None
    threshold: float | None = None
    model: str = ""
    settings_hash: str = ""


class _OfSource(NamedTuple):
    """One frame of a DICOM source, kept until its objects are written."""

    name: str
    packed: PackedSegmentation
    findings: Findings


def export_results(
    reviewed: Iterable[Reviewed],
    what: set[str],
    folder: Path,
    *,
    model_name: str,
    anonymise: bool,
) -> None:
    """Write the requested files of reviewed images into a folder, and reviews.csv with the reviews.

    reviewed: consumed one at a time, so memory does not grow with an iterator's length.
    what: of WHAT. "report" are overlays, report.html, results.csv and results.json; "coco" and "labelme"
        bring the images too; "seg", "sr" and "capture" are written for DICOM sources alone.
    folder: new or empty. model_name: name and hash, as a Segmentation has them.
    anonymise: tables and DICOM objects without patient and study attributes, and ids in place of file names,
        which may contain a patient's name.

    The SEG algorithm type is AUTOMATIC for the model's mask, SEMIAUTOMATIC for an edited one, MANUAL for one
    that a reader drew. A clip whose frames differ gets one object for each type.
    Probabilities and uncertainty are given for the model's own masks only. What
    cannot be written of an image is listed as refused in the tables, and the rest is written.

    Raises UsageError for an unknown or empty `what`, OutputError where the folder cannot be written
    to or holds something, MissingExtra where DICOM objects are asked for without the extra `dicom`.
    """
    _check(what, folder)
    names = _Names()
    refused: list[RefusedFile] = []
    entries: list[ImageEntry] = []
    rows: list[dict[str, Any]] = []
    sources: dict[tuple[Path, Algorithm], list[_OfSource]] = {}
    threshold = None
    settings: set[str] = set()
    for one in reviewed:
        threshold = threshold or one.threshold
        # The name of the file may contain that of the patient.
        name = names.of(one.identity if anonymise else one.frame.name)
        file = "" if anonymise else printable(one.file or one.frame.name)
        segmentation, findings = _measured(one, name, model_name)
        entry = _write_one(folder, one, file, segmentation, findings, what, anonymise)
        if {"seg", "sr"} & what and one.frame.kind == "dicom" and one.frame.source is not None:
            place = one.frame.source, _ALGORITHMS[one.source]
            sources.setdefault(place, []).append(
                _OfSource(name, PackedSegmentation.of(segmentation), findings)
            )
        refused += [RefusedFile(file or name, fault, name) for fault in entry.faults]
        entries.append(entry)
        rows.append(_row(one, entry, model_name))
        settings.add(one.settings_hash)
    if not entries:
        raise UsageError("no image to export", remedy="Choose at least one with a mask")
    refused += _write_objects(folder, sources, entries, what, anonymise)
    with atomic_path(folder / REVIEWS) as path, path.open("w", encoding="utf-8", newline="") as table:
        CsvWriter(table, COLUMNS).writerows(rows)
    about = _about(model_name, threshold, what, anonymise)
    if len(settings) == 1:  # else reviews.csv has that of each image
        about = replace(about, settings_hash=settings.pop())
    _write_tables(folder, Results(about, lambda: entries, refused), what)


def _check(what: set[str], folder: Path) -> None:
    unknown = sorted(what - set(WHAT))
    if unknown or not what:
        raise UsageError(
            f"unknown kind of file '{unknown[0]}'" if unknown else "no kind of file was chosen",
            remedy=f"Choose of: {', '.join(WHAT)}",
        )
    if {"seg", "sr", "capture"} & what:
        require("dicom", "pydicom", "highdicom")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = any(folder.iterdir())
    except OSError as error:
        raise OutputError(
            f"this folder cannot be written to: {error.strerror or error}",
            where=folder,
            remedy="Choose another one",
        ) from error
    if full:
        raise OutputError("this folder is not empty", where=folder, remedy="Choose a new one")


class _Names:
    """Unique names of results, also on file systems that ignore case or normalise Unicode."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, wanted: str) -> str:
        """An unused name, as close to `wanted` as possible."""
        plain = printable(PurePath(wanted.replace("\\", "/")).name).lstrip(".") or "image"
        name, number = plain, 1
        while (key := unicodedata.normalize("NFC", name).casefold()) in self._taken:
            number += 1
            name = f"{plain}-{number}"
        self._taken.add(key)
        return name


def _measured(one: Reviewed, name: str, model_name: str) -> tuple[Segmentation, Findings]:
    """The mask as a Segmentation, and its measured lesions."""
    own = one.source == "model" and one.probability is not None
    segmentation = Segmentation(
        frame=replace(one.frame, name=name),
        # A mask that no network made has no uncertainty band.
        probability=one.probability if own and one.probability is not None else one.mask.astype(np.float32),
        raw_mask=one.mask,
        mask=one.mask,
        threshold=one.threshold or _UNKNOWN,
        attention=None,
        model=one.model or model_name,
        runtime="",
        settings_hash=one.settings_hash if own else "",
    )
    return segmentation, measure(segmentation) if own else measure_mask(segmentation.frame, one.mask)


def _write_one(
    folder: Path,
    one: Reviewed,
    file: str,
    segmentation: Segmentation,
    findings: Findings,
    what: set[str],
    anonymise: bool,
) -> ImageEntry:
    """Write the files of one image. file: its file name in the tables."""
    frame = segmentation.frame
    # The file stays on the server: results refer to the exported image only.
    beside = replace(segmentation, frame=replace(frame, source=None))
    files: dict[str, OutputFile] = {}
    faults: list[str] = []
    for writer in _writers(what, _ALGORITHMS[one.source], anonymise):
        if not writer.dicom or (frame.kind == "dicom" and frame.source is not None):
            try:
                given = segmentation if writer.dicom else beside
                files[writer.kind] = writer.write(folder, frame.name, given, findings)
            except NotWritten as fault:
                faults.append(str(fault))
    calibration = frame.calibration
    named = frame.source if frame.kind == "dicom" and not anonymise else None
    own = one.source == "model" and one.probability is not None
    return ImageEntry(
        name=frame.name,
        file=file,
        shape=frame.shape,
        local_spacing=calibration.whole,
        findings=findings,
        uncertainty=segmentation.uncertainty if own else math.nan,
        files=files,
        preview=make_preview(segmentation) if "report" in what else None,
        frame=frame.index,
        kind=frame.kind,
        coco=coco_image(segmentation, findings, f"images/{frame.name}.png") if "coco" in what else None,
        acquisition=None if named is None else read_acquisition(named),
        faults=tuple(faults),
    )


def _writers(what: set[str], algorithm: Algorithm, anonymise: bool) -> Iterator[Writer]:
    """The writers of the files of each image."""
    kinds = {"report": ("overlay",), "masks": ("mask",), "labelme": ("labelme", "labelme_image")}
    wanted = {kind for one in what for kind in kinds.get(one, (one,))}
    for writer in image_writers(
        labelme=True, nrrd=True, capture=True, anonymise=anonymise, algorithm=algorithm
    ):
        if writer.kind in wanted:
            yield replace(writer, dicom=writer.kind == "capture")
    if "coco" in what:
        yield Writer("image", "images/{name}.png", lambda found, _, __: encode_png(found.frame.pixels))


def _write_objects(
    folder: Path,
    sources: Mapping[tuple[Path, Algorithm], list[_OfSource]],
    entries: list[ImageEntry],
    what: set[str],
    anonymise: bool,
) -> list[RefusedFile]:
    """Write the objects of whole DICOM sources, and add them to the entries of their frames."""
    kinds = Counter(path for path, _ in sources)
    places = {entry.name: place for place, entry in enumerate(entries)}
    refused = []
    for (path, algorithm), frames in sources.items():
        frames.sort(key=lambda one: one.packed.light.frame.index or 0)
        first = frames[0].name
        name = first if kinds[path] == 1 else f"{first}_{algorithm.lower()}"
        written: dict[str, OutputFile] = {}
        found, findings = (
            unpacked([one.packed for one in frames]),
            [one.findings for one in frames],
        )
        for writer in object_writers(
            seg="seg" in what, sr="sr" in what, anonymise=anonymise, algorithm=algorithm
        ):
            try:
                written[writer.kind] = writer.write(folder, name, path, found, findings)
            except NotWritten as fault:
                refused.append(RefusedFile(entries[places[first]].file or first, str(fault), first))
        for one in frames:
            entry = entries[places[one.name]]
            entries[places[one.name]] = replace(entry, files=entry.files | written)
    return refused


def _row(one: Reviewed, entry: ImageEntry, model_name: str) -> dict[str, Any]:
    """One image's row of reviews.csv."""
    words: dict[str, Any] = {} if one.review is None else one.review.model_dump(mode="json")
    return {
        "image": entry.name,
        "file": entry.file,
        "frame": "" if entry.frame is None else entry.frame,
        **acquisition_cells(entry.acquisition),
        "source": one.source,
        "status": "signed" if one.signed_at else "not signed",
        "reader": one.reader or "",
        "signed_at": one.signed_at or "",
        "revision": "" if one.revision is None else one.revision,
        "model": one.model or model_name,
        "settings_hash": one.settings_hash,
        "lesions": len(entry.findings.lesions),
        **spacing_cells(entry.local_spacing),
        **{key: "" if value is None else value for key, value in words.items() if key in WORDS},
        "sonoseg": __version__,
        "notice": RESEARCH_ONLY,
    }


def _about(model_name: str, threshold: float | None, what: set[str], anonymise: bool) -> RunInfo:
    """Describe the run: stored masks, so no temperature and no further post-processing."""
    name, _, digits = model_name.partition(" (")
    return RunInfo(
        command="sonoseg serve",
        model=name,
        model_hash=digits.rstrip(")"),
        threshold=threshold or _UNKNOWN,
        temperature=1.0,
        postprocessing=Postprocessing(min_area=0, fill_holes=False).model_dump(),
        runtime="",
        options={"what": sorted(what), "anonymise": anonymise},
    )


def _write_tables(folder: Path, results: Results, what: set[str]) -> None:
    """Write the tables and the page that were asked for."""
    wanted: list[tuple[str, Callable[[TextIO, Results], None]]] = []
    if "report" in what:
        wanted += [("results.csv", write_csv), ("results.json", write_json), ("report.html", write_report)]
    if "coco" in what:
        wanted.append(("coco.json", write_coco))
    for name, write in wanted:
        with atomic_path(folder / name) as path, path.open("w", encoding="utf-8", newline="") as file:
            write(file, results)
