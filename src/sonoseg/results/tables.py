"""The tables of a run: results.csv, results.json and coco.json."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from textwrap import indent
from typing import Any, TextIO

from sonoseg import RESEARCH_ONLY
from sonoseg._util.csv_text import CsvWriter
from sonoseg.dicom.reading.acquisition import Acquisition
from sonoseg.image.calibration import LocalSpacing
from sonoseg.lesions.measurement import Ends, Lesion
from sonoseg.results import codebook
from sonoseg.results.coco import coco
from sonoseg.results.codebook import Column, names
from sonoseg.results.entries import ImageEntry, Results, RunInfo
from sonoseg.results.workbook import Sheet, write_workbook

FORMAT = "sonoseg-results/4"

SIZES, SHAPES = names(codebook.SIZES), names(codebook.SHAPES)
ECHOES, PROBABILITIES = names(codebook.ECHOES), names(codebook.PROBABILITIES)

SETTING = ("setting", "value")

COLUMNS = names(codebook.RESULTS)
"""The columns of results.csv. What is the same for the whole run is in results.json."""


def write_csv(file: TextIO, results: Results) -> None:
    """Write a row for each lesion, each image without a lesion, and each refused file.

    The column `status` distinguishes them: "lesion", "no lesion", "not assessed" (no contrast) or
    "refused".
    file: open for writing, with newline="".
    """
    writer = CsvWriter(file, COLUMNS)
    for entry in results.entries():
        image = image_row(entry, results)
        for lesion in entry.findings.lesions:
            writer.writerow(image | lesion_row(lesion))
        if not entry.findings.lesions:
            writer.writerow(image)
    writer.writerows(refused_rows(results))


def write_json(file: TextIO, results: Results) -> None:
    """Write one JSON object; lengths and areas are in each lesion's unit, positions in pixels.

    It is written one image at a time, so that memory does not grow with their number.
    """
    file.write(_text(settings_object(results.about)).removesuffix("\n}") + ',\n  "images": [')
    between = "\n"
    for entry in results.entries():
        file.write(between + indent(_text(image_object(entry, results.referred)), "    "))
        between = ",\n"
    file.write("],\n" if between == "\n" else "\n  ],\n")
    refused = [{"file": one.file, "reason": one.reason} for one in results.refused]
    file.write('  "refused": ' + indent(_text(refused), "  ").lstrip() + "\n}\n")


def write_xlsx(path: Path, results: Results) -> None:
    """Write a workbook with the sheets lesions, images (refused files too), codebook and settings.

    Raises MissingExtra; warns as write_workbook.
    """
    lesions = (
        image_row(entry, results) | lesion_row(lesion)
        for entry in results.entries()
        for lesion in entry.findings.lesions
    )
    images = (image_row(entry, results) for entry in results.entries())
    rows = chain(images, refused_rows(results))
    write_workbook(path, table_sheets(codebook.RESULTS, lesions, rows, settings_object(results.about)))


def table_sheets(
    table: Sequence[Column],
    lesions: Iterable[Mapping[str, Any]],
    images: Iterable[Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> list[Sheet]:
    """Return the sheets of a table. lesions, images: their rows. settings: nested values by name."""
    return [
        Sheet("lesions", codebook.sheet_columns(table, "lesions"), lesions),
        Sheet("images", codebook.sheet_columns(table, "images"), images),
        Sheet("codebook", codebook.HEADERS, codebook.codebook_rows(table)),
        Sheet("settings", SETTING, (dict(zip(SETTING, each, strict=True)) for each in _flat(settings))),
    ]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value) if isinstance(value, list) else value


def write_coco(file: TextIO, results: Results) -> None:
    """Write the collected annotations of all images in COCO format."""
    value = coco(entry.coco for entry in results.entries() if entry.coco is not None)
    file.write(json.dumps(value, ensure_ascii=False) + "\n")


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def settings_object(about: RunInfo) -> dict[str, Any]:
    """Describe what is the same for the whole run, as the beginning of results.json."""
    return {
        "format": FORMAT,
        "notice": RESEARCH_ONLY,
        "made_by": about.command,
        "sonoseg": about.sonoseg,
        "model": {"name": about.model, "hash": about.model_hash},
        "threshold": about.threshold,
        "temperature": about.temperature,
        "postprocessing": about.postprocessing,
        "runtime": about.runtime,
        "settings_hash": about.settings_hash,
        "options": about.options,
    }


def image_object(entry: ImageEntry, referred: frozenset[str] | None = None) -> dict[str, Any]:
    """Describe an image as an object of results.json."""
    return {
        "image": entry.name,
        "file": entry.file,
        "frame": entry.frame,
        "height": entry.shape[0],
        "width": entry.shape[1],
        "acquisition": acquisition_object(entry.acquisition),
        **_spacing_values(entry.local_spacing),
        "unit": entry.findings.unit,
        "lesion_share": _number(entry.findings.share),
        "uncertainty": _value(entry.uncertainty),
        "referred": None if referred is None else entry.name in referred,
        "assessable": entry.findings.assessable,
        "warnings": list(entry.findings.warnings),
        "lesions": [lesion_object(lesion) for lesion in entry.findings.lesions],
        "files": entry.paths,
    }


def image_row(entry: ImageEntry, results: Results) -> dict[str, Any]:
    """Describe an image as cells of a table, by column."""
    referred = results.referred
    without = "no lesion" if entry.findings.assessable else "not assessed"
    return {
        "image": entry.name,
        "file": entry.file,
        "frame": "" if entry.frame is None else entry.frame,
        **acquisition_cells(entry.acquisition),
        "status": "lesion" if entry.findings.lesions else without,
        "lesions": len(entry.findings.lesions),
        "unit": entry.findings.unit,
        "image_uncertainty": _cell(entry.uncertainty),
        "referred": "" if referred is None else ("yes" if entry.name in referred else "no"),
        "image_height": entry.shape[0],
        "image_width": entry.shape[1],
        **spacing_cells(entry.local_spacing),
        "mask": entry.paths.get("mask", ""),
        "overlay": entry.paths.get("overlay", ""),
        "warnings": "; ".join(entry.findings.warnings),
        "settings_hash": results.about.settings_hash,
    }


def refused_rows(results: Results) -> Iterator[dict[str, Any]]:
    """Describe the refused files as cells of a table, by column."""
    for one in results.refused:
        yield {
            "file": one.file,
            "status": "refused",
            "reason": one.reason,
            "settings_hash": results.about.settings_hash,
        }


def acquisition_cells(acquisition: Acquisition | None) -> dict[str, str]:
    """Return patient, examination, side, view and date as cells of a table, empty where unknown."""
    return {name: value or "" for name, value in asdict(acquisition or Acquisition()).items()}


def acquisition_object(acquisition: Acquisition | None) -> dict[str, str | None] | None:
    """Describe an acquisition as an object of results.json; None where it is not known."""
    if acquisition is None:
        return None
    return {name: value or None for name, value in asdict(acquisition).items()}


def lesion_row(lesion: Lesion) -> dict[str, Any]:
    """Describe a lesion as cells of a CSV, by column."""
    return {
        "lesion": lesion.number,
        "unit": lesion.unit,
        **{name: _cell(getattr(lesion, name)) for name in (*SIZES, *SHAPES, *ECHOES, *PROBABILITIES)},
        "centroid_row": _number(lesion.centroid[0]),
        "centroid_column": _number(lesion.centroid[1]),
        "box_top": lesion.box[0],
        "box_left": lesion.box[1],
        "box_height": lesion.box[2],
        "box_width": lesion.box[3],
        **spacing_cells(lesion.local_spacing),
    }


def lesion_object(lesion: Lesion) -> dict[str, Any]:
    """Describe a lesion as an object of results.json."""
    return {
        "lesion": lesion.number,
        "unit": lesion.unit,
        **_spacing_values(lesion.local_spacing),
        **{name: _value(getattr(lesion, name)) for name in (*SIZES, *SHAPES, *ECHOES, *PROBABILITIES)},
        "longest_axis_ends": _ends(lesion.longest_axis_ends),
        "perpendicular_ends": _ends(lesion.perpendicular_ends),
        "centroid": [_number(position) for position in lesion.centroid],
        "box": dict(zip(("top", "left", "height", "width"), lesion.box, strict=True)),
        "pixels": lesion.pixels,
    }


def _spacing_values(scale: LocalSpacing) -> dict[str, Any]:
    return {
        "spacing": None if scale.spacing is None else list(scale.spacing),
        "spacing_origin": scale.origin,
        "spacing_reason": scale.reason,
    }


def spacing_cells(scale: LocalSpacing) -> dict[str, Any]:
    """Return a pixel spacing as cells of a table, empty where it is unknown."""
    row, column = scale.spacing or ("", "")
    return {
        "spacing_row": row,
        "spacing_column": column,
        "spacing_origin": scale.origin,
        "spacing_reason": scale.reason,
    }


def _ends(ends: Ends) -> list[list[float]]:
    return [[_number(position) for position in end] for end in ends]


def _value(value: float | str | None) -> float | str | None:
    """Convert a figure or a word for JSON, which has no NaN."""
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    return _number(value) if math.isfinite(value) else None


def _cell(value: float | str | None) -> float | str:
    found = _value(value)
    return "" if found is None else found


def _number(value: float) -> float:
    """Round to six significant digits: far finer than a pixel."""
    return float(f"{value:.6g}")
