"""`sonoseg experiment`: variants over folds and seeds, or a search for a recipe's values, from one plan."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out, print_json


class PoolChoice(StrEnum):
    """What starts the processes."""

    local = "local"
    ray = "ray"


def experiment(
    plan: Annotated[Path, typer.Argument(help="The plan, a YAML file: see docs/experiments.md.")],
    to: Annotated[Path, typer.Option("--out", "-o", help="The folder of all runs and of the table.")],
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once, which share the cores.")] = 1,
    pool: Annotated[
        PoolChoice,
        typer.Option(help="What starts them: this command, or Ray, here or on the cluster at RAY_ADDRESS."),
    ] = PoolChoice.local,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the plan and show what remains to do; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the table to stdout as JSON.")] = False,
) -> None:
    """Train and evaluate every variant of a plan, or search for the best values of a recipe; write one table.

    An interrupted experiment resumes with the same command. A run that fails stops no other.
    """
    require("train", "torch", "accelerate", "onnx", "onnxscript", "safetensors", "yaml", "pandas", "sklearn")
    require("data", "matplotlib")
    from sonoseg.cli.experiment_output import show_change, show_failures, show_steps, show_table
    from sonoseg.errors import UsageError
    from sonoseg.experiments.executor import LocalPool
    from sonoseg.experiments.experiment_folder import ExperimentFolder
    from sonoseg.experiments.experiment_run import current_table, run_experiment
    from sonoseg.experiments.plan import SearchPlan
    from sonoseg.training import distributed

    if distributed.count() > 1:
        raise UsageError("an experiment cannot be started by torchrun", remedy="Use --jobs or --pool ray")
    opened = ExperimentFolder(plan, to)
    search = isinstance(opened.plan, SearchPlan)
    if search:
        require("tune", "optuna")
    executor: Any = LocalPool(jobs)
    if pool is PoolChoice.ray:
        require("scale", "ray")
        from sonoseg.experiments.ray_pool import RayPool

        executor = RayPool(jobs)
    if dry_run:
        if not search:
            show_steps(opened.steps(executor.threads), as_json)
        else:
            (print_json if as_json else show_table)(current_table(opened))
        return
    try:
        report = run_experiment(opened, executor=executor, on_change=show_change)
    except KeyboardInterrupt:
        err.print("interrupted; finished runs are kept, and the same command resumes")
        raise
    if as_json:
        print_json(report.as_json())
    else:
        show_table(report.table)
        out.print(f"table: {report.folder / 'table.md'}", markup=False, soft_wrap=True)
    if not search:
        show_failures(report.failed)
    report.check()
