"""Plans on phantoms, and executors that train nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sonoseg.cli.main import app
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import SonosegError
from sonoseg.experiments.executor import OnChange, Outcome, Task
from sonoseg.training.recipe import Recipe, load_recipe
from sonoseg.training.run_folder import Run

WritePlan = Callable[..., Path]


def write_yaml(path: Path, values: dict[str, Any]) -> Path:
    kept = {key: value for key, value in values.items() if value is not None}
    path.write_text(yaml.safe_dump(kept, sort_keys=False))
    return path


@pytest.fixture
def write_plan(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> WritePlan:
    """Write a plan of two variants and two seeds, with changes to its keys; None removes a key."""

    def write(name: str = "plan.yaml", /, **changes: Any) -> Path:
        values = {
            "name": "gates",
            "recipe": "quick",
            "data": str(phantom_set),
            "split": str(phantom_split),
            "seeds": [0, 1],
            "set": {"epochs": 1, "data.size": 64},
            "variants": {"gates": {}, "none": {"network.gate": "none"}},
        }
        return write_yaml(tmp_path / name, values | changes)

    return write


@pytest.fixture
def write_search(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> WritePlan:
    """Write a plan of six trials over three keys, with changes to its keys; None removes a key."""

    def write(name: str = "plan.yaml", /, **changes: Any) -> Path:
        values = {
            "name": "rates",
            "recipe": "quick",
            "data": str(phantom_set),
            "split": str(phantom_split),
            "set": {"epochs": 3, "data.size": 64},
            "search": {
                "optimiser.rate": {"low": 1e-4, "high": 1e-1, "log": True},
                "batch": {"low": 4, "high": 16, "step": 4},
                "loss.kind": ["bce", "dice-bce"],
            },
            "trials": 6,
            "prune": {"kind": "none"},
        }
        return write_yaml(tmp_path / name, values | changes)

    return write


class Inside:
    """An executor in this process: a training leaves a model that finds what is dark.

    levels: the grey below which it does, by a part of the task's name. fail: parts of names that fail.
    """

    jobs, threads = 1, None

    def __init__(
        self, make_model: Callable[..., Path], levels: dict[str, float], fail: Sequence[str]
    ) -> None:
        self.make_model, self.levels, self.fail = make_model, levels, fail
        self.ran: list[str] = []

    def run(self, tasks: Iterable[Task], on_change: OnChange = lambda *_: None, *_: object) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {}
        for task in tasks:
            needed = outcomes.get(task.after or "")
            if needed is not None and needed.end != "done":
                outcomes[task.name] = Outcome(task, "skipped", f"{needed.task.name} {needed.end}")
                continue
            self.ran.append(task.name)
            if any(part in task.name for part in self.fail):
                outcomes[task.name] = Outcome(task, "failed", "exit code 1")
                continue
            self._do(task)
            outcomes[task.name] = Outcome(task, "done")
            on_change(task, outcomes[task.name])
        return list(outcomes.values())

    def _do(self, task: Task) -> None:
        if task.arguments[0] == "evaluate":
            invoke(task)
            return
        run, recipe, given = start(task)
        prepared = PreparedSet.open(given["--data"])
        run.begin({"fingerprint": prepared.fingerprint, "fold": int(given["--fold"])}, recipe.yaml())
        Split.load(given["--split"]).save(run.split)
        level = next((level for part, level in self.levels.items() if part in task.name), 0.25)
        self.make_model(level=level).rename(run.model)


def start(task: Task) -> tuple[Run, Recipe, dict[str, str]]:
    """The run of a training's task, its recipe and its options."""
    arguments = [one for one in task.arguments[1:] if one != "--resume"]
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    run = Run(Path(given["--out"]))
    recipe = (
        load_recipe(given["--recipe"], [given["--set"]]) if "--recipe" in given else load_recipe(run.recipe)
    )
    return run, recipe, given


def invoke(task: Task) -> None:
    done = CliRunner().invoke(app, list(task.arguments))
    if isinstance(done.exception, SonosegError):
        raise done.exception
    assert done.exit_code == 0, done.output


class Pretend:
    """An executor of trials: the nearer the rate to 0.01 the better, and a little more so each epoch.

    fail: whether a trial of this recipe fails. stop: called with each epoch, may raise anything.
    """

    jobs, threads = 1, None

    def __init__(
        self,
        fail: Callable[[Recipe], bool] = lambda _: False,
        stop: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.fail, self.stop = fail, stop
        self.ran: list[tuple[str, bool]] = []

    def run(
        self, tasks: Iterable[Task], on_change: OnChange, should_stop: Callable[[Task], str]
    ) -> list[Outcome]:
        outcomes = []
        for task in tasks:
            on_change(task, None)
            outcomes.append(self._train(task, should_stop))
            on_change(task, outcomes[-1])
        return outcomes

    def _train(self, task: Task, should_stop: Callable[[Task], str]) -> Outcome:
        run, recipe, _ = start(task)
        resume = "--resume" in task.arguments
        self.ran.append((task.name.split("/")[1], resume))
        if not resume:
            run.begin({"seed": recipe.seed}, recipe.yaml())
            run.split.write_text("{}")
        if self.fail(recipe):
            task.log.parent.mkdir(parents=True, exist_ok=True)
            task.log.write_text("epoch 1\nerror: the loss is no longer a number.\n")
            return Outcome(task, "failed", "exit code 1")
        lines: list[dict[str, Any]] = []
        for epoch in range(recipe.epochs):
            self.stop(epoch)
            dice = 0.9 - 0.1 * abs(math.log10(recipe.optimiser.rate) + 2) + 0.01 * epoch
            common = {"epoch": epoch + 1, "false_positive_rate": None}
            lines.append(common | {"split": "train", "dice": 0.99, "loss": 0.0})
            lines.append(common | {"split": "validation", "dice": dice, "loss": 1 - dice})
            run.log.write_text("".join(json.dumps(line) + "\n" for line in lines))
            if reason := should_stop(task):
                return Outcome(task, "stopped", reason)
        return Outcome(task, "done")


@pytest.fixture
def pretend() -> type[Pretend]:
    return Pretend


@pytest.fixture
def inside(make_dark_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Inside]:
    """Make such an executor; no evaluation draws figures."""
    monkeypatch.setattr("sonoseg.results.evaluation_folder.draw_figures", lambda *arrays: [])

    def make(levels: dict[str, float] | None = None, fail: Sequence[str] = ()) -> Inside:
        return Inside(make_dark_model, levels or {}, fail)

    return make
