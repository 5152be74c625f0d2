"""`sonoseg tune`: a recipe's values searched for, on the validation part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json

if TYPE_CHECKING:
    from sonoseg.experiments.search import Search


def tune(
    plan: Annotated[Path, typer.Argument(help="The plan, a YAML file: see docs/tune.md.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder of all trials and of the table.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the plan and show the trials so far; write nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the table to stdout for a program to read.")
    ] = False,
) -> None:
    """Try values of a recipe, judge each trial on validation, and write the best recipe.

    Start the same command several times, on hosts that share the folder, and they share the search. Ended
    early, by whatever it was, it goes on. The test part is never opened.
    """
    require("train", "torch", "accelerate", "onnx", "onnxscript", "safetensors", "yaml", "pandas", "sklearn")
    require("tune", "optuna")
    from sonoseg.training.allocator import reexecute

    reexecute()
    from sonoseg.errors import ExperimentError, UsageError
    from sonoseg.experiments.search import Search
    from sonoseg.experiments.search_table import make_table, write_table
    from sonoseg.training import distributed as processes

    if processes.count() > 1:
        raise UsageError(
            "a search is not started by torchrun", remedy="Start the same command several times instead"
        )
    search = Search(plan, to)
    if dry_run:
        table = make_table(search)
    else:
        try:
            search.carry_out(tell=_tell)
        except KeyboardInterrupt:
            err.print("stopped; the trials are kept, and the same command goes on")
            raise
        table = write_table(search)
    if as_json:
        print_json(table)
    else:
        _show(search, dry_run)
    ended = [one for one in search.trials() if one.state != "running"]
    if ended and not dry_run and all(one.state == "failed" for one in ended):
        raise ExperimentError(
            f"all of {len(ended)} trials failed, the last with: {ended[-1].reason}",
            where=search.folder,
            remedy="Look into its trials; a failed one is not tried again",
        )


def _tell(number: int, what: str, words: str) -> None:
    """A line on stderr as a trial begins and ends, so that a log shows where a search stands."""
    err.print(f"trial {number} {what}" + (f": {escape(words)}" if words else ""), soft_wrap=True)


def _show(search: Search, dry_run: bool) -> None:
    from rich.table import Table

    from sonoseg import RESEARCH_ONLY
    from sonoseg.experiments.search_table import BEST, MARKDOWN, cells, counts, make_table

    heads, rows = cells(make_table(search))
    if rows:
        table = Table(*(escape(head) for head in heads))
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        out.print(table)
    number = counts(search.trials())
    found = ", ".join(f"{count} {state}" for state, count in number.items() if count) or "none begun"
    out.print(f"{search.plan.trials} trials: {found}")
    best = search.best()
    if best is not None and not dry_run:
        out.print(
            f"best: trial {best.number}, {search.plan.measure} {best.value:.4f} on validation",
            markup=False,
        )
        out.print(f"its recipe: {search.folder / BEST}", markup=False, soft_wrap=True)
        out.print(f"table: {search.folder / MARKDOWN}", markup=False, soft_wrap=True)
    out.print(RESEARCH_ONLY)
