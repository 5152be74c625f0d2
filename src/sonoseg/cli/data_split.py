"""`sonoseg data split`: divide a prepared set into folds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import out, print_json
from sonoseg.cli.data_options import JsonOption, MethodChoice, OverwriteOption, PolicyChoice
from sonoseg.errors import UsageError


def split(
    data: Annotated[Path, typer.Argument(help="A prepared set.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The split file to write (JSON).")],
    method: Annotated[
        MethodChoice | None,
        typer.Option(
            show_default="grouped",
            help="Keep patients and duplicates together, ignore them, use the published folds, or test on "
            "each set of a joined one in turn.",
        ),
    ] = None,
    policy: Annotated[
        PolicyChoice | None,
        typer.Option(
            show_default="all",
            help="All images, one of each group of duplicates, or also without objections.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=3,
            show_default="5",
            help="Number of folds; with leave-one-set-out one in so many images of a set validates.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(show_default="0", help="The same seed gives the same split.")
    ] = None,
    extend: Annotated[
        Path | None,
        typer.Option(
            help="Extend this split of a smaller set; the additional images train in every fold.",
        ),
    ] = None,
    narrow: Annotated[
        Path | None,
        typer.Option(
            help="Keep the test part of this split and a quarter of its validation part; the rest trains.",
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Divide a prepared set into folds, stratified by class, without splitting a group."""
    require("data", "pandas", "sklearn")
    from rich.table import Table

    from sonoseg.data.prepared_set import PreparedSet
    from sonoseg.data.splits import Split, extend_split, make_split, narrow_split, summarise

    prepared = PreparedSet.open(data)
    if extend is not None and narrow is not None:
        raise UsageError("--extend with --narrow", remedy="Use one, then the other on its output")
    given = extend or narrow
    if given is None:
        made = make_split(
            prepared,
            (method or MethodChoice.grouped).value,
            policy=(policy or PolicyChoice.all).value,
            folds=5 if folds is None else folds,
            seed=seed or 0,
        )
    elif any(value is not None for value in (method, policy, folds, seed)):
        raise UsageError(
            f"--method, --policy, --folds or --seed with --{'narrow' if extend is None else 'extend'}",
            remedy=f"Leave them out: they are taken from {given}",
        )
    else:
        made = (narrow_split if extend is None else extend_split)(Split.load(given), prepared)
    made.save(to, overwrite=overwrite)
    rows = summarise(made, prepared)
    if as_json:
        print_json(
            {
                "split": str(to),
                "method": made.method,
                "policy": made.policy,
                "seed": made.seed,
                "fingerprint": made.fingerprint,
                "folds": rows,
                "train_only": len(made.train_only),
                "dropped": len(made.dropped),
            }
        )
        return
    table = Table(title=f"{made.method} split, {made.policy}, seed {made.seed}")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    out.print(table)
    if made.train_only:
        out.print(f"{len(made.train_only)} images train in every fold and are never tested")
    if made.dropped:
        out.print(f"{len(made.dropped)} images dropped by the policy '{made.policy}'")
    out.print(f"written to {to}", markup=False, soft_wrap=True)
