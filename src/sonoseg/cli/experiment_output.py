"""What `sonoseg experiment` prints: progress, the steps of a dry run, and the table."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from sonoseg import RESEARCH_ONLY
from sonoseg.cli.common import err, out, print_json
from sonoseg.experiments.executor import last_lines
from sonoseg.experiments.experiment_table import sections

if TYPE_CHECKING:
    from sonoseg.experiments.executor import Outcome, Task
    from sonoseg.experiments.experiment_folder import Step


def show_change(task: Task, outcome: Outcome | None, position: str) -> None:
    """Print a line on stderr as a process starts and ends."""
    if outcome is None:
        note = f" ({task.note})" if task.note else ""
        text = escape(("resumed" if "--resume" in task.arguments else "started") + note)
    elif outcome.end == "done":
        result = f", {outcome.reason}" if outcome.reason else ""
        text = f"done in {_duration(outcome.seconds)}" + escape(result)
    else:
        text = f"[red]{outcome.end}[/] ({escape(outcome.reason)})"
    err.print(f"{position} {escape(task.name)}: {text}", soft_wrap=True)


def show_steps(steps: list[Step], as_json: bool) -> None:
    """Print each training and evaluation with its state."""
    if as_json:
        print_json(
            [
                {"name": one.task.name, "state": one.state, "command": ["sonoseg", *one.task.arguments]}
                for one in steps
            ]
        )
        return
    for one in steps:
        out.print(f"{one.state:6}{escape(one.task.name)}", soft_wrap=True)
    for kind, plural in (("train", "trainings"), ("evaluate", "evaluations")):
        own = [one for one in steps if one.kind == kind]
        out.print(f"{len(own)} {plural}, {sum(one.state != 'done' for one in own)} of them to do")


_FILE_ONLY = ("missed, smallest quarter", "foreground ECE", "parameters", "GMAC")
"""Columns for which a terminal is too narrow."""


def show_table(table: dict[str, Any]) -> None:
    """Print the tables, their cautions and a search's best trial."""
    for section in sections(table):
        kept = [column for column, head in enumerate(section.heads) if head not in _FILE_ONLY]
        titles = [escape(section.heads[column]) for column in kept]
        shown = Table(*titles, title=escape(section.title), title_justify="left")
        for row in section.rows:
            shown.add_row(*(escape(row[column]) for column in kept))
        out.print(shown)
    for caution in dict.fromkeys(text for one in table["evaluations"] for text in one["cautions"]):
        out.print(f"[yellow]caution:[/] {escape(caution)}")
    if table["search"] is not None:
        states = Counter(one["state"] for one in table["search"]["trials"])
        counts = ", ".join(f"{count} {state}" for state, count in states.items()) or "none started"
        out.print(f"{table['search']['planned']} trials: {counts}")
        if table["search"]["best"] is not None:
            out.print(f"best: trial {table['search']['best']}; its recipe is best.yaml in the folder")
    out.print(RESEARCH_ONLY)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def show_failures(failed: list[Outcome]) -> None:
    """Print the end of each failed task's log on stderr."""
    for one in failed:
        err.print(
            f"[bold red]{escape(one.task.name)}[/] failed ({escape(one.reason)}); the end of its log, "
            f"{escape(str(one.task.log))}:",
            soft_wrap=True,
        )
        for line in last_lines(one.task.log):
            err.print(f"    {escape(line)}", soft_wrap=True)
