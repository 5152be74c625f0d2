"""`sonoseg experiment`, as a user calls it: real trainings, tiny, one of them killed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from sonoseg.cli.main import app
from sonoseg.errors import ExperimentError, MissingExtra, PlanError

PLAN = """
name: gates
recipe: quick
data: {data}
split: {split}
set: {{data.size: 32, epochs: 2, batch: 8, optimiser.ema: 0.8}}
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


def test_a_dry_run_says_what_there_is_to_do(plan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = run(plan, "--out", out, "--dry-run")
    assert told.exit_code == 0
    assert "to do runs/gates/fold0-seed0\nto do studies/test/gates/fold0-seed0\n" in told.stdout
    assert "2 trainings, 2 of them to do" in told.stdout
    listed = json.loads(run(plan, "--out", out, "--dry-run", "--json").stdout)
    assert [one["state"] for one in listed] == ["to do"] * 4
    assert listed[0]["command"][:2] == ["sonoseg", "train"]
    assert not out.exists()


def test_a_wrong_key_is_refused_before_anything_runs(plan: Path, tmp_path: Path) -> None:
    plan.write_text(plan.read_text().replace("optimiser.clip", "optimiser.clipp"))
    told = run(plan, "--out", tmp_path / "out")
    assert isinstance(told.exception, PlanError)
    assert "variant 'too-fast': unknown key 'optimiser.clipp'. Did you mean 'clip'." in str(told.exception)
    assert not (tmp_path / "out").exists()


def test_the_pool_of_ray_is_asked_for_by_its_extra(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr("sonoseg.cli.common.find_spec", lambda name: None if name == "ray" else real(name))
    told = run(plan, "--out", tmp_path / "out", "--pool", "ray")
    assert isinstance(told.exception, MissingExtra)
    assert "pip install 'sonoseg[scale]'" in str(told.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes end with their parent on Linux only")
def test_killed_it_goes_on_and_a_failure_stops_nobody(plan: Path, tmp_path: Path) -> None:
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
    told = run(plan, "--out", out, "--json")
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    error = told.exception
    assert isinstance(error, ExperimentError)
    assert error.exit_code == 1
    assert "1 of 4 trainings and evaluations failed, and 1 stood on them" in str(error)
    assert "runs/too-fast/fold0-seed0 failed (exit code 1)" in told.stderr
    assert "the loss is no longer a number" in told.stderr  # the end of its log
    log = (out / "logs" / "runs" / "gates" / "fold0-seed0.log").read_text()
    first, second = (line for line in log.splitlines() if line.startswith("$ sonoseg train"))
    assert "--recipe" in first
    assert "train --resume --out" in second
    history = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in history] == [1, 1, 2, 2]  # no epoch twice
    (one,) = json.loads(told.stdout)["table"]["evaluations"]
    assert [row["variant"] for row in one["rows"]] == ["gates"]
    assert one["absent"] == ["too-fast"]
    summary = json.loads((out / "studies" / "test" / "gates" / "fold0-seed0" / "summary.json").read_text())
    assert one["rows"][0]["dice"]["mean"] == pytest.approx(summary["per_image"]["dice"]["mean"], abs=1e-6)
    assert {"table.md", "table.json", "table.png", "plan.yaml"} <= {path.name for path in out.iterdir()}

    # And again: what failed is to do, what is done is not.
    told = run(plan, "--out", out, "--dry-run")
    assert "done  runs/gates/fold0-seed0\ndone  studies/test/gates/fold0-seed0\nbegun " in told.stdout
    plan.write_text(plan.read_text().replace("epochs: 2", "epochs: 3"))
    changed = run(plan, "--out", out)
    assert isinstance(changed.exception, PlanError)
    assert "begun with another plan: 'set' was" in str(changed.exception)
