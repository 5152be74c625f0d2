"""Measure the lesions of masks that a person or another program made, and write the measurements."""

from __future__ import annotations

import io
import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg._util.csv_text import CsvWriter
from sonoseg._util.files import atomic_path, atomic_write_bytes, atomic_write_text, cannot_write
from sonoseg._util.text import printable
from sonoseg.data.mask_reading import issues_of, read_mask_file
from sonoseg.dicom.reading.acquisition import Acquisition, read_acquisition
from sonoseg.errors import (
    BurnedInTextError,
    InputError,
    OutputError,
    SonosegError,
    SonosegWarning,
    UsageError,
)
from sonoseg.image.calibration import Calibration, Spacing
from sonoseg.image.frame import Frame
from sonoseg.image.overlay import overlay
from sonoseg.inputs.file_kinds import skipped
from sonoseg.inputs.file_search import MASK_FOLDERS, SkippedFiles, find_images
from sonoseg.inputs.mask_matching import image_of, looks_like_mask, match_key
from sonoseg.inputs.reading import read_frame
from sonoseg.inputs.reading_options import with_option
from sonoseg.lesions.callipers import draw_callipers
from sonoseg.lesions.measurement import PLANE_NOTE, Findings, measure_mask
from sonoseg.lesions.orthogonal_views import SHARED, Pair, join
from sonoseg.results import codebook
from sonoseg.results.codebook import names
from sonoseg.results.entries import RefusedFile
from sonoseg.results.png import encode_png
from sonoseg.results.result_names import result_names
from sonoseg.results.tables import (
    PROBABILITIES,
    acquisition_cells,
    acquisition_object,
    lesion_object,
    lesion_row,
    spacing_cells,
    table_sheets,
)
from sonoseg.results.workbook import write_workbook

FORMAT = "sonoseg-measures/4"
CSV, JSON, XLSX, OVERLAYS = "measures.csv", "measures.json", "measures.xlsx", "overlays"

COLUMNS = names(codebook.MEASURES)
"""The CSV's columns, as in results.csv; without a network there are no probabilities."""


@dataclass(frozen=True, eq=False)
class MaskMeasurement:
    """One mask, measured.

    path: of the mask. image: the image that it belongs to, None where none was given.
    frame: the image, or black pixels of the mask's shape. mask: bool (H, W).
    acquisition: of a DICOM image, unless it is left out.
    """

    path: Path
    image: Path | None
    frame: Frame
    mask: NDArray[np.bool_]
    findings: Findings
    acquisition: Acquisition | None = None


@dataclass(frozen=True)
class MaskMeasurements:
    """The measurements of several masks. pair: two of them as views of one lesion at right angles."""

    measured: Sequence[MaskMeasurement]
    refused: Sequence[RefusedFile] = ()
    pair: Pair | None = None

    def to_csv(self) -> str:
        """Format a row for each lesion, each mask without a lesion, and each refused mask."""
        text = io.StringIO()
        writer = CsvWriter(text, COLUMNS, ignore=True)
        for one in self.measured:
            writer.writerows(_lesion_rows(one) or [_mask_row(one)])
        writer.writerows(self._refused_rows())
        return text.getvalue()

    def write_xlsx(self, path: Path) -> None:
        """Write a workbook with the sheets lesions, images (a row for each mask), codebook and settings.

        Raises MissingExtra.
        """
        lesions = (row for one in self.measured for row in _lesion_rows(one))
        images = [*(_mask_row(one) for one in self.measured), *self._refused_rows()]
        write_workbook(path, table_sheets(codebook.MEASURES, lesions, images, _SETTINGS))

    def _refused_rows(self) -> list[dict[str, Any]]:
        return [{"mask": bad.file, "status": "refused", "reason": bad.reason} for bad in self.refused]

    def to_object(self) -> dict[str, Any]:
        """Describe the measurements as a JSON object."""
        value: dict[str, Any] = {
            **_SETTINGS,
            "masks": [
                {
                    "mask": printable(one.path),
                    "image": None if one.image is None else printable(one.image),
                    "acquisition": acquisition_object(one.acquisition),
                    "unit": one.findings.unit,
                    "lesion_share": _rounded(one.findings.share),
                    "warnings": list(one.findings.warnings),
                    "lesions": [
                        {
                            key: entry
                            for key, entry in lesion_object(lesion).items()
                            if key not in PROBABILITIES
                        }
                        for lesion in one.findings.lesions
                    ],
                }
                for one in self.measured
            ],
            "refused": [{"mask": bad.file, "reason": bad.reason} for bad in self.refused],
        }
        if self.pair is not None:
            value["pair"] = {
                "unit": self.pair.unit,
                "dimensions": [_rounded(size) for size in self.pair.dimensions],
                "volume": _rounded(self.pair.volume),
                "shared": SHARED,
                "heights": [_rounded(size) for size in self.pair.heights],
                "warnings": list(self.pair.warnings),
            }
        return value

    def write(self, folder: Path, names: Mapping[Path, str], *, xlsx: bool = False) -> list[RefusedFile]:
        """Write measures.csv, measures.json and the overlays with callipers.

        names: of the overlays, by mask (see `overlay_names`). xlsx: also measures.xlsx.
        Returns the masks whose overlay cannot be written. Raises OutputError for other files, MissingExtra.
        """
        unwritten: list[RefusedFile] = []
        for one in self.measured:
            drawn = draw_callipers(overlay(one.frame.pixels, one.mask), one.findings, mask=one.mask)
            try:
                atomic_write_bytes(folder / OVERLAYS / f"{names[one.path]}.png", encode_png(drawn))
            except OutputError as error:
                unwritten.append(RefusedFile(printable(one.path), printable(str(error))))
        atomic_write_text(folder / CSV, self.to_csv())
        text = json.dumps(self.to_object(), indent=2, ensure_ascii=False)
        atomic_write_text(folder / JSON, text + "\n")
        if xlsx:
            with atomic_path(folder / XLSX) as temporary:
                self.write_xlsx(temporary)
        else:
            try:
                (folder / XLSX).unlink(missing_ok=True)  # of earlier measurements
            except OSError as error:
                raise cannot_write(folder / XLSX, error) from error
        return unwritten


_SETTINGS = {
    "format": FORMAT,
    "notice": RESEARCH_ONLY,
    "sonoseg": __version__,
    "plane_note": PLANE_NOTE,
}


def _mask_row(one: MaskMeasurement) -> dict[str, Any]:
    """Describe a mask as cells of a table, by column."""
    return {
        "mask": printable(one.path),
        "image": printable(one.image or ""),
        **acquisition_cells(one.acquisition),
        "status": "lesion" if one.findings.lesions else "no lesion",
        "lesions": len(one.findings.lesions),
        "unit": one.findings.unit,
        **spacing_cells(one.frame.calibration.whole),
        "warnings": "; ".join(one.findings.warnings),
    }


def _lesion_rows(one: MaskMeasurement) -> list[dict[str, Any]]:
    return [_mask_row(one) | lesion_row(lesion) for lesion in one.findings.lesions]


def find_masks(
    searched: Sequence[str], *, pair: tuple[Path, Path] | None = None, out: Path | None = None
) -> list[Path]:
    """Find masks among files, folders and globs.

    Of a folder those named as masks are taken; without any, those in folders so named; without any, all.

    pair: further masks. out: the output folder; its overlays are skipped.
    Warns (SkippedFiles) of images that are not named as masks, where other files are.
    Raises InputError where nothing is found, UsageError for an empty list.
    """
    if not searched and pair is None:
        raise UsageError("no mask is given", remedy="Name masks, or two views with --pair A B")
    paths: list[Path] = []
    for text in searched:
        found = find_images([text], skip=[] if out is None else [out / OVERLAYS], masks=True)
        named = found
        if not Path(text).is_file():
            named = [path for path in found if looks_like_mask(path)]
            named = named or [path for path in found if path.parent.name.lower() in MASK_FOLDERS]
        paths += named or found
        if named and len(named) < len(found):
            keys = {match_key(path) for path in named}
            kinds = Counter(
                "image of a mask" if match_key(path) in keys else "image not named as a mask"
                for path in sorted(set(found).difference(named))
            )
            warnings.warn(skipped(kinds), SkippedFiles, stacklevel=2)
    return list(dict.fromkeys([*paths, *(pair or ())]))


def overlay_names(masks: Sequence[Path]) -> dict[Path, str]:
    """Name the overlay of each mask."""
    return result_names(masks, masks)


def require_free(folder: Path, names: Mapping[Path, str]) -> None:
    """Check that no output file exists. names: of the overlays. Raises OutputError."""
    wanted = [
        *(folder / name for name in (CSV, JSON, XLSX)),
        *(folder / OVERLAYS / f"{name}.png" for name in names.values()),
    ]
    there = [path for path in wanted if path.exists()]
    if there:
        raise OutputError(
            f"results are here already ({there[0].relative_to(folder).as_posix()})",
            where=folder,
            remedy="Use --overwrite, or another --out",
        )


def measure_masks(
    masks: Sequence[Path],
    *,
    image: Path | None = None,
    pair: tuple[Path, Path] | None = None,
    spacing: Spacing | None = None,
    keep_burned_in: bool = False,
    anonymise: bool = False,
) -> MaskMeasurements:
    """Measure masks; one that cannot be used is refused, unless it belongs to the pair.

    image: the image of the one mask, or a folder of images of like names; without it, echoes are left out.
    pair: two of the masks that show one lesion in views at right angles. spacing: mm per pixel.
    keep_burned_in: keep what lies outside a DICOM image's scan regions, which may show text.
    anonymise: leave out patient and examination of DICOM images.
    Raises UsageError for one image and several masks; InputError for a pair that cannot be measured.
    """
    images = _images_by_mask(image, masks)
    measured: dict[Path, MaskMeasurement] = {}
    refused: list[RefusedFile] = []
    for path in masks:
        try:
            measured[path] = measure_mask_file(
                path, images.get(path), spacing, keep_burned_in, anonymise=anonymise
            )
        except SonosegError as error:
            if pair is not None and path in pair:
                raise
            reason = error.reason if error.where in (None, str(path)) else str(error)
            refused.append(RefusedFile(printable(path), reason))
    joined = None if pair is None else join(*(measured[path].findings for path in pair))
    return MaskMeasurements(list(measured.values()), refused, joined)


def measure_mask_file(
    path: Path,
    image: Path | None,
    spacing: Spacing | None,
    keep_burned_in: bool = False,
    *,
    anonymise: bool = False,
) -> MaskMeasurement:
    """Measure the lesions of a mask file; with its image also their echoes. See `measure_masks`.

    The pixel spacing is the one given, else the image's, else the mask's own (NRRD).

    Raises InputError where a file cannot be read or is not a mask, ShapeError where their shapes differ.
    """
    if not path.is_file():
        raise InputError("no such file", where=path, remedy="Check the path")
    file = read_mask_file(path)
    values = file.values
    # A mask has few levels; noise at its edges (JPEG, resizing) is far from a fifth of the image.
    between = (values > 0.1 * file.largest) & (values < 0.9 * file.largest) & ~file.is_label
    if not file.is_classes and (share := float(between.mean())) > 0.2:
        raise InputError(
            f"an image, not a mask: {share:.0%} of its pixels are neither black nor bright",
            where=path,
            remedy="Name the mask, and give its image with --image",
        )
    mask, issues = file.lesion, [issue.text for issue in issues_of(file, path, image)]
    for text in issues:
        warnings.warn(text, SonosegWarning, stacklevel=2)
    if image is None:
        reason = "the mask has no pixel spacing, and no spacing was given"
        calibration = Calibration.of(spacing, reason=reason)
        frame = Frame(np.zeros(mask.shape, dtype=np.uint8), name=path.stem, calibration=calibration)
    else:
        try:
            frame = read_frame(image, spacing=spacing, keep_burned_in=keep_burned_in)
        except BurnedInTextError as error:
            raise with_option(error) from error
    if frame.kind == "raster" and frame.spacing is None and file.spacing is not None:
        frame = replace(frame, calibration=Calibration.of(file.spacing, "file"))
    findings = measure_mask(frame, mask, image=image is not None, instances=file.instances)
    findings = replace(findings, warnings=(*findings.warnings, *issues))
    named = frame.source if frame.kind == "dicom" and not anonymise else None
    acquisition = None if named is None else read_acquisition(named)
    return MaskMeasurement(path, image and frame.source, frame, mask, findings, acquisition)


def _images_by_mask(image: Path | None, masks: Sequence[Path]) -> dict[Path, Path]:
    if image is None:
        return {}
    if not image.is_dir():
        if len(masks) != 1:
            raise UsageError(
                f"one image for {len(masks)} masks", where="--image", remedy="Give the folder of their images"
            )
        return {masks[0]: image}
    there = find_images([image], masks=True)
    images = {mask: image_of(mask, there) for mask in masks}
    return {mask: found for mask, found in images.items() if found is not None}


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
