"""The tables that `sonoseg measure` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.common import err, out
from sonoseg.image.calibration import pixels_note
from sonoseg.lesions.measurement import PLANE_NOTE
from sonoseg.results.formatting import area_text, axes_text, pair_text, size_text

if TYPE_CHECKING:
    from sonoseg.results.mask_measurements import MaskMeasurements


def print_tables(found: MaskMeasurements) -> None:
    """Print a table of lesions, why sizes are in pixels, the pair, and the research-only notice."""
    table = Table("Mask", box=SIMPLE, pad_edge=False)
    # Line breaks in the headers leave room for the masks' names on a terminal of 80 columns.
    for title in ("Lesion", "Longest axis ×\nperpendicular", "Height /\nwidth", "Area", "Depth"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("Description", overflow="fold")
    for one in found.measured:
        name = Text(one.path.stem, overflow="fold")
        for lesion in one.findings.lesions:
            words = (lesion.orientation, lesion.echo_level, lesion.posterior)
            table.add_row(
                name,
                str(lesion.number),
                axes_text(lesion),
                f"{lesion.height_width_ratio:.2f}",
                area_text(lesion.area, lesion.unit),
                size_text(lesion.depth, lesion.unit),
                "\n".join(word for word in words if word),
            )
        if not one.findings.lesions:
            table.add_row(name, "none")
    if found.measured:
        out.print(table)
    for reason in dict.fromkeys(reason for one in found.measured for reason in one.findings.reasons):
        out.print(escape(pixels_note(reason)), soft_wrap=True)
    if found.pair is None:
        out.print(PLANE_NOTE, soft_wrap=True)
    else:
        for line in pair_text(found.pair):
            out.print(line, soft_wrap=True)
        for warning in found.pair.warnings:
            err.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True)
    out.print(RESEARCH_ONLY, style="bold")
