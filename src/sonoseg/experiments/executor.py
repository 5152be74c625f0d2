"""Executors: they run tasks, each in a process of its own, and report how each ended.

`LocalPool` runs its tasks on this machine, `ray_pool.RayPool` on a cluster.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal

from sonoseg._util.files import cannot_write
from sonoseg._util.machine import usable_cores

End = Literal["done", "failed", "skipped", "stopped"]
LINES = 12
"""Lines of a failed task's log that are shown."""

PAUSE = 0.1
"""Seconds between two polls of the running processes."""

GRACE = 10.0
"""Seconds that a process has to end when it is asked to, or that a lock may still be held by one."""

BUSY = ("another process runs this experiment", "Wait for it or stop it, then run the same command again")
"""The error for a lock that is held for longer, and its remedy."""

_HEAD = "$ sonoseg "


@dataclass(frozen=True)
class Task:
    """One process of `python -m sonoseg`.

    name: unique among the tasks. arguments: of the command. log: the file its output is appended to.
    after: the name of an earlier task that must succeed first; ignored where no such task is among those run.
    note: shown when it starts. locks: open files that the process inherits, with the locks on them.
    """

    name: str
    arguments: tuple[str, ...]
    log: Path
    after: str | None = None
    note: str = ""
    locks: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Outcome:
    """How a task ended. reason: why it failed, was skipped or stopped. seconds: it ran."""

    task: Task
    end: End
    reason: str = ""
    seconds: float = 0.0


OnChange = Callable[[Task, Outcome | None], None]
"""Called with a task when it starts (None) and when it has ended or was skipped."""


class Executor(ABC):
    """Runs up to `jobs` tasks at once. threads: of each process; None: the process chooses."""

    def __init__(self, jobs: int, threads: int | None) -> None:
        self.jobs, self.threads = jobs, threads

    def run(
        self,
        tasks: Iterable[Task],
        on_change: OnChange = lambda *_: None,
        should_stop: Callable[[Task], str] = lambda _: "",
    ) -> list[Outcome]:
        """Run tasks in their order, as far as their dependencies allow; return an outcome for each.

        tasks: taken one by one, when there is room for another. A failed task skips only those after it.
        should_stop: polled for each running task: the reason to stop it, "" for none.
        Raises OutputError where a log cannot be written; then, and when interrupted, it stops the others.
        """
        source, waiting, order = iter(tasks), list[Task](), list[str]()
        ended, running = dict[str, Outcome](), dict[str, tuple[Task, Any, float]]()

        def end(outcome: Outcome) -> None:
            ended[outcome.task.name] = outcome
            on_change(outcome.task, outcome)

        def next_ready() -> Task | None:
            for task in chain(tuple(waiting), source):
                if task.name not in order:
                    order.append(task.name)
                    waiting.append(task)
                before = ended.get(task.after or "")
                if before is None and task.after in order:
                    continue
                waiting.remove(task)
                if before is None or before.end == "done":
                    return task
                end(Outcome(task, "skipped", f"{before.task.name} {before.end}"))
            return None

        with self._open():
            try:
                while True:
                    while len(running) < self.jobs and (task := next_ready()) is not None:
                        running[task.name] = (task, self._start(task), time.monotonic())
                        on_change(task, None)
                    if not running:
                        return [ended[name] for name in order]
                    for name, (task, handle, began) in list(running.items()):
                        result = self._poll(handle)
                        if result is None and (reason := should_stop(task)):
                            self._stop([handle])
                            result = ("stopped", reason, time.monotonic() - began)
                        if result is not None:
                            del running[name]
                            end(Outcome(task, *result))
                    if running:
                        self._wait([handle for _, handle, _ in running.values()])
            finally:
                self._stop([handle for _, handle, _ in running.values()])

    def _open(self) -> AbstractContextManager[None]:
        return nullcontext()

    @abstractmethod
    def _start(self, task: Task) -> Any:
        """Start a task; return a handle of it."""

    @abstractmethod
    def _poll(self, handle: Any) -> tuple[End, str, float] | None:
        """How a task ended, why, and its seconds; None while it runs."""

    @abstractmethod
    def _wait(self, handles: Sequence[Any]) -> None:
        """Wait until one of them may have ended."""

    @abstractmethod
    def _stop(self, handles: Sequence[Any]) -> None:
        """End tasks that still run."""


class LocalPool(Executor):
    """Processes on this machine, which share its cores.

    threads: of each process, as OMP_NUM_THREADS; by default see `share_of_cores`.
    The processes end with this one, even when it is killed (on Linux).
    """

    def __init__(self, jobs: int = 1, threads: int | None = None) -> None:
        super().__init__(jobs, threads or share_of_cores(jobs))

    def _start(self, task: Task) -> tuple[subprocess.Popen[bytes], float]:
        environment = os.environ | {"COLUMNS": "120"}
        if self.threads is not None:
            environment["OMP_NUM_THREADS"] = str(self.threads)
        with _appending(task.log) as log:
            stamp = datetime.now().astimezone().isoformat(timespec="seconds")
            log.write(f"{_HEAD}{' '.join(task.arguments)}  # {stamp}\n".encode())
            log.flush()
            process = subprocess.Popen(
                [sys.executable, "-m", "sonoseg", *task.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=task.locks if os.name == "posix" else (),
                preexec_fn=_end_with(os.getpid()),
            )
        return process, time.monotonic()

    def _poll(self, handle: Any) -> tuple[End, str, float] | None:
        process, began = handle
        code = process.poll()
        if code is None:
            return None
        return "failed" if code else "done", _reason(code), time.monotonic() - began

    def _wait(self, handles: Sequence[Any]) -> None:
        time.sleep(PAUSE)

    def _stop(self, handles: Sequence[Any]) -> None:
        for process, _ in handles:
            with suppress(OSError):
                process.terminate()
        end = time.monotonic() + GRACE
        for process, _ in handles:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def last_lines(log: Path, count: int = LINES) -> list[str]:
    """The last lines that a task's latest process wrote to its log; none where there is no log."""
    try:
        text = log.read_text("utf-8", errors="replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    heads = [number for number, line in enumerate(lines) if line.startswith(_HEAD)]
    return lines[heads[-1] + 1 if heads else 0 :][-count:]


def share_of_cores(jobs: int) -> int | None:
    """Threads for each of `jobs` processes: OMP_NUM_THREADS where it is set, else a share of the cores.

    None for a single process, which has the machine to itself and may choose.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    if jobs == 1:
        return None
    return max(1, usable_cores() // jobs)


def _end_with(parent: int) -> Callable[[], None] | None:
    """What a new process calls first so that the kernel ends it with its parent; None where none can."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded here: between fork and exec there is room for little

    def bind() -> None:
        libc.prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before it could be bound to
            os._exit(1)

    return bind


@contextmanager
def _appending(path: Path) -> Iterator[IO[bytes]]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            yield log
    except OSError as error:
        raise cannot_write(path, error) from error


def _reason(code: int) -> str:
    if code == 0:
        return ""
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
