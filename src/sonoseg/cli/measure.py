"""`sonoseg measure`: measure the lesions of masks that a person or another program made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json
from sonoseg.errors import BatchError, UsageError


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
    from sonoseg.cli.measure_output import print_tables
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
            print_tables(found)
            if to is not None:
                out.print(f"Written: {escape(str(to))}", soft_wrap=True)
        for one in (*found.refused, *unwritten):
            err.print(f"[yellow]refused:[/] {escape(one.file)}: {escape(one.reason)}", soft_wrap=True)
        if found.refused:
            raise BatchError(f"{len(found.refused)} of {len(paths)} masks could not be measured")
        if unwritten:
            raise BatchError(f"{len(unwritten)} of {len(paths)} overlays could not be written")
