"""The local pool: order, failures, early stops, threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sonoseg._util.locks import locked
from sonoseg.errors import OutputError
from sonoseg.experiments import executor as execute
from sonoseg.experiments.executor import BUSY, LocalPool, Outcome, Task, last_lines, share_of_cores

FAKE = """
import os, sys, time
word = sys.argv[-1]
print("threads", os.environ.get("OMP_NUM_THREADS"), flush=True)
if word == "fail":
    print("error: it is broken", file=sys.stderr)
    sys.exit(1)
if word == "die":
    os.kill(os.getpid(), 9)
if word == "sleep":
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _fake_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m sonoseg` is a script that does what its last word says: no test here waits for torch."""
    (tmp_path / "sonoseg.py").write_text(FAKE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execute, "PAUSE", 0.01)


def task(name: str, word: str = "work", after: str | None = None) -> Task:
    return Task(name, ("train", word), Path("logs") / f"{name}.log", after)


@pytest.mark.process
def test_a_failure_skips_only_the_tasks_after_it() -> None:
    seen: list[tuple[str, str]] = []

    def on_change(one: Task, outcome: Outcome | None) -> None:
        seen.append((one.name, outcome.end if outcome else "starts"))

    tasks = [
        task("a", "fail"),
        task("a/measured", after="a"),
        task("b"),
        task("b/measured", after="b"),
        task("c", "die"),
        task("d", after="done before"),
    ]
    outcomes = LocalPool().run(tasks, on_change)
    assert [(one.end, one.reason) for one in outcomes] == [
        ("failed", "exit code 1"),
        ("skipped", "a failed"),
        ("done", ""),
        ("done", ""),
        ("failed", "killed by SIGKILL"),
        ("done", ""),
    ]
    assert [name for name, what in seen if what == "starts"] == ["a", "b", "b/measured", "c", "d"]
    assert last_lines(Path("logs/a.log"))[-1] == "error: it is broken"


def test_a_log_is_added_to_and_its_latest_end_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    one = task("a", "fail")
    LocalPool().run([one])
    LocalPool().run([one])
    text = one.log.read_text()
    assert text.count("$ sonoseg train fail  # ") == 2
    assert sorted(last_lines(one.log)) == ["error: it is broken", "threads None"]
    assert last_lines(tmp_path / "nowhere.log") == []


@pytest.mark.process
def test_so_many_at_once_and_the_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(7)), raising=False)
    assert [share_of_cores(jobs) for jobs in (1, 2, 3, 9)] == [None, 3, 2, 1]
    at_once, most = 0, 0

    def on_change(_: Task, outcome: Outcome | None) -> None:
        nonlocal at_once, most
        at_once += 1 if outcome is None else -1
        most = max(most, at_once)

    LocalPool(2).run([task(name) for name in "abcd"], on_change)
    assert most == 2
    assert "threads 3" in Path("logs/a.log").read_text()
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert share_of_cores(2) == 5  # the user knows better


def test_an_interrupt_ends_the_processes() -> None:
    def on_change(_: Task, outcome: Outcome | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalPool().run([task("a", "sleep")], on_change)
    running = [child.cmdline() for child in psutil.Process().children() if child.status() != "zombie"]
    assert not [words for words in running if words[-1:] == ["sleep"]]
    assert "threads" in Path("logs/a.log").read_text() or last_lines(Path("logs/a.log")) == []


def test_a_log_that_cannot_be_written_is_an_error() -> None:
    Path("logs").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        LocalPool().run([task("a")])


@pytest.mark.process
def test_a_task_is_stopped_on_request_and_the_next_is_taken_when_there_is_room() -> None:
    taken: list[str] = []

    def tasks() -> Iterator[Task]:
        for name in "abc":
            taken.append(name)
            yield task(name, "sleep" if name == "b" else "work")

    def should_stop(one: Task) -> str:
        return "pruned" if one.name == "b" and "threads" in Path("logs/b.log").read_text() else ""

    def on_change(one: Task, outcome: Outcome | None) -> None:
        if outcome is None:
            assert taken[-1] == one.name  # not taken before there was room

    outcomes = LocalPool().run(tasks(), on_change, should_stop)
    assert [(one.task.name, one.end, one.reason) for one in outcomes] == [
        ("a", "done", ""),
        ("b", "stopped", "pruned"),
        ("c", "done", ""),
    ]


@pytest.mark.skipif(os.name != "posix", reason="inherited descriptors")
def test_a_lock_lasts_as_long_as_the_process_that_inherits_it(tmp_path: Path) -> None:
    with locked(tmp_path / ".lock", *BUSY) as lock:
        inherited = replace(task("a", "sleep"), locks=(lock,))
        pool = LocalPool()
        handle = pool._start(inherited)
    with pytest.raises(OutputError), locked(tmp_path / ".lock", *BUSY):
        pass
    pool._stop([handle])
    with locked(tmp_path / ".lock", *BUSY):
        pass
