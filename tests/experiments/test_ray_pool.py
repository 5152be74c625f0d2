"""The pool of Ray: a local one of two workers; failures, a lost worker, and too few cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sonoseg._util.locks import locked
from sonoseg.errors import ExperimentError
from sonoseg.experiments.executor import BUSY, Outcome, Task, last_lines
from sonoseg.experiments.experiment_folder import ExperimentFolder
from sonoseg.experiments.experiment_run import run_experiment

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'sonoseg[scale]'")

from sonoseg.experiments import ray_pool  # noqa: E402
from sonoseg.experiments.ray_pool import RayPool  # noqa: E402

pytestmark = pytest.mark.long

FAKE = """
import os, sys, time
word = sys.argv[-1]
print("threads", os.environ.get("OMP_NUM_THREADS"), flush=True)
if word == "fail":
    print("error: it is broken", file=sys.stderr)
    sys.exit(1)
if word == "orphan":  # the worker of Ray above this process is killed
    os.kill(os.getppid(), 9)
    time.sleep(60)
if word == "meet":  # ends only where another runs at the same time
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"here-{os.getpid()}")
    open(here, "w").close()
    end = time.monotonic() + 120
    while sum(name.startswith("here-") for name in os.listdir(os.path.dirname(here))) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Ray of two cores, in which `python -m sonoseg` is a script that does what its last word says."""
    folder = tmp_path_factory.mktemp("fake")
    (folder / "sonoseg.py").write_text(FAKE)
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "RAY_ADDRESS")}
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("RAY_ADDRESS", None)
    with ray_pool.connected(None, 2):
        yield folder
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture
def fake(two_workers: Path, tmp_path: Path) -> Callable[..., Task]:
    """A task for that script. The workers themselves import the real sonoseg."""

    def make(name: str, word: str, after: str | None = None) -> Task:
        return Task(name, ("train", word), tmp_path / "logs" / f"{name}.log", after)

    return make


@pytest.fixture(autouse=True)
def _script(monkeypatch: pytest.MonkeyPatch, two_workers: Path) -> None:
    """Tasks are sent with the place of the script, for their processes alone."""
    real = ray_pool.run_task
    place = str(two_workers)

    def run_task(task: Task, threads: int) -> Any:
        os.environ["PYTHONPATH"] = place
        try:
            return real(task, threads)
        finally:
            os.environ.pop("PYTHONPATH")

    monkeypatch.setattr(ray_pool, "run_task", run_task)


def test_a_failure_and_a_lost_worker_cost_their_rows(fake: Callable[..., Task], tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def on_change(one: Task, outcome: Outcome | None) -> None:
        seen.append((one.name, outcome.end if outcome else "starts"))

    tasks = [
        fake("a", "meet"),
        fake("b", "meet"),
        fake("a/measured", "work", after="a"),
        fake("c", "fail"),
        fake("c/measured", "work", after="c"),
        fake("d", "orphan"),
        fake("e", "work", after="done before"),
    ]
    pool = RayPool(2)
    assert pool.threads == 1
    outcomes = pool.run(tasks, on_change)
    assert [one.end for one in outcomes] == ["done", "done", "done", "failed", "skipped", "failed", "done"]
    assert outcomes[3].reason == "exit code 1"
    assert outcomes[4].reason == "c failed"
    assert outcomes[5].reason.startswith("its Ray worker was lost: ")
    assert last_lines(tmp_path / "logs" / "c.log")[-1] == "error: it is broken"
    assert "threads 1" in (tmp_path / "logs" / "e.log").read_text()
    assert seen.index(("a", "done")) < seen.index(("a/measured", "starts"))
    assert sorted(name for name, what in seen if what == "starts") == ["a", "a/measured", "b", "c", "d", "e"]


def test_a_task_waits_for_a_process_of_an_earlier_command(
    fake: Callable[..., Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = fake("a", "work")
    lock = tmp_path / "logs" / "a.log.lock"
    with locked(lock, *BUSY):
        monkeypatch.setattr(ray_pool, "PATIENCE", 0.2)
        end, reason, _ = ray_pool.run_task(task, 1)
    assert (end, "another process runs" in reason) == ("failed", True)
    assert ray_pool.run_task(task, 1)[0] == "done"


@pytest.mark.usefixtures("two_workers")
def test_more_cores_than_a_host_has(fake: Callable[..., Task]) -> None:
    with pytest.raises(
        ExperimentError, match="no host of this Ray has 64 cores for one process: the largest has 2"
    ):
        RayPool(1, threads=64).run([fake("a", "work")])


def test_the_same_experiment_as_the_local_pool(
    write_plan: Callable[..., Path], inside: Callable[..., Any], tmp_path: Path
) -> None:
    """The same plan, in Ray and not, gives the same table; what is done is not run again."""
    sent: list[str] = []

    class Sent(RayPool):
        """Every task goes through Ray as a script; its results are those of a fixture that trains nothing."""

        def run(self, tasks: Any, *callbacks: Any) -> list[Outcome]:
            sent.extend(task.name for task in tasks)
            scripts = [
                replace(task, arguments=("train", "fail" if "none" in task.name else "work"))
                for task in tasks
            ]
            outcomes = super().run(scripts, *callbacks)
            inside(fail=["none"]).run(tasks)
            return [replace(one, task=task) for one, task in zip(outcomes, tasks, strict=True)]

    plan = write_plan(seeds=[0])
    first = run_experiment(plan, tmp_path / "ray", executor=Sent(2))
    second = run_experiment(plan, tmp_path / "local", executor=inside(fail=["none"]))
    assert first.table == second.table
    assert [one.task.name for one in first.failed] == ["runs/none/fold0-seed0"]
    assert [one.task.name for one in first.skipped] == ["evaluations/test/none/fold0-seed0"]
    assert len(sent) == 4
    left = [
        step.task.name for step in ExperimentFolder(plan, tmp_path / "ray").steps(1) if step.state != "done"
    ]
    assert left == ["runs/none/fold0-seed0", "evaluations/test/none/fold0-seed0"]


def test_no_ray_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(**_: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", absent)
    with (
        pytest.raises(ExperimentError, match=r"node-a:6379: no Ray can be reached.*ray start --head"),
        ray_pool.connected("node-a:6379", 2),
    ):
        pass
