"""`sonoseg experiment`, as a user calls it: tiny real trainings, one of them killed, and a search."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from typer.testing import CliRunner, Result

from sonoseg.cli.main import app
from sonoseg.errors import ExperimentError, MissingExtra, PlanError, UsageError
from sonoseg.experiments.executor import LocalPool, Outcome
from sonoseg.training.recipe import load_recipe
from sonoseg.training.run_folder import Run

PLAN = """
name: gates
recipe: quick
data: {data}
split: {split}
set:
  {{data.size: 32, epochs: 2, batch: 8, optimiser.ema: 0.8, network.widths: [4, 8], network.dropout: [0, 0]}}
variants:
  gates:
  too-fast: {{optimiser.rate: 1.0e+30, optimiser.clip: 0, optimiser.kind: sgd}}
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(
        app, ["experiment", *map(str, words)], env={"COLUMNS": "200", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    )


@pytest.fixture
def plan(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.format(data=phantom_set, split=phantom_split))
    return path


def test_a_dry_run_shows_what_remains_to_do(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(plan, "--out", out, "--dry-run")
    assert done.exit_code == 0
    assert "to do runs/gates/fold0-seed0\nto do evaluations/test/gates/fold0-seed0\n" in done.stdout
    assert "2 trainings, 2 of them to do" in done.stdout
    listed = json.loads(run(plan, "--out", out, "--dry-run", "--json").stdout)
    assert [one["state"] for one in listed] == ["to do"] * 4
    assert listed[0]["command"][:2] == ["sonoseg", "train"]
    assert not out.exists()


def test_a_wrong_key_is_refused_before_anything_runs(plan: Path, tmp_path: Path) -> None:
    plan.write_text(plan.read_text().replace("optimiser.clip", "optimiser.clipp"))
    done = run(plan, "--out", tmp_path / "out")
    assert isinstance(done.exception, PlanError)
    assert "variant 'too-fast': unknown key 'optimiser.clipp'" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_the_pool_of_ray_needs_its_extra(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonoseg._util.packages.is_installed", lambda name: name != "ray")
    done = run(plan, "--out", tmp_path / "out", "--pool", "ray")
    assert isinstance(done.exception, MissingExtra)
    assert "pip install 'sonoseg[scale]'" in str(done.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes end with their parent on Linux only")
def test_killed_it_resumes_and_a_failure_stops_no_other(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    folder = out / "runs" / "gates" / "fold0-seed0"
    process = subprocess.Popen(
        [sys.executable, "-m", "sonoseg", "experiment", str(plan), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    end = time.monotonic() + 300
    while not (folder / "checkpoints" / "last.pt").exists() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.005)
    children = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    assert len(children) == 1
    assert not (folder / "model" / "card.json").exists()

    # The same command again: in this process, so that its error can be looked at.
    done = run(plan, "--out", out, "--json")
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    error = done.exception
    assert isinstance(error, ExperimentError)
    assert error.exit_code == 1
    assert "1 of 4 trainings and evaluations failed, and 1 that need them were skipped" in str(error)
    assert "runs/too-fast/fold0-seed0 failed (exit code 1)" in done.stderr
    assert "the loss is no longer a number" in done.stderr  # the end of its log
    log = (out / "logs" / "runs" / "gates" / "fold0-seed0.log").read_text()
    first, second = (line for line in log.splitlines() if line.startswith("$ sonoseg train"))
    assert "--recipe" in first
    assert "train --resume --out" in second
    history = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in history] == [1, 1, 2, 2]  # no epoch twice
    (one,) = json.loads(done.stdout)["table"]["evaluations"]
    assert [row["variant"] for row in one["rows"]] == ["gates"]
    assert one["not_measured"] == ["too-fast"]
    summary = json.loads(
        (out / "evaluations" / "test" / "gates" / "fold0-seed0" / "summary.json").read_text()
    )
    assert one["rows"][0]["dice"]["mean"] == pytest.approx(summary["per_image"]["dice"]["mean"], abs=1e-6)
    assert {"table.md", "table.json", "table.png", "plan.yaml"} <= {path.name for path in out.iterdir()}

    # And again: what failed is to do, what is done is not.
    done = run(plan, "--out", out, "--dry-run")
    assert "done  runs/gates/fold0-seed0\ndone  evaluations/test/gates/fold0-seed0\nbegun " in done.stdout
    plan.write_text(plan.read_text().replace("epochs: 2", "epochs: 3"))
    changed = run(plan, "--out", out)
    assert isinstance(changed.exception, PlanError)
    assert "started with another plan: 'set' was" in str(changed.exception)


SEARCH = """
name: rates
recipe: quick
data: {data}
split: {split}
set: {{epochs: 2, data.size: 64}}
search: {{optimiser.rate: {{low: 1.0e-4, high: 1.0e-1, log: true}}}}
trials: 3
"""


@pytest.fixture
def search(phantom_set: Path, phantom_split: Path, tmp_path: Path) -> Path:
    path = tmp_path / "search.yaml"
    path.write_text(SEARCH.format(data=phantom_set, split=phantom_split))
    return path


@pytest.fixture
def trains_nothing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trials that train nothing: the Dice is the rate. Text put into the list is the error of every trial."""
    failures: list[str] = []

    class Pool(LocalPool):
        def run(self, tasks: Any, on_change: Any = None, should_stop: Any = None) -> list[Outcome]:
            for task in tasks:
                on_change(task, None)
                folder = Run(Path(task.arguments[-1]))
                folder.folder.mkdir(parents=True)
                rate = load_recipe(task.arguments[task.arguments.index("--recipe") + 1]).optimiser.rate
                entry = {"epoch": 1, "split": "validation", "dice": rate}
                folder.log.write_text(json.dumps(entry) + "\n")
                task.log.parent.mkdir(parents=True, exist_ok=True)
                task.log.write_text("".join(f"error: {text}\n" for text in failures))
                on_change(task, Outcome(task, "failed" if failures else "done"))
            return []

    monkeypatch.setattr("sonoseg.experiments.executor.LocalPool", Pool)
    return failures


@pytest.mark.process
def test_from_a_search_to_the_best_recipe(search: Path, trains_nothing: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    checked = run(search, "--out", out, "--dry-run")
    assert checked.exit_code == 0, checked.output
    assert "3 trials: none started" in checked.stdout
    assert not out.exists()
    done = run(search, "--out", out)
    assert done.exit_code == 0, done.output
    assert "0/3 runs/trial-0000/fold0-seed0: started (optimiser.rate" in done.stderr
    assert "3/3 runs/trial-0002/fold0-seed0: done in 0 s, dice" in done.stderr
    assert "3 trials: 3 done" in done.stdout
    assert "Research software" in done.stdout
    table = json.loads(run(search, "--out", out, "--json").stdout)["table"]["search"]
    rates = [one["values"]["optimiser.rate"] for one in table["trials"]]
    assert table["best"] == rates.index(max(rates))
    assert yaml.safe_load((out / "best.yaml").read_text())["optimiser"]["rate"] == max(rates)


def test_when_every_trial_fails(search: Path, trains_nothing: list[str], tmp_path: Path) -> None:
    trains_nothing.append("the loss is no longer a number.")
    done = run(search, "--out", tmp_path / "out")
    assert isinstance(done.exception, ExperimentError)
    assert "all of 3 trials failed, the last with: the loss is no longer a number" in str(done.exception)


@pytest.mark.slow
def test_a_real_search_in_two_processes_at_once(search: Path, tmp_path: Path) -> None:
    text = (
        search.read_text()
        .replace("data.size: 64", "data.size: 32, batch: 8, network.widths: [4, 8], network.dropout: [0, 0]")
        .replace("trials: 3", "trials: 2")
    )
    search.write_text(text)
    done = run(search, "--out", tmp_path / "out", "--jobs", 2, "--json")
    assert done.exit_code == 0, done.output
    trials = json.loads(done.stdout)["table"]["search"]["trials"]
    assert [one["state"] for one in trials] == ["done", "done"]
    assert [one["epochs"] for one in trials] == [2, 2]
    assert all(0 <= one["value"] <= 1 and one["seconds"] > 0 for one in trials)


def test_what_a_search_needs(search: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonoseg._util.packages.is_installed", lambda name: name != "optuna")
    absent = run(search, "--out", tmp_path / "out").exception
    assert isinstance(absent, MissingExtra)
    assert "pip install 'sonoseg[tune]'" in str(absent)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert isinstance(run(search, "--out", tmp_path / "out").exception, UsageError)
