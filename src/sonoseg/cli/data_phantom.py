"""`sonoseg data phantom`: synthetic scans as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonoseg.cli.common import out, print_json, progress
from sonoseg.cli.data_options import JsonOption, OverwriteOption


def phantom(
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write images, masks and table to.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the first; the others follow.")] = 0,
    kind: Annotated[
        str | None, typer.Option(help="cyst, oval, spiculated or normal; mixed by default.")
    ] = None,
    style: Annotated[
        str | None, typer.Option(help="Scanner style: clear, soft, hard or dark; mixed by default.")
    ] = None,
    size_mm: Annotated[float | None, typer.Option(help="The lesion's longest axis, mm.")] = None,
    depth_mm: Annotated[float | None, typer.Option(help="The lesion's depth, mm.")] = None,
    spacing: Annotated[float | None, typer.Option(help="mm per pixel.")] = None,
    marks: Annotated[bool, typer.Option("--marks", help="Draw callipers and text on them.")] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Generate synthetic B-mode scans with exact masks and pixel spacing, as a data set free to share."""
    from sonoseg.data.phantoms import write_phantoms

    table = write_phantoms(
        to,
        count,
        seed,
        overwrite=overwrite,
        track=progress,
        kind=kind,
        style=style,
        size_mm=size_mm,
        depth_mm=depth_mm,
        spacing=spacing,
        marks=marks,
    )
    if as_json:
        print_json({"folder": str(to), "table": str(table), "count": count, "seed": seed})
        return
    out.print(f"{count} phantoms in {to}, listed in {table.name}", markup=False, soft_wrap=True)
