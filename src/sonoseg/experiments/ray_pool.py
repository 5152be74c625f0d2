"""An executor on Ray: this machine's cores, or every host of a running cluster.

Each task is still a process of `python -m sonoseg` with a log of its own; Ray decides where and when it runs.
Every host needs sonoseg installed, and the experiment's folder and the prepared sets under the same paths.
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
from sonoseg.experiments.executor import BUSY, End, Executor, LocalPool, Task, share_of_cores

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is imported
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns of a future change

import ray

LOCK: Final = ".lock"
PATIENCE: Final = 60.0
"""Seconds that a task waits for the process of an earlier command that was killed: Ray ends it in time."""

POLL: Final = 1.0
"""Seconds between two polls, so that Ctrl-C is handled."""


class RayPool(Executor):
    """Processes wherever Ray has room for them.

    jobs: at once, over all hosts. threads: of each, as OMP_NUM_THREADS, and the cores it asks Ray for; by
    default OMP_NUM_THREADS, else a share of the cores. A training takes one GPU where the cluster has any.
    address: of a running cluster; None: RAY_ADDRESS, else a Ray of this machine's own.
    """

    def __init__(self, jobs: int = 1, threads: int | None = None, address: str | None = None) -> None:
        self.cores = threads or share_of_cores(jobs) or 1
        super().__init__(jobs, self.cores)
        self.address, self._gpus = address, 0

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Connect. Raises ExperimentError where there is no Ray, or no host with enough cores for a task."""
        with connected(self.address, self.jobs * self.cores):
            nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
            alive = [node["Resources"] for node in nodes if node["Alive"]]
            most = max((resources.get("CPU", 0) for resources in alive), default=0)
            if most < self.cores:
                raise ExperimentError(
                    f"no host of this Ray has {self.cores} cores for one process: the largest has {most:g}",
                    remedy="Lower OMP_NUM_THREADS, or raise --jobs",
                )
            self._gpus = int(any(resources.get("GPU", 0) >= 1 for resources in alive))
            yield

    def _start(self, task: Task) -> Any:
        gpus = self._gpus if task.arguments[0] == "train" else 0
        remote = ray.remote(num_cpus=self.cores, num_gpus=gpus, max_retries=0)(run_task)
        # There it is the only task, and this process's open files do not exist.
        return remote.remote(replace(task, after=None, locks=()), self.cores)

    def _poll(self, handle: Any) -> tuple[End, str, float] | None:
        if not ray.wait([handle], timeout=0)[0]:
            return None
        try:
            result: tuple[End, str, float] = ray.get(handle)
            return result
        except ray.exceptions.RayError as error:
            return "failed", f"its Ray worker was lost: {type(error).__name__}", 0.0

    def _wait(self, handles: Sequence[Any]) -> None:
        ray.wait(list(handles), timeout=POLL)

    def _stop(self, handles: Sequence[Any]) -> None:
        for handle in handles:
            ray.cancel(handle, force=True)


def run_task(task: Task, threads: int) -> tuple[End, str, float]:
    """Run one task on the host this is called on; return how it ended, why, and its seconds."""
    try:
        with locked(task.log.parent / f"{task.log.name}{LOCK}", *BUSY, patience=PATIENCE) as lock:
            outcome = LocalPool(1, threads).run([replace(task, locks=(lock,))])[0]
    except OutputError as error:
        return "failed", str(error), 0.0
    return outcome.end, outcome.reason, outcome.seconds


@contextmanager
def connected(address: str | None, cores: int) -> Iterator[None]:
    """Connect to a Ray: one that runs at `address` or RAY_ADDRESS, one this process has, or a new local one.

    cores: of a new one. Raises ExperimentError where none can be reached or started.
    """
    if ray.is_initialized():
        yield
        return
    running = address or os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {}
    if not running:  # on loopback alone
        own = {"num_cpus": cores, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        own["object_store_memory"] = 80 << 20  # Ray's minimum: little is sent
    try:
        ray.init(address=running or "local", logging_level=logging.ERROR, log_to_driver=False, **own)
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        raise ExperimentError(
            f"no Ray can be reached or started ({first_line(error)})",
            where=running,
            remedy="Start one with ray start --head and set RAY_ADDRESS, or omit --pool ray",
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
