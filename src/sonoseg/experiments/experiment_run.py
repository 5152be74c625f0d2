"""A study carried out: what is left to do is done, and the table is made of all there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonoseg._util.locks import locked
from sonoseg.experiments.executor import BUSY, GRACE, Executor, LocalPool, Outcome, Task, share_of_cores
from sonoseg.experiments.experiment_folder import LOCK, Cell, StudyFolder, cells_of
from sonoseg.experiments.experiment_table import make_table, write_table

if TYPE_CHECKING:
    from sonoseg.evaluation.evaluation import Evaluation

Tell = Callable[[Task, Outcome | None, str], None]
"""As `execute.Tell`, and how many of how many have ended: "3/12"."""


@dataclass(frozen=True)
class ExperimentReport:
    """How a study ended.

    folder: the study's. table: as in table.json. total: trainings and evaluations of the plan, done before
    or not. failed, left_out: those of this time that did not end well.
    """

    folder: Path
    table: dict[str, Any]
    total: int
    failed: list[Outcome]
    left_out: list[Outcome]

    def as_json(self) -> dict[str, Any]:
        """The table, and what failed, for a program."""
        failed = [
            {"name": one.task.name, "reason": one.reason, "log": str(one.task.log)} for one in self.failed
        ]
        left_out = [{"name": one.task.name, "reason": one.reason} for one in self.left_out]
        return {"folder": str(self.folder), "failed": failed, "left_out": left_out, "table": self.table}


def carry_out(
    study: StudyFolder,
    jobs: int = 1,
    tell: Tell = lambda *_: None,
    executor: Executor | None = None,
    threads: int | None = None,
) -> ExperimentReport:
    """Run what is not done yet, then write table.md, table.json and table.png of all that is there.

    jobs: processes at once. tell: called as each begins and ends. executor: in place of a LocalPool.
    threads: of each process; none: see `share_of_cores`.
    Raises OutputError where another process works in the folder, or it cannot be written.
    """
    layout = study.layout
    with locked(layout.folder / LOCK, *BUSY, patience=GRACE) as lock:
        study.begin()
        threads = threads or share_of_cores(jobs)
        steps = study.steps(threads)
        tasks = [step.task for step in steps if step.state != "done"]
        ended = len(steps) - len(tasks)

        def told(task: Task, outcome: Outcome | None) -> None:
            nonlocal ended
            ended += outcome is not None
            tell(task, outcome, f"{ended}/{len(steps)}")

        outcomes = (executor or LocalPool(jobs, threads, keep=(lock,))).run(tasks, told)
        table = make_table(study.plan, study.recipes, studies_in(study))
        write_table(table, layout.folder)
    return ExperimentReport(
        layout.folder,
        table,
        len(steps),
        [one for one in outcomes if one.end == "failed"],
        [one for one in outcomes if one.end == "left out"],
    )


def studies_in(study: StudyFolder) -> dict[str, dict[Cell, Evaluation]]:
    """Every evaluation that is done, by its name and cell. Raises DatasetError where one cannot be read."""
    from sonoseg.evaluation.evaluation import Evaluation

    done = {step.task.name for step in study.steps() if step.state == "done"}
    found: dict[str, dict[Cell, Evaluation]] = defaultdict(dict)
    for cell in cells_of(study.plan):
        for one in study.plan.evaluate:
            if f"studies/{one.name}/{cell.place}" in done:
                found[one.name][cell] = Evaluation.load(study.layout.study(one.name, cell))
    return found
