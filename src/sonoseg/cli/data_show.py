"""`sonoseg data show`: figures of a prepared set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import out
from sonoseg.cli.data_options import OverwriteOption
from sonoseg.errors import OutputError


def show(
    data: Annotated[Path, typer.Argument(help="A prepared set.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the figures to.")],
    seed: Annotated[int, typer.Option(help="Seed of the random choice of fifteen images.")] = 0,
    overwrite: OverwriteOption = False,
) -> None:
    """Draw 3 x 5 images with their masks, filled and outlined, and the composition of the set."""
    require("data", "pandas", "matplotlib")
    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.sampling import sample
    from sonoseg.plots.data_set import GridItem, composition, image_grid
    from sonoseg.plots.style import save

    names = {kind: to / f"{kind}.png" for kind in ("filled", "outlined", "composition")}
    for path in names.values():
        if path.exists() and not overwrite:
            raise OutputError("the file exists", where=path, remedy="Use --overwrite, or another --out")
    prepared = PreparedSet.open(data)
    items: list[GridItem] = [
        {
            "id": name,
            "pixels": prepared.frame(name).pixels,
            "mask": prepared.mask(name),
            "label": str(prepared.table.at[name, "label"]),
        }
        for name in sample(prepared.table, 15, seed)
    ]
    save(image_grid(items, "filled"), names["filled"])
    save(image_grid(items, "outlined"), names["outlined"])
    save(composition(prepared.table), names["composition"])
    for path in names.values():
        out.print(f"written: {path}", markup=False, soft_wrap=True)
