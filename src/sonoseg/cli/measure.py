"""`sonoseg measure`: measure the lesions of masks that a person or another program made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sonoseg import RESEARCH_ONLY
from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json
from sonoseg.errors import BatchError, UsageError

if TYPE_CHECKING:
    from sonoseg.results.mask_measurements import MaskMeasurements


def measure(
    masks: Annotated[
        list[str] | None, typer.Argument(help="Masks, folders of masks (with sub-folders), or globs.")
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image", "-i", help="The mask's image, or a folder of images of like names: for the echoes."
        ),
    ] = None,
    pair: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--pair", help="Masks of two views at right angles: three dimensions and the volume."),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(help="Pixel spacing in mm, one number or ROW,COLUMN; sizes are in px without it."),
    ] = None,
    keep_burned_in: Annotated[
        bool,
        typer.Option(
            "--keep-burned-in", help="Keep what lies outside a DICOM image's scan regions, names included."
        ),
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a CSV, a JSON and overlays to this folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    xlsx: Annotated[
        bool, typer.Option("--xlsx", help="Also write a workbook for spreadsheets, to --out.")
    ] = False,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Leave patient and study of DICOM images out of the tables.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure the lesions of masks: sizes, orientation, shape and, with their images, echoes.

    No network is used. Masks that cannot be used are refused and listed at the end; the exit code is then 3.
    """
    from sonoseg.cli.options import parse_spacing
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.results.mask_measurements import find_masks, measure_masks, overlay_names, require_free

    if xlsx:
        if to is None:
            raise UsageError("--xlsx without --out", remedy="Give a folder with --out")
        require("xlsx", "xlsxwriter")
    spacing_mm = None if spacing is None else parse_spacing(spacing)
    with plain_warnings():
        paths = find_masks(masks or [], pair=pair, out=to)
        names = overlay_names(paths)
        if to is not None and not overwrite:
            require_free(to, names)
        found = measure_masks(
            paths,
            image=image,
            pair=pair,
            spacing=spacing_mm,
            keep_burned_in=keep_burned_in,
            anonymise=anonymise,
        )
        unwritten = [] if to is None else found.write(to, names, xlsx=xlsx)
        if as_json:
            print_json(found.to_object())
        else:
            _print_tables(found)
            if to is not None:
                out.print(f"Written: {escape(str(to))}", soft_wrap=True)
        for one in (*found.refused, *unwritten):
            err.print(f"[yellow]refused:[/] {escape(one.file)}: {escape(one.reason)}", soft_wrap=True)
        if found.refused:
            raise BatchError(f"{len(found.refused)} of {len(paths)} masks could not be measured")
        if unwritten:
            raise BatchError(f"{len(unwritten)} of {len(paths)} overlays could not be written")


def _print_tables(found: MaskMeasurements) -> None:
    """Print a table of lesions, why sizes are in pixels, the pair, and the research-only notice."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from sonoseg.image.calibration import pixels_note
    from sonoseg.lesions.measurement import PLANE_NOTE
    from sonoseg.results.formatting import area_text, axes_text, pair_text, size_text

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
