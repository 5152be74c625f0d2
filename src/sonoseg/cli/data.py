"""`sonoseg data`: public sets and a user's own, from the archive to a split."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sonoseg.cli.common import err, need, out, print_json

app = typer.Typer(help="Public data sets and your own: list, get, check, prepare, split, show, phantom.")


class FitChoice(StrEnum):
    """How a picture is brought to the network's square."""

    stretch = "stretch"
    letterbox = "letterbox"


class MethodChoice(StrEnum):
    """How images are divided."""

    grouped = "grouped"
    random = "random"
    official = "official"


class PolicyChoice(StrEnum):
    """Which images take part."""

    all = "all"
    first_of_group = "first-of-group"
    strict = "strict"


SetOption = Annotated[
    str | None, typer.Option("--set", help="Read it as this set, whatever its layout looks like.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for a program to read.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


@app.command()
def prepare(
    sets: Annotated[
        list[str], typer.Argument(help="PATH or NAME=PATH of a set; several, apart or joined with '+'.")
    ],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder to write the prepared set to.")],
    size: Annotated[
        int, typer.Option(min=16, max=4096, help="Side of the memory-mapped arrays, pixels.")
    ] = 256,
    fit: Annotated[
        FitChoice, typer.Option(help="Stretch to the square, or keep the aspect.")
    ] = FitChoice.stretch,
    kind: SetOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn one set or several into a prepared set, fast to read and the same on every machine.

    Killed at any point and run again, it goes on. Images that cannot be used are left out and listed
    (exit code 3).
    """
    from sonoseg.cli.common import progress
    from sonoseg.datasets.prepare import prepare as run
    from sonoseg.datasets.readers import read_sources
    from sonoseg.errors import BatchError

    result = run(read_sources(sets, kind), to, size=size, fit=fit.value, overwrite=overwrite, track=progress)
    if as_json:
        print_json(
            {
                "folder": str(result.folder),
                "fingerprint": result.fingerprint,
                "images": result.images,
                "fresh": result.fresh,
                "skipped": [{"id": name, "reason": reason} for name, reason in result.skipped],
                "known": [{"id": name, "reason": reason} for name, reason in result.known],
            }
        )
    else:
        word = "prepared" if result.fresh else "already prepared"
        out.print(f"{word}: {result.images} images in {result.folder}", markup=False, soft_wrap=True)
        out.print(f"fingerprint {result.fingerprint[:12]}")
    for name, reason in result.known:
        err.print(f"left out {name}, a flaw of the published set: {reason}", markup=False, soft_wrap=True)
    for name, reason in result.skipped:
        err.print(f"left out {name}: {reason}", markup=False, soft_wrap=True)
    if result.skipped:
        raise BatchError(
            f"{len(result.skipped)} of {len(result.skipped) + result.images} images were left out",
            where=result.folder,
            remedy="Mend the files listed above and prepare with --overwrite, or go on without them",
        )


@app.command()
def split(
    data: Annotated[Path, typer.Argument(help="A prepared set.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The split file to write (JSON).")],
    method: Annotated[
        MethodChoice,
        typer.Option(help="Keep patients and duplicates together, ignore them, or use the published folds."),
    ] = MethodChoice.grouped,
    policy: Annotated[
        PolicyChoice, typer.Option(help="All images, one of each group of copies, or no objections either.")
    ] = PolicyChoice.all,
    folds: Annotated[int, typer.Option(min=3, help="Number of folds.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed gives the same split.")] = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Divide a prepared set into folds, stratified by class, no group across two of them."""
    need("data", "pandas", "sklearn")
    from rich.table import Table

    from sonoseg.datasets.prepared import PreparedSet
    from sonoseg.datasets.splits import make_split, summarise

    prepared = PreparedSet.open(data)
    made = make_split(prepared, method.value, policy=policy.value, folds=folds, seed=seed)
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
                "dropped": len(made.dropped),
            }
        )
        return
    table = Table(title=f"{method.value} split, {policy.value}, seed {seed}")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    out.print(table)
    if made.dropped:
        out.print(f"{len(made.dropped)} images dropped by the policy '{policy.value}'")
    out.print(f"written to {to}", markup=False, soft_wrap=True)
