"""Results in words: sizes with their units, and how many of what, on the terminal as on the page."""

from __future__ import annotations

from sonoseg.image.calibration import Scale
from sonoseg.lesions.measurement import Findings, Lesion
from sonoseg.results.results import ResultCounts

REASONS = 4
"""How many different reasons for sizes in pixels are told at the top; the table has each lesion's own."""

_ORIGINS = {"file": "from the file", "given": "given by a person", "table": "from a table"}


def size_text(value: float, unit: str) -> str:
    """A length for people: tenths of a millimetre, or whole pixels, with its unit."""
    return f"{value:.1f} {unit}" if unit == "mm" else f"{value:.0f} {unit}"


def area_text(value: float, unit: str) -> str:
    """An area for people, with its unit."""
    return f"{value:.1f} mm²" if unit == "mm" else f"{value:,.0f} px²"


def axes_text(lesion: Lesion) -> str:
    """A lesion's longest axis and its perpendicular: "12.3 × 8.9 mm"."""
    first, second = size_text(lesion.longest_axis, lesion.unit), size_text(lesion.perpendicular, lesion.unit)
    return f"{first.split()[0]} × {second}"


def scale_text(scale: Scale) -> str:
    """Which spacing holds (row × column, mm per pixel) and who says so, or why there is none."""
    if scale.spacing is None:
        return f"none: {scale.reason}"
    row, column = (f"{value:.4g}" for value in scale.spacing)
    numbers = row if row == column else f"{row} × {column}"
    return f"{numbers}, {_ORIGINS.get(scale.origin, scale.origin)}"


def found_text(findings: Findings) -> str:
    """One line on an image: how many lesions, and how large the one with the longest axis is."""
    count = len(findings.lesions)
    if not count:
        return "No lesion found"
    longest = axes_text(max(findings.lesions, key=lambda lesion: (lesion.unit == "mm", lesion.longest_axis)))
    return f"1 lesion, {longest}" if count == 1 else f"{count} lesions, the longest {longest}"


def count_text(counts: ResultCounts, refused: int, referred: int = 0) -> str:
    """One line on the whole: lesions, images, those without, those referred, files refused."""
    parts = [f"{several(counts.lesions, 'lesion')} in {several(counts.images, 'image')}"]
    if counts.without:
        parts.append(f"{counts.without:,} without a lesion")
    if referred:
        parts.append(f"{several(referred, 'image')} referred to a person")
    if refused:
        parts.append(f"{several(refused, 'file')} refused")
    return "; ".join(parts) + "."


def scale_notes(counts: ResultCounts) -> list[str]:
    """What must be said of the sizes: those in pixels and why, those that stand on a person's word."""
    common = sorted(counts.reasons.items(), key=lambda item: -item[1])
    notes = [
        f"{several(count, 'lesion')} measured in pixels: {reason}." for reason, count in common[:REASONS]
    ]
    if len(common) > REASONS:
        rest = several(sum(count for _, count in common[REASONS:]), "lesion")
        notes.append(f"{rest} measured in pixels for other reasons: each has its own in the table.")
    if counts.given:
        notes.append(f"{several(counts.given, 'lesion')} measured with a spacing that a person gave.")
    if counts.tabled:
        notes.append(f"{several(counts.tabled, 'lesion')} measured with spacings from a table.")
    return notes


def several(count: int, thing: str) -> str:
    """A count and its noun: "1 file", "2 files"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
