"""Plans on phantoms, and an executor that trains nothing: its networks find what is dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sonoseg.cli.main import app
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import SonosegError
from sonoseg.experiments.executor import Outcome, Task, Tell
from sonoseg.training.recipe import load_recipe
from sonoseg.training.run_folder import Run

WritePlan = Callable[..., Path]


@pytest.fixture
def write_plan(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> WritePlan:
    """Write a plan of two variants and two seeds, with changes to its keys; None takes a key away."""

    def write(name: str = "plan.yaml", /, **changes: Any) -> Path:
        values = {
            "name": "gates",
            "recipe": "quick",
            "data": str(phantom_set),
            "split": str(phantom_split),
            "seeds": [0, 1],
            "set": {"epochs": 1, "data.size": 64},
            "variants": {"gates": {}, "none": {"network.gate": "none"}},
        } | changes
        path = tmp_path / name
        kept = {key: value for key, value in values.items() if value is not None}
        path.write_text(yaml.safe_dump(kept, sort_keys=False))
        return path

    return write


class Inside:
    """Carries tasks out in this process: a training leaves a model that finds what is dark.

    levels: the grey below which it does, by a part of the task's name. fail: parts of names that fail.
    """

    def __init__(
        self, make_model: Callable[..., Path], levels: dict[str, float], fail: Sequence[str]
    ) -> None:
        self.make_model, self.levels, self.fail = make_model, levels, fail
        self.ran: list[str] = []

    def run(self, tasks: Sequence[Task], tell: Tell) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {}
        for task in tasks:
            needed = outcomes.get(task.after or "")
            if needed is not None and needed.end != "done":
                outcomes[task.name] = Outcome(task, "left out", f"{needed.task.name} {needed.end}")
                continue
            self.ran.append(task.name)
            if any(part in task.name for part in self.fail):
                outcomes[task.name] = Outcome(task, "failed", "exit code 1")
                continue
            self._do(task)
            outcomes[task.name] = Outcome(task, "done")
            tell(task, outcomes[task.name])
        return [outcomes[task.name] for task in tasks]

    def _do(self, task: Task) -> None:
        if task.words[0] == "evaluate":
            done = CliRunner().invoke(app, list(task.words))
            if isinstance(done.exception, SonosegError):
                raise done.exception
            assert done.exit_code == 0, done.output
            return
        words = task.words
        given = dict(zip(words[1::2], words[2::2], strict=True))
        run = Run(Path(given["--out"]))
        recipe = load_recipe(given["--recipe"], [given["--set"]])
        prepared = PreparedSet.open(given["--data"])
        run.begin({"fingerprint": prepared.fingerprint, "fold": int(given["--fold"])}, recipe.yaml())
        Split.load(given["--split"]).save(run.split)
        level = next((level for part, level in self.levels.items() if part in task.name), 0.25)
        self.make_model(level=level).rename(run.model)


@pytest.fixture
def inside(make_dark_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Inside]:
    """Make such an executor; no evaluation draws figures."""
    monkeypatch.setattr("sonoseg.results.evaluation_folder.draw_figures", lambda *arrays: [])

    def make(levels: dict[str, float] | None = None, fail: Sequence[str] = ()) -> Inside:
        return Inside(make_dark_model, levels or {}, fail)

    return make
