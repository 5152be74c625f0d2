"""The read-run-finish pipeline of predictions, and its offline executor.

A prediction has three steps. `read` decodes an image and resizes it for the network; `run` computes
probabilities for a batch; `finish` resamples them to the image's grid and makes the mask. Two executors
drive them: OfflineExecutor here, for a sequence of images in its order, and PredictionQueue in
serving_queue.py, for requests with priorities. Both run the network in one thread and the other steps beside
it. Ray Data drives the same functions of steps.py in sonoseg.batch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar

from sonoseg.errors import OutputError, SonosegError, SonosegWarning, UsageError
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.steps import NetworkInput, NetworkOutput, PredictionSteps

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_Read = NetworkInput | SonosegError

READERS = 2
"""Threads that read ahead of the network, whose engine has threads of its own."""


class PredictionPipeline(Protocol):
    """The three steps that the executors drive; Predictor has them."""

    @property
    def steps(self) -> PredictionSteps:
        """The steps without the network, which other processes run."""
        ...

    def read(self, image: Any, /) -> NetworkInput:
        """Read and resize one image, in any thread. Raises SonosegError."""
        ...

    def run(self, inputs: Sequence[NetworkInput], attention: bool = False, /) -> list[NetworkOutput]:
        """Run the network on a batch, in one thread at a time. Raises ModelError."""
        ...

    def finish(self, output: NetworkOutput, /) -> Segmentation:
        """Make a Segmentation of the network's output, in any thread."""
        ...


def ahead(
    pool: Executor, work: Callable[[T], R], items: Iterable[T], depth: int
) -> Iterator[tuple[T, Future[R]]]:
    """Yield each item with the future of `work(item)`, in the items' order.

    At most `depth` calls are submitted and not yet yielded, so memory stays flat however long `items` is.
    `items` is consumed in the consumer's own thread. An exception in `work` stays in its future.
    """
    pending: deque[tuple[T, Future[R]]] = deque()
    for item in items:
        pending.append((item, pool.submit(work, item)))
        if len(pending) >= depth:
            yield pending.popleft()
    while pending:
        yield pending.popleft()


def run_isolated(run: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> Sequence[R | Exception]:
    """Run a batch; where it fails, run its items one by one: each gets its own result or exception."""
    try:
        return run(items) if items else []
    except Exception as error:
        if len(items) == 1:
            return [error]
    return [result for item in items for result in run_isolated(run, [item])]


class OfflineExecutor(Generic[T, R]):
    """Predicts a sequence of images in its order, reading ahead and finishing beside the network.

    Two threads read, one runs the network in batches, and `workers` threads or processes finish. Every stage
    has a bounded number of images in flight, so memory stays flat however many there are.

    pipeline: usually a Predictor.
    then: applied to each Segmentation where it is finished, for example to measure and write it. A
        SonosegWarning issued there is issued again in the consumer's process.
    load: makes of an item what `pipeline.read` takes, in the reading threads.
    batch: images per run of the network, 1 or more. attention: compute the attention maps as well.
    workers: threads, or processes where `processes` is set, that finish. In threads the work competes for
        Python's global lock with the thread that feeds the network; processes take about a second to start,
        and `then` and its results must be picklable.

    Raises UsageError for a batch below 1.
    """

    def __init__(
        self,
        pipeline: PredictionPipeline,
        then: Callable[[Segmentation], R],
        *,
        load: Callable[[T], Any] = lambda item: item,
        batch: int = 8,
        attention: bool = False,
        workers: int = 2,
        processes: bool = False,
    ) -> None:
        if batch < 1:
            raise UsageError(f"a batch of {batch} images", remedy="Give a batch of 1 or more")
        self._pipeline, self._then, self._load = pipeline, then, load
        self._batch, self._attention = batch, attention
        self._workers, self._processes = workers, processes

    def map(self, items: Iterable[T]) -> Iterator[tuple[T, R | SonosegError]]:
        """Yield each item with its result, or with the error of reading it, in the items' order.

        items: consumed as needed; about four batches are held at a time.

        Raises ModelError where the network fails, OutputError where a worker process ends unexpectedly, and
        whatever `then` and `items` raise.
        """
        readers, network = (
            ThreadPoolExecutor(READERS, "sonoseg-read"),
            ThreadPoolExecutor(1, "sonoseg-network"),
        )
        finishers: _Finishers[R] = (
            _ProcessFinishers(self._pipeline.steps, self._then, self._workers)
            if self._processes
            else _ThreadFinishers(self._pipeline.finish, self._then, self._workers)
        )
        pending: deque[tuple[T, Future[Any] | SonosegError]] = deque()

        def next_result() -> tuple[T, R | SonosegError]:
            item, outcome = pending.popleft()
            return item, outcome if isinstance(outcome, SonosegError) else finishers.result(outcome)

        try:
            for _, batch in ahead(network, self._run, self._batches(readers, items), 2):
                for item, output in batch.result():
                    done = output if isinstance(output, SonosegError) else finishers.submit(output)
                    pending.append((item, done))
                    if len(pending) >= 2 * self._workers:
                        yield next_result()
            while pending:
                yield next_result()
        finally:
            for pool in (readers, network, finishers.pool):
                pool.shutdown(wait=True, cancel_futures=True)

    def _batches(self, readers: Executor, items: Iterable[T]) -> Iterator[list[tuple[T, _Read]]]:
        batch: list[tuple[T, _Read]] = []
        for item, future in ahead(readers, self._read, items, 2 * self._batch):
            batch.append((item, future.result()))
            if len(batch) == self._batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _read(self, item: T) -> _Read:
        try:
            return self._pipeline.read(self._load(item))
        except SonosegError as error:
            return error

    def _run(self, batch: list[tuple[T, _Read]]) -> list[tuple[T, NetworkOutput | SonosegError]]:
        inputs = [read for _, read in batch if not isinstance(read, SonosegError)]
        outputs: list[NetworkOutput] = []
        for output in run_isolated(lambda some: self._pipeline.run(some, self._attention), inputs):
            if isinstance(output, Exception):  # on one image alone: the fault is the network's
                raise output
            outputs.append(output)
        remaining = iter(outputs)
        return [(item, read if isinstance(read, SonosegError) else next(remaining)) for item, read in batch]


class _Finishers(Protocol[R_co]):
    """What finishes the network's outputs: threads or processes."""

    pool: Executor

    def submit(self, output: NetworkOutput) -> Future[Any]: ...
    def result(self, future: Future[Any]) -> R_co: ...


class _ThreadFinishers(Generic[R]):
    def __init__(
        self,
        finish: Callable[[NetworkOutput], Segmentation],
        then: Callable[[Segmentation], R],
        workers: int,
    ) -> None:
        self.pool: Executor = ThreadPoolExecutor(workers, "sonoseg-finish")
        self._finish, self._then = finish, then

    def submit(self, output: NetworkOutput) -> Future[Any]:
        return self.pool.submit(lambda: self._then(self._finish(output)))

    def result(self, future: Future[Any]) -> R:
        result: R = future.result()
        return result


class _ProcessFinishers(Generic[R]):
    """Processes that finish: each is started with the steps and `then`, and sent the network's outputs."""

    def __init__(self, steps: PredictionSteps, then: Callable[[Segmentation], R], workers: int) -> None:
        self._others = set(multiprocessing.active_children())
        self._workers: set[BaseProcess] = set()
        context = multiprocessing.get_context("spawn")
        self.pool: Executor = ProcessPoolExecutor(
            workers, context, initializer=_start_worker, initargs=(steps, then)
        )

    def submit(self, output: NetworkOutput) -> Future[Any]:
        try:
            future = self.pool.submit(_finish_in_worker, output)
        except BrokenProcessPool as error:
            raise self._worker_ended() from error
        self._workers |= set(multiprocessing.active_children()) - self._others
        return future

    def result(self, future: Future[Any]) -> R:
        result: R
        try:
            result, messages = future.result()
        except BrokenProcessPool as error:
            raise self._worker_ended() from error
        for message in messages:
            warnings.warn(message, SonosegWarning, stacklevel=2)
        return result

    def _worker_ended(self) -> OutputError:
        """Return the error for a worker that ended by itself; the pool terminates the others by SIGTERM."""
        self.pool.shutdown(wait=True, cancel_futures=True)  # collects the exit codes
        codes = [worker.exitcode for worker in self._workers if worker.exitcode]
        reasons = [
            f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            for code in sorted(codes)
            if code != -signal.SIGTERM
        ]
        return OutputError(
            f"a worker process ended unexpectedly ({reasons[0] if reasons else 'reason unknown'})",
            remedy="Check that the machine has enough memory, and that no other program ends processes",
        )


_finish: Callable[[NetworkOutput], Any]


def _start_worker(steps: PredictionSteps, then: Callable[[Segmentation], Any]) -> None:
    """Initialise a worker process: what it runs, and that it ends with its parent."""
    global _finish
    _finish = lambda output: then(steps.finish(output))  # noqa: E731
    # Ctrl-C reaches every process of the terminal; the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _finish_in_worker(output: NetworkOutput) -> tuple[Any, list[str]]:
    """Finish one output in a worker process; returns the result and the texts of its SonosegWarnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SonosegWarning)
        result = _finish(output)
    return result, [str(one.message) for one in caught if issubclass(one.category, SonosegWarning)]
