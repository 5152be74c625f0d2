"""A bounded queue in front of one model: batches form under load, what is urgent goes first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Protocol

from sonoseg._util.text import first_line
from sonoseg.errors import InputError, ModelError, SonosegError, UsageError
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.steps import NetworkInput, NetworkOutput

_GUESS = 1.0  # seconds an image, before any was measured
_NEWEST = 0.25  # the weight of the newest batch in the measured speed
_KEPT = 8  # one place in so many is kept for what is urgent


class QueuePredictor(Protocol):
    """The three steps of a Predictor, which see."""

    def read(self, image: Callable[[], Frame], /) -> NetworkInput:
        """Read one image."""

    def run(self, ready: list[NetworkInput], attention: bool = False, /) -> list[NetworkOutput]:
        """Run the network."""

    def finish(self, found: NetworkOutput, /) -> Segmentation:
        """Make a Segmentation of what it gave."""


class QueueFull(SonosegError):
    """No place is free. retry_after: seconds after which there will be some, from the measured speed."""

    def __init__(self, waiting: int, retry_after: float) -> None:
        super().__init__(
            f"{waiting} images wait for the model already",
            remedy=f"Ask again in {retry_after:.0f} s",
        )
        self.retry_after = retry_after


class QueueClosed(SonosegError):
    """The queue was closed before this image had its turn."""

    def __init__(self) -> None:
        super().__init__("the server is stopping", remedy="Ask again when it is back")


@dataclass(eq=False)
class _Job:
    """One image on its way. number: in the order of asking."""

    read: Callable[[], Frame]
    urgent: bool
    attention: bool
    number: int
    asked: float
    future: Future[Segmentation]
    ready: NetworkInput | None = None
    begun: bool | None = None  # None: may still be cancelled; False: was

    @property
    def turn(self) -> tuple[bool, int]:
        """What is least goes first."""
        return not self.urgent, self.number

    def begin(self) -> bool:
        """Whether it is still wanted; from now on it can no longer be cancelled."""
        if self.begun is None:
            self.begun = self.future.set_running_or_notify_cancel()
        return self.begun


class PredictionQueue:
    """Images wait here for one model.

    Two threads read and finish images while one runs the network on those that are read: alone while
    little waits, up to `batch` at once under load. So nothing is held back to fill a batch.

    predictor: a Predictor. Nothing else may use it meanwhile.
    length: images that may be in here at once, from `submit` to their answer. The last eighth of the places
        is kept for urgent ones.
    batch: images a run of the network, at most.
    clock: seconds, for tests.

    Every image that was taken in is answered: by its Segmentation, by the SonosegError that says what is
    wrong with it, or by QueueClosed. One image's failure is its own: where a batch fails, its images are
    tried one by one. A future that is cancelled while it waits gives its place up. Callbacks of futures are
    called in the threads that read and finish: let them be short.

    Raises UsageError unless length and batch are 1 or more.
    """

    def __init__(
        self,
        predictor: QueuePredictor,
        length: int,
        batch: int = 8,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if length < 1 or batch < 1:
            raise UsageError(f"a queue of {length} in batches of {batch}", remedy="Give 1 or more of each")
        self._predictor = predictor
        self._length = length
        self._batch = batch
        self._clock = clock
        self._change = Condition()
        self._waiting: list[_Job] = []  # nothing was done yet
        self._reading: list[_Job] = []
        self._read: list[_Job] = []  # the network's next
        self._depth = 0
        self._taken = 0
        self._answered = 0
        self._failed = 0
        self._runs = 0
        self._pace: float | None = None  # seconds an image
        self._ran = 0.0  # when the last batch ended
        self._closed = False
        self._hands = ThreadPoolExecutor(2, "sonoseg-queue-hand")
        self._network = Thread(target=self._work, name="sonoseg-queue-network", daemon=True)
        self._network.start()

    @property
    def depth(self) -> int:
        """Images that were taken in and not yet answered."""
        return self._depth

    @property
    def answered(self) -> int:
        """Images answered so far, with failures."""
        return self._answered

    @property
    def failed(self) -> int:
        """Images answered with an error so far."""
        return self._failed

    @property
    def runs(self) -> int:
        """Runs of the network so far: fewer than images where batches formed."""
        return self._runs

    @property
    def seconds_per_image(self) -> float | None:
        """The measured speed under load, the newest batches weighing most; None before the first."""
        return self._pace

    @property
    def retry_after(self) -> float:
        """Seconds until about half of what is in here will be done, at the measured speed; at least 1."""
        return max(1.0, self._depth / 2 * (_GUESS if self._pace is None else self._pace))

    def submit(
        self, read: Callable[[], Frame], *, urgent: bool = False, attention: bool = False
    ) -> Future[Segmentation]:
        """Ask for the segmentation of the image that `read` gives; `read` is called in another thread.

        urgent: goes before all that is not. attention: bring the gates' coefficients too.

        Raises QueueFull at once where no place is free, and QueueClosed after `close`.
        """
        with self._change:
            if self._closed:
                raise QueueClosed
            self._drop_cancelled()
            places = self._length if urgent else self._length - self._length // _KEPT
            if self._depth >= places:
                raise QueueFull(self._depth, self.retry_after)
            self._taken += 1
            job = _Job(read, urgent, attention, self._taken, self._clock(), Future())
            self._depth += 1
            self._waiting.append(job)
            self._feed()
        return job.future

    def hurry(self, future: Future[Segmentation]) -> None:
        """Make an image urgent that was asked for before; nothing happens where it has its answer."""
        with self._change:
            for job in (*self._waiting, *self._reading, *self._read):
                if job.future is future:
                    job.urgent = True
            self._feed()

    def close(self) -> None:
        """Take nothing in any more, finish what the network has begun, answer the rest with QueueClosed.

        Returns when its threads have ended. Closing twice is no fault. Not from within a future's callback.
        """
        with self._change:
            self._closed = True
            left = [*self._waiting, *self._read]
            self._waiting.clear()
            self._read.clear()
            self._change.notify_all()
        for job in left:
            self._answer(job, QueueClosed())
        self._network.join()
        self._hands.shutdown(wait=True)

    def __enter__(self) -> PredictionQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _feed(self) -> None:
        """Begin to read what is next, a batch ahead of the network; for urgent images further ahead.

        Holding the lock.
        """
        while self._waiting:
            job = min(self._waiting, key=lambda one: one.turn)
            ahead = [one for one in (*self._reading, *self._read) if one.urgent or not job.urgent]
            if len(ahead) >= self._batch:
                return
            self._waiting.remove(job)
            self._reading.append(job)
            self._hands.submit(self._make_ready, job)

    def _make_ready(self, job: _Job) -> None:
        """Read one image, in a hand's thread."""
        error: SonosegError | None = None
        if not self._closed and job.begin():
            try:
                job.ready = self._predictor.read(job.read)
            except Exception as fault:
                error = _worded(fault, InputError, "this image cannot be read", "Export or copy it again")
        with self._change:
            self._reading.remove(job)
            closed = self._closed
            if job.ready is not None and not closed:
                self._read.append(job)
                self._change.notify_all()
            self._feed()
        if job.ready is None or closed:
            self._answer(job, error or QueueClosed())

    def _work(self) -> None:
        """Run the network on what is read, until the queue is closed; its own thread."""
        while True:
            with self._change:
                while not self._read and not self._closed:
                    self._change.wait()
                if self._closed:
                    return
                jobs = sorted(self._read, key=lambda one: one.turn)[: self._batch]
                self._read = [job for job in self._read if job not in jobs]
                self._feed()
            self._run(jobs)
            ended = self._clock()
            # What the network did not wait for counts: reading and finishing may be what takes the time.
            pace = (ended - max(self._ran, min(job.asked for job in jobs))) / len(jobs)
            self._ran = ended
            self._pace = pace if self._pace is None else (1 - _NEWEST) * self._pace + _NEWEST * pace

    def _run(self, jobs: Sequence[_Job]) -> None:
        """Run the network on a batch and hand each image's part on."""
        ready = [job.ready for job in jobs if job.ready is not None]
        for job in jobs:
            job.ready = None  # its pixels are not needed after this
        self._runs += 1
        try:
            found = self._predictor.run(ready, any(job.attention for job in jobs))
        except Exception as fault:
            if len(jobs) > 1:
                for job, one in zip(jobs, ready, strict=True):
                    job.ready = one
                    self._run([job])
            else:
                error = _worded(fault, ModelError, "the network failed", "Try another image or runtime")
                self._answer(jobs[0], error)
            return
        for job, its in zip(jobs, found, strict=True):
            self._hands.submit(self._finish, job, its if job.attention else replace(its, attention=None))

    def _finish(self, job: _Job, found: NetworkOutput) -> None:
        """Make the answer, in a hand's thread."""
        try:
            self._answer(job, self._predictor.finish(found))
        except Exception as fault:
            self._answer(job, _worded(fault, ModelError, "no mask could be made", "Try another image"))

    def _answer(self, job: _Job, answer: Segmentation | SonosegError) -> None:
        """Give the place up, then the answer: who waits for it may ask for the next image at once."""
        wanted = job.begin()
        with self._change:
            self._depth -= 1
            self._answered += wanted
            self._failed += wanted and isinstance(answer, SonosegError)
        if not wanted:
            return
        if isinstance(answer, SonosegError):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)

    def _drop_cancelled(self) -> None:
        """Give the places of cancelled images up, holding the lock."""
        for job in [one for one in self._waiting if one.future.cancelled()]:
            job.begin()
            self._waiting.remove(job)
            self._depth -= 1


def _worded(fault: Exception, kind: type[SonosegError], found: str, remedy: str) -> Any:
    """A SonosegError as it is; what nobody thought of, as one of this kind."""
    if isinstance(fault, SonosegError):
        return fault
    return kind(f"{found} ({first_line(fault)})", remedy=remedy)
