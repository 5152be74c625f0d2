"""Tasks carried out, each in a process of its own.

An executor takes tasks and says what became of each; it knows nothing of plans. `LocalPool` runs them on this
machine. Another one (a cluster's) needs the same one method.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Literal, Protocol

from sonoseg._util.files import cannot_write
from sonoseg._util.machine import usable_cores

End = Literal["done", "failed", "left out"]
LINES = 12
"""Of a failed task's log that are shown."""

PAUSE = 0.1
"""Seconds between two looks at the running processes."""

GRACE = 10.0
"""Seconds that a process has to end when it is asked to, or that a lock may still be held by one."""

BUSY = ("another process works on this study", "Wait for it or stop it, then give the same command again")
"""What is said of a lock that is held for longer."""


@dataclass(frozen=True)
class Task:
    """One process of `python -m sonoseg`; plain data, so that it can be sent elsewhere.

    name: of its own among the tasks. words: of the command. log: the file its output is added to.
    after: the name of a task that must have ended well before; without it there the task stands alone.
    """

    name: str
    words: tuple[str, ...]
    log: Path
    after: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a task. reason: why it failed or was left out; "" when done. seconds: it ran."""

    task: Task
    end: End
    reason: str = ""
    seconds: float = 0.0


Tell = Callable[[Task, Outcome | None], None]
"""Called with a task when it begins (None) and when it has ended or was left out."""


class Executor(Protocol):
    """Carries out tasks, in their order as far as it can, and returns an outcome for each."""

    def run(self, tasks: Sequence[Task], tell: Tell) -> list[Outcome]: ...


class LocalPool:
    """So many processes at once on this machine, with its cores shared out among them.

    jobs: at once. threads: for each, as OMP_NUM_THREADS; by default see `share_of_cores`.
    keep: open files that the processes inherit: a lock on one of them lasts as long as any of them.
    The processes end with this one, even when it is killed (on Linux).
    """

    def __init__(self, jobs: int = 1, threads: int | None = None, keep: Sequence[int] = ()) -> None:
        self.jobs, self.keep = jobs, tuple(keep)
        self.threads = threads or share_of_cores(jobs)

    def run(self, tasks: Sequence[Task], tell: Tell) -> list[Outcome]:
        """Carry out `tasks`. A failed one takes along only those that stand on it.

        Raises OutputError where a log cannot be written; then, and when interrupted, it stops the others.
        """
        waiting, ended = list(tasks), dict[str, Outcome]()
        running: list[tuple[Task, subprocess.Popen[bytes], float]] = []
        names = {task.name for task in tasks}

        def end(outcome: Outcome) -> None:
            ended[outcome.task.name] = outcome
            tell(outcome.task, outcome)

        try:
            while waiting or running:
                for task in list(waiting):
                    needed = ended.get(task.after or "")
                    if needed is not None and needed.end != "done":
                        waiting.remove(task)
                        end(Outcome(task, "left out", f"{needed.task.name} {needed.end}"))
                    elif len(running) < self.jobs and (task.after not in names or needed is not None):
                        waiting.remove(task)
                        running.append((task, self._start(task), time.monotonic()))
                        tell(task, None)
                for entry in list(running):
                    task, process, began = entry
                    code = process.poll()
                    if code is not None:
                        running.remove(entry)
                        kind: End = "done" if code == 0 else "failed"
                        end(Outcome(task, kind, _why(code), time.monotonic() - began))
                if running:
                    time.sleep(PAUSE)
        finally:
            _stop([process for _, process, _ in running])
        return [ended[task.name] for task in tasks]

    def _start(self, task: Task) -> subprocess.Popen[bytes]:
        environment = os.environ | {"COLUMNS": "120"}
        if self.threads is not None:
            environment["OMP_NUM_THREADS"] = str(self.threads)
        with _log(task.log) as log:
            stamp = datetime.now().astimezone().isoformat(timespec="seconds")
            log.write(f"{_HEAD}{' '.join(task.words)}  # {stamp}\n".encode())
            log.flush()
            return subprocess.Popen(
                [sys.executable, "-m", "sonoseg", *task.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=self.keep if os.name == "posix" else (),
                preexec_fn=_dies_with(os.getpid()),
            )


_HEAD = "$ sonoseg "


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
    """Threads for each of `jobs` processes: what OMP_NUM_THREADS says, else this process's cores shared out.

    None for a single one, which has the machine to itself and may choose.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    if jobs == 1:
        return None
    return max(1, usable_cores() // jobs)


def _dies_with(parent: int) -> Callable[[], None] | None:
    """What a new process does first so that the kernel ends it with its parent; None where none can."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded here: between fork and exec there is room for little

    def bind() -> None:
        libc.prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it died before it could be bound to
            os._exit(1)

    return bind


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask processes to end, and end those that do not."""
    for process in processes:
        with suppress(OSError):
            process.terminate()
    end = time.monotonic() + GRACE
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _log(path: Path) -> Iterator[IO[bytes]]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            yield log
    except OSError as error:
        raise cannot_write(path, error) from error


def _why(code: int) -> str:
    if code == 0:
        return ""
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
