"""The HTML report of a run: every image with its lesions, in one file that needs no network.

It is written one image at a time, so that memory does not grow with their number. The previews are embedded;
links to the full images are relative to the results folder. The page's content security policy forbids the
browser to load anything, and to run any script but the page's own, which is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TextIO
from urllib.parse import quote

from sonoseg import RESEARCH_ONLY
from sonoseg.lesions.measurement import PLANE_NOTE, Ends, Lesion
from sonoseg.results import html_templates
from sonoseg.results.entries import ImageEntry, Results, RunInfo
from sonoseg.results.formatting import (
    area_text,
    axes_text,
    count_text,
    found_text,
    size_text,
    spacing_notes,
    spacing_text,
)
from sonoseg.results.preview import Preview

REPORT_TEMPLATE = "report.html.jinja"

_LINKS = {
    "overlay": "Overlay",
    "mask": "Mask",
    "probability": "Probability",
    "seg": "DICOM SEG",
    "sr": "DICOM SR",
    "capture": "DICOM capture",
    "labelme": "LabelMe",
    "nrrd": "NRRD",
}

_HIDDEN = {"labelme_image"}
"""Files that other files need, and nobody opens."""


class _Column(NamedTuple):
    """A column of the table of lesions. style: its CSS class. meaning: for the list below the table."""

    title: str
    style: str = ""
    meaning: str = ""


_COLUMNS = (
    _Column("Image"),
    _Column("Lesion", "n"),
    _Column("Axes", "n", "longest axis, and the longest chord of the lesion at right angles to it"),
    _Column("Width × height", "n", "of the upright bounding box, along the image's columns and rows"),
    _Column("Area", "n", "of the lesion's pixels"),
    _Column("Depth", "n", "of its upper edge below the top of the scan: a proxy for the distance to skin"),
    _Column("Orientation", "", "to the skin line: parallel where the lesion is wider than high"),
    _Column("Echoes", "", "level against the surrounding tissue; posterior features"),
    _Column("Probability", "n", "mean over the lesion, 0 to 1"),
    _Column("Uncertainty", "n", "of its outline: 0 certain, 1 uncertain"),
    _Column(
        "Spacing, mm",
        "spacing",
        "pixel spacing (row × column) with its origin; sizes in pixels without it",
    ),
)


def write_report(file: TextIO, results: Results) -> None:
    """Write the page. file: open for writing text."""
    script = html_templates.asset("report.js")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    about, counts = results.about, results.counts
    values = {
        "policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{allowed}'",
        "version": about.sonoseg,
        "notice": RESEARCH_ONLY,
        "plane_note": PLANE_NOTE,
        "count": count_text(counts, len(results.refused), len(results.referred or ())),
        "notes": spacing_notes(counts),
        "filters": _filters(results),
        "cards": _cards(results),
        "lesion_count": counts.lesions,
        "columns": _COLUMNS,
        "rows": _rows(results),
        "refused": results.refused,
        "facts": _facts(about, referring=results.referred is not None),
    }
    html_templates.write_page(file, REPORT_TEMPLATE, values, style=("page.css", "report.css"), script=script)


def _filters(results: Results) -> list[dict[str, Any]]:
    """Choices of the images to show; none where there is no image."""
    counts = results.counts
    if not counts.images:
        return []
    without = counts.without + counts.not_assessed
    choices = [
        ("all", "All", counts.images),
        ("lesion", "With a lesion", counts.images - without),
        ("none", "Without", without),
    ]
    if results.referred is not None:
        choices.append(("referred", "Referred", len(results.referred)))
    return [{"value": value, "title": title, "count": count} for value, title, count in choices]


def _cards(results: Results) -> Iterator[dict[str, Any]]:
    referred = results.referred or frozenset()
    for number, entry in enumerate(results.entries(), start=1):
        overlay = entry.files.get("overlay")
        yield {
            "number": number,
            "name": entry.name,
            "kind": "lesion" if entry.findings.lesions else "none",
            "found": found_text(entry.findings),
            "confidence": _confidence(entry),
            "referred": entry.name in referred,
            "warnings": entry.findings.warnings,
            "overlay": None if overlay is None else quote(overlay.path),
            "view": None if entry.preview is None else _view(entry.preview, entry.findings.lesions),
            "links": [
                {"path": quote(path), "title": _link_title(kind)}
                for kind, path in entry.paths.items()
                if kind not in _HIDDEN
            ],
        }


def _confidence(entry: ImageEntry) -> str:
    parts = []
    if entry.findings.lesions:
        highest = max(lesion.mean_probability for lesion in entry.findings.lesions)
        if math.isfinite(highest):
            parts.append(f"probability {highest:.2f}")
    if math.isfinite(entry.uncertainty):
        parts.append(f"uncertainty {entry.uncertainty:.2f}")
    return ", ".join(parts)


def _view(preview: Preview, lesions: Sequence[Lesion]) -> dict[str, Any]:
    """A preview with each lesion's callipers and their lengths, on the grid of half pixels."""
    lines = ""
    labels: list[dict[str, Any]] = []
    taken: list[tuple[int, int]] = []
    for lesion in lesions if preview.outline else ():
        for ends in (lesion.longest_axis_ends, lesion.perpendicular_ends):
            (y0, x0), (y1, x1) = _on_preview(ends, preview)
            lines += f"M{x0} {y0}L{x1} {y1}"
            lines += "".join(f"M{x - 9} {y}h18M{x} {y - 9}v18" for x, y in ((x0, y0), (x1, y1)))
        text = f"{lesion.number}: {axes_text(lesion)}" if len(lesions) > 1 else axes_text(lesion)
        x, y = _label_position(lesion, preview, 8 * len(text) + 4, taken)
        taken.append((x, y))
        labels.append({"x": x, "y": y, "text": text})
    return {
        "jpeg": base64.b64encode(preview.jpeg).decode(),
        "width": preview.width,
        "height": preview.height,
        "outline": preview.outline,
        "band": preview.band,
        "callipers": lines,
        "labels": labels,
    }


def _label_position(
    lesion: Lesion, preview: Preview, half_width: int, taken: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """Place a label: the middle of its baseline, below the lesion or above it, inside the image.

    half_width: of the label. taken: positions of labels that it must not cover, where possible.
    """
    top, left, height, width = lesion.box
    (y0, x0), (y1, x1) = _on_preview(((top, left), (top + height, left + width)), preview)
    x = min(max((x0 + x1) // 2, half_width), 2 * preview.width - half_width)
    below, above = range(y1 + 34, 2 * preview.height - 8, 34), range(y0 - 12, 30, -34)
    for y in (*below, *above):
        if all(abs(x - other[0]) > 2 * half_width or abs(y - other[1]) >= 32 for other in taken):
            return x, y
    return x, min(max(y1, 30), 2 * preview.height - 8)


def _on_preview(ends: Ends, preview: Preview) -> tuple[tuple[int, int], ...]:
    down, right = preview.scale
    return tuple((round((row + 0.5) * down * 2), round((column + 0.5) * right * 2)) for row, column in ends)


def _link_title(kind: str) -> str:
    if kind.startswith("attention_"):
        return f"Attention {kind.removeprefix('attention_')}"
    return _LINKS.get(kind, kind)


def _rows(results: Results) -> Iterator[dict[str, Any]]:
    referred = results.referred or frozenset()
    for number, entry in enumerate(results.entries(), start=1):
        for lesion in entry.findings.lesions:
            yield {
                "number": number,
                "name": entry.name,
                "referred": entry.name in referred,
                "cells": _cells(lesion),
            }


def _cells(lesion: Lesion) -> tuple[str, ...]:
    """The cells of a lesion's row behind the image's name."""
    unit = lesion.unit
    width, height = size_text(lesion.width, unit), size_text(lesion.height, unit)
    return (
        str(lesion.number),
        axes_text(lesion),
        f"{width.split()[0]} × {height}",
        area_text(lesion.area, unit),
        size_text(lesion.depth, unit),
        str(lesion.orientation),
        ", ".join(str(word) for word in (lesion.echo_level, lesion.posterior) if word is not None),
        _two_decimals(lesion.mean_probability),
        _two_decimals(lesion.uncertainty),
        spacing_text(lesion.local_spacing),
    )


def _two_decimals(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else ""


def _facts(about: RunInfo, *, referring: bool) -> dict[str, str]:
    """How the results were made, and what the columns mean."""
    steps = []
    done = about.postprocessing
    if done.get("fill_holes"):
        steps.append("holes filled")
    if done.get("min_area"):
        steps.append(f"components below {done['min_area']:.2%} of the image removed")
    if done.get("min_mean_probability"):
        steps.append(f"lesions of a mean probability below {done['min_mean_probability']:.3g} removed")
    if done.get("min_relative_probability"):
        steps.append(
            "beside the most probable lesion only those of at least "
            f"{done['min_relative_probability']:.0%} of its mean probability kept"
        )
    if done.get("keep_largest"):
        steps.append("only the largest lesion kept")
    facts = {
        "Model": f"{about.model} ({about.model_hash})",
        "Mask": f"probability threshold {about.threshold:.3g}; {', '.join(steps) or 'no post-processing'}",
        "Made by": f"{about.command}, sonoseg {about.sonoseg}, {about.runtime}",
    }
    if referring:
        facts["Referred"] = "the requested share of the images, those of the highest uncertainty"
    return facts | {column.title: column.meaning for column in _COLUMNS if column.meaning}
