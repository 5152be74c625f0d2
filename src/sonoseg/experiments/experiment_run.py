"""An experiment run: what remains to do is done, and the table is made of everything there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sonoseg._util.files import atomic_write_text
from sonoseg._util.locks import locked
from sonoseg.errors import ExperimentError, UsageError
from sonoseg.evaluation.evaluation import Evaluation
from sonoseg.experiments.executor import BUSY, GRACE, Executor, LocalPool, Outcome, Task
from sonoseg.experiments.experiment_folder import LOCK, ExperimentFolder, evaluation_task
from sonoseg.experiments.experiment_table import search_table, variant_table, write_table
from sonoseg.experiments.plan import Cell, SearchPlan, VariantPlan

BEST = "best.yaml"
OnChange = Callable[[Task, Outcome | None, str], None]
"""Called with a task when it starts (None) and ends, and with how many of how many have ended: "3/12"."""


@dataclass(frozen=True)
class ExperimentReport:
    """How an experiment ended.

    table: as in table.json. outcomes: of the tasks run this time. total: tasks of the plan.
    """

    folder: Path
    table: dict[str, Any]
    outcomes: list[Outcome]
    total: int

    @property
    def failed(self) -> list[Outcome]:
        """The tasks that failed."""
        return [one for one in self.outcomes if one.end == "failed"]

    @property
    def skipped(self) -> list[Outcome]:
        """The tasks that were skipped, since the one before them failed."""
        return [one for one in self.outcomes if one.end == "skipped"]

    def check(self) -> None:
        """Raise ExperimentError where a run of variants failed, or every trial of a search."""
        if self.table["search"] is not None:
            ended = [one for one in self.table["search"]["trials"] if one["state"] != "running"]
            if ended and all(one["state"] == "failed" for one in ended):
                raise ExperimentError(
                    f"all of {len(ended)} trials failed, the last with: {ended[-1]['reason']}",
                    where=self.folder,
                    remedy="See their logs; a failed trial is not repeated",
                )
        elif self.failed:
            raise ExperimentError(
                f"{len(self.failed)} of {self.total} trainings and evaluations failed, "
                f"and {len(self.skipped)} that need them were skipped",
                where=self.folder,
                remedy="Correct what their logs name; the same command retries them",
            )

    def as_json(self) -> dict[str, Any]:
        """The table, and what failed, for a program to read."""
        failed = [
            {"name": one.task.name, "reason": one.reason, "log": str(one.task.log)} for one in self.failed
        ]
        skipped = [{"name": one.task.name, "reason": one.reason} for one in self.skipped]
        return {"folder": str(self.folder), "failed": failed, "skipped": skipped, "table": self.table}


def run_experiment(
    plan: str | Path | ExperimentFolder,
    folder: str | Path | None = None,
    *,
    jobs: int = 1,
    executor: Executor | None = None,
    on_change: OnChange = lambda *_: None,
) -> ExperimentReport:
    """Run what a plan has left to do in `folder`, then write table.md, table.json and table.png.

    plan: a plan's file, or an ExperimentFolder, which needs no `folder`. jobs: processes at once on this
    machine. executor: in place of a LocalPool of so many.
    A run that fails stops no other: see the report. Raises OutputError where another process works in the
    folder, or it cannot be written, and what ExperimentFolder raises.
    """
    if isinstance(plan, ExperimentFolder):
        experiment = plan
    elif folder is None:
        raise UsageError("a plan needs a folder for its runs", remedy="Give run_experiment a folder")
    else:
        experiment = ExperimentFolder(plan, folder)
    executor = executor or LocalPool(jobs)
    if isinstance(experiment.plan, SearchPlan):
        from sonoseg.experiments.search import Search

        outcomes, total = Search(experiment).train(executor, on_change), experiment.plan.trials
        table = write_tables(experiment)
        return ExperimentReport(experiment.folder, table, outcomes, total)
    with locked(experiment.folder / LOCK, *BUSY, patience=GRACE) as lock:
        experiment.begin()
        steps = experiment.steps(executor.threads)
        tasks = [replace(step.task, locks=(lock,)) for step in steps if step.state != "done"]
        ended = len(steps) - len(tasks)

        def changed(task: Task, outcome: Outcome | None) -> None:
            nonlocal ended
            ended += outcome is not None
            on_change(task, outcome, f"{ended}/{len(steps)}")

        outcomes = executor.run(tasks, changed)
        return ExperimentReport(experiment.folder, write_tables(experiment), outcomes, len(steps))


def write_tables(experiment: ExperimentFolder) -> dict[str, Any]:
    """Write the table of what is there, and best.yaml of a search with a done trial; return the table."""
    table = current_table(experiment)
    write_table(table, experiment.folder)
    if isinstance(experiment.plan, SearchPlan) and table["search"]["best"] is not None:
        best = table["search"]["trials"][table["search"]["best"]]
        atomic_write_text(experiment.folder / BEST, experiment.plan.recipe_of(best["values"]).yaml())
    return table


def current_table(experiment: ExperimentFolder) -> dict[str, Any]:
    """The table of what is there, as in table.json. Raises DatasetError, OutputError."""
    if isinstance(experiment.plan, SearchPlan):
        from sonoseg.experiments.search import Search

        return search_table(experiment.plan, Search(experiment).trials())
    found = done_evaluations(experiment)
    return variant_table(experiment.plan, experiment.recipes, found, experiment.folds_of)


def done_evaluations(experiment: ExperimentFolder) -> dict[str, dict[Cell, Evaluation]]:
    """Every evaluation of a plan of variants that is done, by name and cell. Raises DatasetError."""
    done = {step.task.name for step in experiment.steps() if step.state == "done"}
    found: dict[str, dict[Cell, Evaluation]] = defaultdict(dict)
    if isinstance(experiment.plan, VariantPlan):
        for cell in experiment.plan.cells:
            for one in experiment.plan.evaluate:
                if evaluation_task(one.name, cell) in done:
                    found[one.name][cell] = Evaluation.load(experiment.evaluation(one.name, cell))
    return found
