"""`sonoseg tune`, as a user calls it; the training itself is pretended but for its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from sonoseg.cli.main import app
from sonoseg.errors import ExperimentError, MissingExtra, TrainingError, UsageError
from sonoseg.training.run_folder import Run


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["tune", *map(str, words)], env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def plan(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> Path:
    values = {
        "name": "rates",
        "recipe": "quick",
        "data": str(phantom_set),
        "split": str(phantom_split),
        "set": {"epochs": 2, "data.size": 64},
        "search": {"optimiser.rate": {"low": 1e-4, "high": 1e-1, "log": True}},
        "trials": 3,
    }
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trains nothing: the Dice is the rate. What is put in the list fails every trial with those words."""
    failures: list[str] = []

    def train(recipe: Any, prepared: Any, split: Any, out: Path, *, report: Any, **_: Any) -> None:
        if failures:
            raise TrainingError(failures[0])
        folder = Run(out)
        folder.begin({}, recipe.yaml())
        entry = {"epoch": 1, "split": "validation", "dice": recipe.optimiser.rate}
        folder.log.write_text(json.dumps(entry) + "\n")
        report(0, 1, 1, {"train": {}, "validation": entry})

    monkeypatch.setattr("sonoseg.training.train.train", train)
    return failures


def test_from_a_plan_to_the_best_recipe(plan: Path, pretended: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    checked = run(plan, "--out", out, "--dry-run")
    assert checked.exit_code == 0, checked.output
    assert "3 trials: none begun" in checked.stdout
    assert not out.exists()
    done = run(plan, "--out", out)
    assert done.exit_code == 0, done.output
    assert "trial 0 begins: optimiser.rate" in done.stderr
    assert "trial 2 done: dice" in done.stderr
    assert "3 trials: 3 done" in done.stdout
    assert "Research software" in done.stdout
    table = json.loads(run(plan, "--out", out, "--json").stdout)
    rates = [one["values"]["optimiser.rate"] for one in table["trials"]]
    assert table["best"] == rates.index(max(rates))
    assert yaml.safe_load((out / "best.yaml").read_text())["optimiser"]["rate"] == max(rates)


def test_when_every_trial_fails(plan: Path, pretended: list[str], tmp_path: Path) -> None:
    pretended.append("the loss is no longer a number")
    done = run(plan, "--out", tmp_path / "out")
    assert isinstance(done.exception, ExperimentError)
    assert "all of 3 trials failed, the last with: the loss is no longer a number" in str(done.exception)


def test_what_it_needs(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert isinstance(run(plan, "--out", tmp_path / "out").exception, UsageError)
    monkeypatch.setattr("sonoseg.cli.common.find_spec", lambda name: None if name == "optuna" else object())
    absent = run(plan, "--out", tmp_path / "out").exception
    assert isinstance(absent, MissingExtra)
    assert "pip install 'sonoseg[tune]'" in str(absent)
