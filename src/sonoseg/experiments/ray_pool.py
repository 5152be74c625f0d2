"""Tasks carried out by Ray: on this machine's cores, or on every host of a cluster that runs already.

Each task is still a process of `python -m sonoseg` with a log of its own; Ray says where it runs and when. So
every host has sonoseg installed, and sees the study's folder and the prepared sets under the same paths.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from sonoseg._util.locks import locked
from sonoseg._util.text import first_line
from sonoseg.errors import ExperimentError, OutputError
from sonoseg.experiments.executor import BUSY, End, LocalPool, Outcome, Task, Tell, share_of_cores

os.environ.setdefault(
    "RAY_USAGE_STATS_ENABLED", "0"
)  # before Ray is imported: nothing is reported to anybody
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of what it will do

import ray

LOCK: Final = ".lock"
PATIENCE: Final = 60.0
"""Seconds for which a task waits for the process of an earlier study that was killed: Ray ends it in time."""

LOOK: Final = 1.0
"""Seconds between two looks at what has ended, so that Ctrl-C is heard."""


class RayPool:
    """So many processes at once, wherever Ray has room for them.

    jobs: at once, over all hosts. threads: of each, as OMP_NUM_THREADS, and the cores it asks Ray for; none:
    what OMP_NUM_THREADS says, else the cores shared out. A training takes one GPU where the cluster has any.
    address: of a running cluster; none: RAY_ADDRESS, else a Ray of this machine's own.
    """

    def __init__(self, jobs: int = 1, threads: int | None = None, address: str | None = None) -> None:
        self.jobs, self.address = jobs, address
        self.threads = threads or share_of_cores(jobs) or 1

    def run(self, tasks: Sequence[Task], tell: Tell) -> list[Outcome]:
        """Carry out `tasks`. A failed one, or one whose worker died, takes along only those that stand on it.

        Raises ExperimentError where there is no Ray, or it has less than one task needs.
        """
        waiting, ended = list(tasks), dict[str, Outcome]()
        running: dict[Any, Task] = {}
        names = {task.name for task in tasks}

        def end(outcome: Outcome) -> None:
            ended[outcome.task.name] = outcome
            tell(outcome.task, outcome)

        with connected(self.address, self.jobs * self.threads):
            gpus = self._room()
            try:
                while waiting or running:
                    for task in list(waiting):
                        needed = ended.get(task.after or "")
                        if needed is not None and needed.end != "done":
                            waiting.remove(task)
                            end(Outcome(task, "left out", f"{needed.task.name} {needed.end}"))
                        elif len(running) < self.jobs and (task.after not in names or needed is not None):
                            waiting.remove(task)
                            running[self._start(task, gpus)] = task
                            tell(task, None)
                    done, _ = ray.wait(list(running), timeout=LOOK) if running else ([], [])
                    for reference in done:
                        end(_outcome(running.pop(reference), reference))
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)
        return [ended[task.name] for task in tasks]

    def _start(self, task: Task, gpus: int) -> Any:
        wanted = gpus if task.words[0] == "train" else 0
        remote = ray.remote(num_cpus=self.threads, num_gpus=wanted, max_retries=0)(carry)
        # What stands before it has ended: it stands alone there.
        return remote.remote(replace(task, after=None), self.threads)

    def _room(self) -> int:
        """GPUs that a training takes. Raises ExperimentError where no host has cores enough for one task."""
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        widest = max((node["Resources"].get("CPU", 0) for node in nodes if node["Alive"]), default=0)
        if widest < self.threads:
            raise ExperimentError(
                f"no host of this Ray has {self.threads} cores for one process: the widest has {widest:g}",
                remedy="Say fewer in OMP_NUM_THREADS, or take more --jobs",
            )
        return int(any(node["Resources"].get("GPU", 0) >= 1 for node in nodes if node["Alive"]))


def carry(task: Task, threads: int) -> tuple[End, str, float]:
    """Carry out one task on the host this is called on; how it ended, why, and its seconds."""
    try:
        with locked(task.log.parent / f"{task.log.name}{LOCK}", *BUSY, patience=PATIENCE) as lock:
            outcome = LocalPool(1, threads, keep=(lock,)).run([task], lambda *_: None)[0]
    except OutputError as error:
        return "failed", str(error), 0.0
    return outcome.end, outcome.reason, outcome.seconds


@contextmanager
def connected(address: str | None, cores: int) -> Iterator[None]:
    """A Ray to work with: one that runs at `address` or RAY_ADDRESS, one this process has, or its own.

    cores: of one of its own. Raises ExperimentError where there is none to be had.
    """
    if ray.is_initialized():
        yield
        return
    running = address or os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {}
    if not running:  # on loopback alone
        own = {"num_cpus": cores, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        own["object_store_memory"] = 80 << 20  # no more than Ray's least: what travels is a few words
    try:
        ray.init(address=running or "local", logging_level=logging.ERROR, log_to_driver=False, **own)
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        raise ExperimentError(
            f"no Ray can be reached or started ({first_line(error)})",
            where=running,
            remedy="Start one with: ray start --head, and name it in RAY_ADDRESS; or leave --pool ray out",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _outcome(task: Task, reference: Any) -> Outcome:
    try:
        end, reason, seconds = ray.get(reference)
    except ray.exceptions.RayError as error:
        return Outcome(task, "failed", f"its worker of Ray was lost: {type(error).__name__}")
    return Outcome(task, end, reason, seconds)
