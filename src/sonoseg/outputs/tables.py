"""All results as one CSV and one JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from sonoseg import RESEARCH_ONLY
from sonoseg.findings.lesions import Lesion
from sonoseg.outputs.entries import About, Entry, Refused

FORMAT = "sonoseg-results/1"

SIZES = ("area", "longest_axis", "perpendicular", "width", "height", "equivalent_diameter")
"""A lesion's sizes, in the order that tables show them."""

COLUMNS = (
    "image",
    "file",
    "status",
    "lesion",
    "lesions",
    "unit",
    *SIZES,
    "mean_probability",
    "peak_probability",
    "centroid_row",
    "centroid_column",
    "box_top",
    "box_left",
    "box_height",
    "box_width",
    "image_height",
    "image_width",
    "spacing_row",
    "spacing_column",
    "mask",
    "overlay",
    "reason",
    "model",
    "model_hash",
    "threshold",
    "runtime",
    "sonoseg",
    "notice",
)
"""The CSV's columns. unit is of lengths, areas are in its square; places and boxes are in pixels."""


def results_csv(about: About, entries: Iterable[Entry], refused: Iterable[Refused]) -> str:
    """A row a lesion; one row too for a picture without any, and for a file that was refused.

    status says which: "lesion", "no lesion" or "refused", so that no file vanishes from the table.
    """
    run = {
        "model": about.model,
        "model_hash": about.model_hash,
        "threshold": _number(about.threshold),
        "runtime": about.runtime,
        "sonoseg": about.sonoseg,
        "notice": RESEARCH_ONLY,
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        picture = {
            "image": entry.name,
            "file": entry.file,
            "lesions": len(entry.findings.lesions),
            "unit": entry.findings.unit,
            "image_height": entry.shape[0],
            "image_width": entry.shape[1],
            "spacing_row": "" if entry.spacing is None else entry.spacing.row,
            "spacing_column": "" if entry.spacing is None else entry.spacing.column,
            "mask": entry.files.get("mask", ""),
            "overlay": entry.files.get("overlay", ""),
        }
        if not entry.findings.lesions:
            writer.writerow(picture | run | {"status": "no lesion"})
        for lesion in entry.findings.lesions:
            writer.writerow(picture | run | {"status": "lesion"} | _row(lesion))
    for one in refused:
        writer.writerow(run | {"file": one.file, "status": "refused", "reason": one.reason})
    return text.getvalue()


def results_json(about: About, entries: Sequence[Entry], refused: Sequence[Refused]) -> dict[str, Any]:
    """The same as one object for programs; lengths and areas in each image's unit, places in pixels."""
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
        "images": [
            {
                "image": entry.name,
                "file": entry.file,
                "height": entry.shape[0],
                "width": entry.shape[1],
                "spacing": None if entry.spacing is None else list(entry.spacing),
                "unit": entry.findings.unit,
                "lesion_share": _number(entry.findings.share),
                "lesions": [_object(lesion) for lesion in entry.findings.lesions],
                "files": entry.files,
            }
            for entry in entries
        ],
        "refused": [asdict(one) for one in refused],
    }


def _row(lesion: Lesion) -> dict[str, Any]:
    return {
        "lesion": lesion.number,
        **{size: _number(getattr(lesion, size)) for size in SIZES},
        "mean_probability": _number(lesion.mean_probability),
        "peak_probability": _number(lesion.peak_probability),
        "centroid_row": _number(lesion.centroid[0]),
        "centroid_column": _number(lesion.centroid[1]),
        "box_top": lesion.box[0],
        "box_left": lesion.box[1],
        "box_height": lesion.box[2],
        "box_width": lesion.box[3],
    }


def _object(lesion: Lesion) -> dict[str, Any]:
    return {
        "lesion": lesion.number,
        **{size: _number(getattr(lesion, size)) for size in SIZES},
        "mean_probability": _number(lesion.mean_probability),
        "peak_probability": _number(lesion.peak_probability),
        "longest_axis_ends": [[_number(place) for place in end] for end in lesion.longest_axis_ends],
        "centroid": [_number(place) for place in lesion.centroid],
        "box": dict(zip(("top", "left", "height", "width"), lesion.box, strict=True)),
        "pixels": lesion.pixels,
    }


def _number(value: float) -> float:
    """Six significant digits: far finer than any pixel, and short to read."""
    return float(f"{value:.6g}")
