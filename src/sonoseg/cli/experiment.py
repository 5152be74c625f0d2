"""`sonoseg experiment`: folds, seeds and variants from one plan, to one table."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json

if TYPE_CHECKING:
    from sonoseg.experiments.executor import Outcome, Task
    from sonoseg.experiments.experiment_folder import Step
    from sonoseg.experiments.experiment_run import ExperimentReport


class PoolChoice(StrEnum):
    """Who starts the processes."""

    local = "local"
    ray = "ray"


def experiment(
    plan: Annotated[Path, typer.Argument(help="The plan, a YAML file: see docs/study.md.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder of all runs and of the table.")],
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes at once; the cores are shared out among them.")
    ] = 1,
    pool: Annotated[
        PoolChoice,
        typer.Option(help="Who starts them: this command, or Ray, here or on the cluster at RAY_ADDRESS."),
    ] = PoolChoice.local,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the plan and show what would run; write nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write the table to stdout for a program to read.")
    ] = False,
) -> None:
    """Train and measure every variant of a plan, with every seed and on every fold; ends with one table.

    Ended early, by whatever it was, the same command goes on. A run that fails does not stop the others.
    """
    require("train", "torch", "accelerate", "onnx", "onnxscript", "safetensors", "yaml", "pandas", "sklearn")
    require("data", "matplotlib")
    from sonoseg.errors import ExperimentError
    from sonoseg.experiments.executor import share_of_cores
    from sonoseg.experiments.experiment_folder import StudyFolder
    from sonoseg.experiments.experiment_run import carry_out

    opened = StudyFolder(plan, to)
    if dry_run:
        _show_steps(opened.steps(share_of_cores(jobs)), as_json)
        return
    try:
        if pool is PoolChoice.ray:
            require("scale", "ray")
            from sonoseg.experiments.ray_pool import RayPool

            ray_pool = RayPool(jobs)
            report = carry_out(opened, jobs, _Teller().tell, ray_pool, ray_pool.threads)
        else:
            report = carry_out(opened, jobs, _Teller().tell)
    except KeyboardInterrupt:
        err.print("stopped; what is done is kept, and the same command goes on")
        raise
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    if report.failed:
        _show_failed(report.failed)
        raise ExperimentError(
            f"{len(report.failed)} of {report.total} trainings and evaluations failed, "
            f"and {len(report.left_out)} stood on them",
            where=opened.layout.folder,
            remedy="Mend what their logs say; the same command runs them again, and nothing that is done",
        )


_ON_FILE_ONLY = ("missed, smallest quarter", "ECE, foreground", "parameters", "GMAC")
"""Columns for which a terminal is too narrow."""


class _Teller:
    """A line on stderr as a process begins and ends, so that a log shows where a study stands."""

    def tell(self, task: Task, outcome: Outcome | None, place: str) -> None:
        name = escape(task.name)
        if outcome is None:
            err.print(
                f"{place} {name}: {'goes on' if '--resume' in task.words else 'begins'}", soft_wrap=True
            )
        elif outcome.end == "done":
            err.print(f"{place} {name}: done in {_duration(outcome.seconds)}", soft_wrap=True)
        else:
            err.print(f"{place} {name}: [red]{outcome.end}[/] ({escape(outcome.reason)})", soft_wrap=True)


def _show_steps(steps: list[Step], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {"name": one.task.name, "state": one.state, "command": ["sonoseg", *one.task.words]}
                for one in steps
            ]
        )
        return
    for one in steps:
        out.print(f"{one.state:6}{escape(one.task.name)}", soft_wrap=True)
    for kind, word in (("train", "trainings"), ("evaluate", "evaluations")):
        own = [one for one in steps if one.kind == kind]
        left = sum(one.state != "done" for one in own)
        out.print(f"{len(own)} {word}, {left} of them to do")


def _show(report: ExperimentReport) -> None:
    from rich.table import Table

    from sonoseg import RESEARCH_ONLY
    from sonoseg.experiments.experiment_table import MARKDOWN, difference_cells, figure_cells

    for evaluation in report.table["evaluations"]:
        for heads, cells in (figure_cells(report.table, evaluation), difference_cells(evaluation)):
            if cells:
                keep = [place for place, head in enumerate(heads) if head not in _ON_FILE_ONLY]
                titles = [escape(heads[place]) for place in keep]
                shown = Table(*titles, title=escape(evaluation["name"]), title_justify="left")
                for row in cells:
                    shown.add_row(*(escape(row[place]) for place in keep))
                out.print(shown)
        for caution in evaluation["cautions"]:
            out.print(f"[yellow]caution:[/] {escape(caution)}")
    out.print(f"table: {report.folder / MARKDOWN}", markup=False, soft_wrap=True)
    out.print(RESEARCH_ONLY)


def _show_failed(failed: list[Outcome]) -> None:
    from sonoseg.experiments.executor import last_lines

    for one in failed:
        err.print(
            f"[bold red]{escape(one.task.name)}[/] failed ({escape(one.reason)}); the end of its log, "
            f"{escape(str(one.task.log))}:",
            soft_wrap=True,
        )
        for line in last_lines(one.task.log):
            err.print(f"    {escape(line)}", soft_wrap=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
