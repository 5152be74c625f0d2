"""A search: seeded, pruned, resumed, shared by processes; a failed trial stops no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sonoseg._util.files import atomic_write_text
from sonoseg._util.locks import locked
from sonoseg.cli.main import app
from sonoseg.data.splits import Split
from sonoseg.errors import OutputError, PlanError
from sonoseg.experiments.executor import Outcome
from sonoseg.experiments.experiment_folder import LOCK, ExperimentFolder
from sonoseg.experiments.search import Search

WritePlan = Callable[..., Path]


class InProcess:
    """An executor that runs the commands in this process, one after the other."""

    jobs, threads = 1, None

    def run(self, tasks: Any, on_change: Any, should_stop: Any) -> list[Outcome]:
        for task in tasks:
            done = CliRunner().invoke(app, list(task.arguments))
            on_change(task, Outcome(task, "failed" if done.exit_code else "done", str(done.exception)))
        return []


def search_of(plan: Path, out: Path) -> Search:
    return Search(ExperimentFolder(plan, out))


def best_of(search: Search) -> Any:
    done = [one for one in search.trials() if one.state == "done"]
    return max(done, key=lambda one: one.value or 0.0)


@pytest.mark.process
def test_the_same_plan_gives_the_same_trials(write_search: WritePlan, pretend: Any, tmp_path: Path) -> None:
    searches = [search_of(write_search(), tmp_path / name) for name in ("a", "b")]
    for search in searches:
        search.train(pretend())
    one, other = (search.trials() for search in searches)
    assert len(one) == 6
    assert [trial.values for trial in one] == [trial.values for trial in other]
    assert len({trial.values["optimiser.rate"] for trial in one}) == 6  # no draw twice
    assert {trial.values["batch"] for trial in one} <= {4, 8, 12, 16}
    best = best_of(searches[0])
    assert (best.epoch, best.epochs) == (3, 3)
    another = search_of(write_search(seed=1), tmp_path / "c")
    another.train(pretend())
    assert [trial.values for trial in another.trials()] != [trial.values for trial in one]


@pytest.mark.process
def test_the_test_part_is_never_seen(write_search: WritePlan, tmp_path: Path, monkeypatch: Any) -> None:
    """All that a search trains and measures on goes through the training room, with these parts only."""
    from sonoseg.training.batches import TrainingImages

    seen: dict[str, set[str]] = {}
    real = TrainingImages.of.__func__  # type: ignore[attr-defined]

    def spy(cls: Any, prepared: Any, ids: list[str], options: Any, part: str) -> Any:
        seen.setdefault(part, set()).update(ids)
        return real(cls, prepared, ids, options, part)

    def leave(_: Any, path: Path, size: int) -> list[str]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        return []

    monkeypatch.setattr(TrainingImages, "of", classmethod(spy))
    monkeypatch.setattr("sonoseg.training.model_writing.write_onnx", leave)
    plan = write_search(trials=1, set={"epochs": 1, "data.size": 64, "network.widths": [4, 8, 12, 16]})
    search = search_of(plan, tmp_path / "out")
    search.train(InProcess())
    parts = Split.load(search.plan.split).part(0)
    assert seen == {"train": set(parts.train), "validation": set(parts.validation)}
    (trial,) = search.trials()
    entries = [
        json.loads(line) for line in search.experiment.run(search.plan.cell(0)).log.read_text().splitlines()
    ]
    assert trial.state == "done"
    assert trial.value == pytest.approx(entries[1]["dice"])
    assert entries[1]["split"] == "validation"


def test_a_failed_trial_costs_its_row(write_search: WritePlan, pretend: Any, tmp_path: Path) -> None:
    search = search_of(write_search(), tmp_path / "out")
    search.train(pretend(fail=lambda recipe: recipe.loss.kind == "bce"))
    trials = search.trials()
    failed = [trial for trial in trials if trial.values["loss.kind"] == "bce"]
    assert failed
    assert len(failed) < 6
    assert all(trial.state == "failed" and trial.value is None for trial in failed)
    assert failed[0].reason == "the loss is no longer a number."
    assert sum(trial.state == "done" for trial in trials) == 6 - len(failed)


def test_a_metric_that_validation_lacks(write_search: WritePlan, pretend: Any, tmp_path: Path) -> None:
    search = search_of(write_search(metric="false_positive_rate", trials=1), tmp_path / "out")
    search.train(pretend())
    assert search.trials()[0].state == "failed"
    assert "'false_positive_rate'" in search.trials()[0].reason


@pytest.mark.process
@pytest.mark.parametrize("kind", ["median", "halving"])
def test_poor_trials_are_pruned(write_search: WritePlan, pretend: Any, tmp_path: Path, kind: str) -> None:
    prune = {"kind": kind, "startup": 2, "after": 1}
    plan = write_search(trials=12, prune=prune, set={"epochs": 6, "data.size": 64})
    search = search_of(plan, tmp_path / "out")
    search.train(pretend())
    pruned = [trial for trial in search.trials() if trial.state == "pruned"]
    assert pruned
    assert all(1 <= trial.epochs < 6 for trial in pruned)
    assert best_of(search).epochs == 6


@pytest.mark.process
def test_an_interrupted_trial_is_resumed(write_search: WritePlan, pretend: Any, tmp_path: Path) -> None:
    def stop(epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    search = search_of(write_search(), tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        search.train(pretend(stop=stop))
    assert [trial.state for trial in search.trials()] == ["running"]
    trainer, seen = pretend(), []
    again = search_of(write_search(), tmp_path / "out")
    again.train(trainer, lambda _, outcome, at: seen.append((outcome and outcome.end, at)))
    assert trainer.ran[:2] == [("trial-0000", True), ("trial-0001", False)]
    assert seen[:3] == [(None, "0/6"), ("done", "1/6"), (None, "1/6")]
    assert [trial.state for trial in again.trials()] == ["done"] * 6
    whole = search_of(write_search(), tmp_path / "whole")
    whole.train(pretend())
    assert [trial.values for trial in whole.trials()] == [trial.values for trial in again.trials()]
    # More trials: only those are trained.
    more = pretend()
    search_of(write_search(trials=8), tmp_path / "out").train(more)
    assert [name for name, _ in more.ran] == ["trial-0006", "trial-0007"]


@pytest.mark.process
def test_a_trial_whose_process_is_killed_each_time_fails(
    write_search: WritePlan, pretend: Any, tmp_path: Path
) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            search_of(write_search(trials=2), tmp_path / "out").train(pretend(stop=stop))
    search = search_of(write_search(trials=2), tmp_path / "out")
    search.train(pretend())
    assert [trial.state for trial in search.trials()] == ["failed", "done"]
    assert search.trials()[0].reason == "its process was killed 3 times"


@pytest.mark.process
@pytest.mark.parametrize("piece", [b'{"op_code":4,"worker_id":"x', b"\n{"])
def test_a_line_half_written_is_cut_off(
    write_search: WritePlan, pretend: Any, tmp_path: Path, piece: bytes
) -> None:
    search = search_of(write_search(trials=2), tmp_path / "out")
    search.train(pretend())
    before = search.trials()
    with search.journal.open("ab") as file:
        file.write(piece.lstrip(b"\n"))
    again = search_of(write_search(trials=3), tmp_path / "out")
    again.train(pretend())
    assert again.trials()[:2] == before
    assert [trial.state for trial in again.trials()] == ["done"] * 3


def test_a_damaged_journal_is_named(write_search: WritePlan, pretend: Any, tmp_path: Path) -> None:
    search = search_of(write_search(trials=1), tmp_path / "out")
    search.train(pretend())
    lines = search.journal.read_bytes().splitlines(keepends=True)
    search.journal.write_bytes(b"".join([*lines[:2], b"no json\n", *lines[2:]]))
    with pytest.raises(OutputError, match=r"journal\.log: the journal cannot be read"):
        search.trials()


@pytest.mark.process
def test_a_folder_of_something_else(write_search: WritePlan, pretend: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(OutputError, match="holds no experiment"):
        search_of(write_search(), tmp_path / "mine")
    with pytest.raises(OutputError, match="a file, not a folder"):
        search_of(write_search(), tmp_path / "mine" / "notes.txt")
    search_of(write_search(trials=1), tmp_path / "out").train(pretend())
    with pytest.raises(
        PlanError, match=r"started with another plan: 'seed' was 0 and is 4.*Only 'trials' may grow"
    ):
        search_of(write_search(seed=4), tmp_path / "out")
    with pytest.raises(PlanError, match="'fold'"):
        search_of(write_search(fold=9), tmp_path / "new")


WORKER = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from conftest import Pretend
from sonoseg.experiments.experiment_folder import ExperimentFolder
from sonoseg.experiments.search import Search

def stop(epoch):
    time.sleep(0.05)
    if epoch == 1 and {killed!r} and trainer.ran[-1][0] == "trial-0001":
        os.kill(os.getpid(), signal.SIGKILL)

trainer = Pretend(stop=stop)
Search(ExperimentFolder({plan!r}, {out!r})).train(trainer)
print(len(trainer.ran))
"""


@pytest.mark.skipif(os.name != "posix", reason="locks of files")
def test_a_search_that_another_begins_this_moment_is_one(write_search: WritePlan, tmp_path: Path) -> None:
    """Its plan is still being written beside the lock: what is there is no stranger's."""
    plan, out = write_search(), tmp_path / "out"
    found: list[ExperimentFolder] = []
    half = out / ".plan.yaml.half"

    def write() -> None:
        time.sleep(0.3)
        atomic_write_text(out / "plan.yaml", begun.plan.yaml())
        half.unlink()

    begun = ExperimentFolder(plan, out)
    with locked(out / LOCK, "busy", "wait"):
        half.write_text("name:")
        other = threading.Thread(target=lambda: found.append(ExperimentFolder(plan, out)))
        other.start()
        write()
    other.join(60)
    assert len(found) == 1


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL and locks of files")
def test_processes_share_a_search_and_one_is_killed(write_search: WritePlan, tmp_path: Path) -> None:
    """Trial 1 ends the process that trains it first; another one resumes it."""
    plan, out = str(write_search(trials=8)), str(tmp_path / "out")

    def start(killed: bool) -> subprocess.Popen[str]:
        given = {"tests": str(Path(__file__).parent), "plan": plan, "out": out, "killed": killed}
        return subprocess.Popen(
            [sys.executable, "-c", WORKER.format(**given)], stdout=subprocess.PIPE, text=True
        )

    workers = [start(True), start(True)]
    codes = [worker.wait(300) for worker in workers]
    # The one took trial 1, and the other took it up and was killed too.
    assert codes == [-9, -9]
    states = [trial.state for trial in search_of(Path(plan), Path(out)).trials()]
    assert states[0] == "done"
    assert states[1] == "running"
    workers = [start(False), start(False)]
    trained = [int(worker.communicate(timeout=300)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    trials = search_of(Path(plan), Path(out)).trials()
    assert [trial.number for trial in trials] == list(range(8))
    assert [trial.state for trial in trials] == ["done"] * 8
    assert len({trial.values["optimiser.rate"] for trial in trials}) == 8
    assert sum(trained) == sum(state == "running" for state in states) + 8 - len(states)


@pytest.mark.process
def test_pruning_does_not_depend_on_when_the_log_is_read(
    write_search: WritePlan, pretend: Any, tmp_path: Path
) -> None:
    """A process that ends before it is polled is pruned after the same epoch."""

    class Unpolled(pretend):  # type: ignore[misc]
        def run(self, tasks: Any, on_change: Any, should_stop: Any) -> list[Outcome]:
            return super().run(tasks, on_change, lambda _: "")

    plan = write_search(
        trials=12, prune={"kind": "median", "startup": 2, "after": 1}, set={"epochs": 6, "data.size": 64}
    )
    polled, unpolled = search_of(plan, tmp_path / "a"), search_of(plan, tmp_path / "b")
    ends = polled.train(pretend())
    assert [one.end for one in ends] == [one.end for one in unpolled.train(Unpolled())]
    assert "stopped" in {one.end for one in ends}
    assert [(one.state, one.epochs) for one in polled.trials()] == [
        (one.state, one.epochs) for one in unpolled.trials()
    ]
