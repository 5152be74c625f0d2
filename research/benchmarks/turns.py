"""Run two programs in turns, as long-lived processes, so that both meet the same state of the machine.

A worker makes a `Turns`, and answers each order until `next` gives None. The other side starts `Worker`s and
gives out turns; while one works the others wait for a line, and use no processor time. Standard library only:
the peers run in environments of their own.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Order(NamedTuple):
    """The work of a turn: `amount` times `what`."""

    what: str
    amount: int


class Turns:
    """The worker's side: orders arrive on stdin, answers are written to the former stdout.

    Whatever else the worker's libraries print goes to stderr.
    """

    def __init__(self) -> None:
        self.answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self.began = 0.0

    def next(self) -> Order | None:
        """Wait for an order and start the clock; None when there are no more."""
        line = sys.stdin.readline()
        if not line:
            return None
        order = Order(**json.loads(line))
        self.began = time.perf_counter()
        return order

    def done(self, **more: Any) -> None:
        """Stop the clock and answer with the seconds, the memory and further values."""
        seconds = time.perf_counter() - self.began
        print(json.dumps({"seconds": seconds, **memory(), **more}), file=self.answers, flush=True)


class Worker:
    """The other side: starts the program and gives it turns.

    command: the program and its arguments. environment: variables added to the inherited ones.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
    ):
        self.name, self.last = name, {}
        self.words = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            text=True,
            env=os.environ | dict(environment or {}),
        )

    def turn(self, amount: int, what: str = "") -> float:
        """Give a turn and wait for its end; return the seconds that the worker measured."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps({"what": what, "amount": amount}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.words.seek(0)
            sys.exit(f"{self.name} ended with {self.process.returncode}:\n{self.words.read()[-4000:]}")
        self.last: dict[str, Any] = json.loads(line)
        return float(self.last["seconds"])

    def close(self) -> None:
        """End the worker."""
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate(timeout=60)
        self.words.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.process.kill()
        self.close()


def memory(process: int | str = "self") -> dict[str, int]:
    """Resident memory of a process, now and at its most, in bytes (Linux; elsewhere nothing)."""
    names = {"VmHWM": "peak", "VmRSS": "resident"}
    try:
        lines = Path(f"/proc/{process}/status").read_text("utf-8").splitlines()
    except OSError:
        return {}
    found = dict(line.split(":", 1) for line in lines if line.split(":", 1)[0] in names)
    return {names[key]: int(value.split()[0]) * 1024 for key, value in found.items()}


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, least and greatest of some figures, and the figures."""
    return {
        "median": statistics.median(values),
        "least": min(values),
        "greatest": max(values),
        "all": list(values),
    }


def shown(figure: Mapping[str, Any], digits: int = 2) -> str:
    """A spread as text: median (least-greatest)."""
    return f"{figure['median']:.{digits}f} ({figure['least']:.{digits}f}-{figure['greatest']:.{digits}f})"


def machine() -> dict[str, Any]:
    """The machine, the date, the commit and the command of a measurement."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "date": datetime.date.today().isoformat(),
        "commit": commit or None,
        "command": " ".join(["python", *(_short(word) for word in sys.argv)]),
    }


def _short(word: str) -> str:
    # Of a path elsewhere its name: where a machine keeps its folders says nothing to who reads the result.
    path = Path(word)
    if path.resolve().is_relative_to(ROOT):
        return path.resolve().relative_to(ROOT).as_posix()
    return path.name if path.is_absolute() else word


def warn_if_busy(load: float) -> None:
    """Warn on stderr if other programs are running, since they change the figures."""
    if load > 0.5:
        print(f"warning: load average {load}: other programs are running beside this one", file=sys.stderr)


def write(result: Mapping[str, Any], path: Path | None) -> None:
    """Write a result as JSON, if a path was given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        print(f"written to {path}")
