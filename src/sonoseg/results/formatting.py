"""Results as text, for the terminal and the report: sizes with their units, and counts."""

from __future__ import annotations

from sonoseg.image.calibration import LocalSpacing, cautions, pixels_note
from sonoseg.lesions.measurement import Findings, Lesion
from sonoseg.lesions.orthogonal_views import SHARED, Pair
from sonoseg.results.entries import ResultCounts

REASONS = 4
"""The number of reasons for sizes in pixels in the summary; the table has that of each lesion."""

_ORIGINS = {"file": "from the file", "given": "from --spacing", "table": "from a table"}


def size_text(value: float, unit: str) -> str:
    """Format a length with its unit: tenths of a millimetre, or whole pixels."""
    return f"{value:.1f} {unit}" if unit == "mm" else f"{value:.0f} {unit}"


def area_text(value: float, unit: str) -> str:
    """Format an area with its unit."""
    return f"{value:.1f} mm²" if unit == "mm" else f"{value:,.0f} px²"


def axes_text(lesion: Lesion) -> str:
    """Format a lesion's longest axis and its perpendicular: "12.3 × 8.9 mm"."""
    first, second = size_text(lesion.longest_axis, lesion.unit), size_text(lesion.perpendicular, lesion.unit)
    return f"{first.split()[0]} × {second}"


def spacing_text(scale: LocalSpacing) -> str:
    """Format the pixel spacing (row × column, mm) with its origin, or the reason why there is none."""
    if scale.spacing is None:
        return f"none: {scale.reason}"
    row, column = (f"{value:.4g}" for value in scale.spacing)
    numbers = row if row == column else f"{row} × {column}"
    return f"{numbers}, {_ORIGINS.get(scale.origin, scale.origin)}"


def found_text(findings: Findings) -> str:
    """Summarise an image: the number of lesions, and the size of the one with the longest axis."""
    count = len(findings.lesions)
    if not count:
        return "No lesion found" if findings.assessable else "Not assessed: hardly any contrast"
    longest = axes_text(max(findings.lesions, key=lambda lesion: (lesion.unit == "mm", lesion.longest_axis)))
    return f"1 lesion, {longest}" if count == 1 else f"{count} lesions, the longest {longest}"


def count_text(counts: ResultCounts, refused: int, referred: int = 0) -> str:
    """Summarise a run: its lesions, its images by what was found, and the files refused."""
    parts = [f"{counted(counts.lesions, 'lesion')} in {counted(counts.images, 'image')}"]
    if counts.without:
        parts.append(f"{counts.without:,} without a lesion")
    if counts.not_assessed:
        parts.append(f"{counts.not_assessed:,} not assessed (no contrast)")
    if counts.unlike_training:
        parts.append(f"{counts.unlike_training:,} unlike the training data (see the report)")
    if referred:
        parts.append(f"{counted(referred, 'image')} referred for review")
    if refused:
        parts.append(f"{counted(refused, 'file')} refused")
    return "; ".join(parts) + "."


def spacing_notes(counts: ResultCounts) -> list[str]:
    """List the reasons for sizes in pixels, and the pixel spacings that are not from the file."""
    common = sorted(counts.reasons.items(), key=lambda item: -item[1])
    notes = [pixels_note(reason, counted(count, "lesion")) for reason, count in common[:REASONS]]
    if len(common) > REASONS:
        rest = counted(sum(count for _, count in common[REASONS:]), "lesion")
        notes.append(f"{rest} measured in pixels for other reasons: see the table.")
    notes += [
        f"{counted(count, 'lesion')} measured with the pixel spacing of the {origin}. Caution: "
        f"{'; '.join(cautions(origin))}."
        for origin, count in counts.with_caution.items()
    ]
    if counts.given:
        notes.append(f"{counted(counts.given, 'lesion')} measured with the spacing of --spacing.")
    if counts.tabled:
        notes.append(f"{counted(counts.tabled, 'lesion')} measured with spacings from a table.")
    return notes


def counted(count: int, noun: str) -> str:
    """Format a count with its noun: "1 file", "2 files"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def pair_text(pair: Pair) -> tuple[str, str]:
    """Summarise two views of a lesion at right angles: its three dimensions, and the volume."""
    digits = 1 if pair.unit == "mm" else 0
    sizes = " × ".join(f"{size:.{digits}f}" for size in pair.dimensions)
    volume = f"{pair.volume / 1000:.2f} ml" if pair.unit == "mm" else f"{pair.volume:,.0f} px³"
    return (
        f"Three dimensions: {sizes} {pair.unit}",
        f"Volume as an ellipsoid: {volume}. The two views share the {SHARED}.",
    )
