"""The serving executor of the prediction pipeline: a bounded queue with priorities in front of one model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Condition, Thread
from types import TracebackType

from sonoseg._util.text import first_line
from sonoseg.errors import ModelError, SonosegError, UsageError
from sonoseg.image.frame import Frame
from sonoseg.inference.pipeline import PredictionPipeline, run_isolated
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.steps import NetworkInput, NetworkOutput
from sonoseg.inputs.reading_options import as_input_error

_INITIAL_PACE = 1.0  # seconds per image, before any was measured
_NEWEST_WEIGHT = 0.25  # of the newest batch in the measured pace
_RESERVED = 8  # one place in so many is reserved for urgent requests


class QueueFull(SonosegError):
    """No place is free. retry_after: seconds until some will be, estimated from the measured pace."""

    def __init__(self, waiting: int, retry_after: float) -> None:
        super().__init__(
            f"the queue is full: {waiting} images are waiting", remedy=f"Retry in {retry_after:.0f} s"
        )
        self.retry_after = retry_after


class QueueClosed(SonosegError):
    """The queue was closed before this image was processed."""

    def __init__(self) -> None:
        super().__init__("the server is stopping", remedy="Retry when it is back")


@dataclass(eq=False)
class _Request:
    """One image in the queue. number: in the order of submission."""

    read: Callable[[], Frame]
    urgent: bool
    attention: bool
    number: int
    submitted: float
    future: Future[Segmentation]
    input: NetworkInput | None = None
    started: bool | None = None  # None: can still be cancelled; False: was cancelled

    @property
    def priority(self) -> tuple[bool, int]:
        """The sort key: the least goes first."""
        return not self.urgent, self.number

    def start(self) -> bool:
        """Return whether the result is still wanted; from now on the request cannot be cancelled."""
        if self.started is None:
            self.started = self.future.set_running_or_notify_cancel()
        return self.started


class PredictionQueue:
    """A bounded queue of images for one model.

    Two threads read and finish images while one runs the network on those that are read: on a single image
    when the load is low, on up to `batch` at once under load. No image waits for a batch to fill.

    pipeline: usually a Predictor. Nothing else may use it meanwhile.
    length: the most images in the queue, from `submit` to the result. The last eighth of the places is
        reserved for urgent requests.
    batch: the most images per run of the network.
    clock: seconds, for tests.

    Every accepted image gets a result: its Segmentation, the SonosegError of what is wrong with it, or
    QueueClosed. One image's failure does not affect others: where a batch fails, its images are run one by
    one. A future that is cancelled while it waits frees its place. Callbacks of futures run in the threads
    that read and finish: keep them short.

    Raises UsageError unless length and batch are 1 or more.
    """

    def __init__(
        self,
        pipeline: PredictionPipeline,
        length: int,
        batch: int = 8,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if length < 1 or batch < 1:
            raise UsageError(f"a queue of {length} in batches of {batch}", remedy="Give 1 or more of each")
        self._pipeline = pipeline
        self._length = length
        self._batch = batch
        self._clock = clock
        self._change = Condition()
        self._waiting: list[_Request] = []  # not begun
        self._reading: list[_Request] = []
        self._read: list[_Request] = []  # ready for the network
        self._depth = 0
        self._accepted = 0
        self._answered = 0
        self._failed = 0
        self._runs = 0
        self._pace: float | None = None  # seconds per image
        self._last_end = 0.0  # of the last batch
        self._closed = False
        self._workers = ThreadPoolExecutor(2, "sonoseg-queue-worker")
        self._network = Thread(target=self._run_network, name="sonoseg-queue-network", daemon=True)
        self._network.start()

    @property
    def depth(self) -> int:
        """The images in the queue: accepted and not answered."""
        return self._depth

    @property
    def answered(self) -> int:
        """The images answered so far, failures included."""
        return self._answered

    @property
    def failed(self) -> int:
        """The images answered with an error so far."""
        return self._failed

    @property
    def runs(self) -> int:
        """The runs of the network so far: fewer than images where batches formed."""
        return self._runs

    @property
    def seconds_per_image(self) -> float | None:
        """The measured pace under load, a moving average; None before the first batch."""
        return self._pace

    @property
    def retry_after(self) -> float:
        """Seconds until about half of the queue will be done at the measured pace; at least 1."""
        return max(1.0, self._depth / 2 * (_INITIAL_PACE if self._pace is None else self._pace))

    def submit(
        self, read: Callable[[], Frame], *, urgent: bool = False, attention: bool = False
    ) -> Future[Segmentation]:
        """Request the segmentation of the image that `read` returns; `read` is called in another thread.

        urgent: goes before all requests that are not. attention: compute the attention maps too.

        Raises QueueFull where no place is free, and QueueClosed after `close`.
        """
        with self._change:
            if self._closed:
                raise QueueClosed
            self._drop_cancelled()
            places = self._length if urgent else self._length - self._length // _RESERVED
            if self._depth >= places:
                raise QueueFull(self._depth, self.retry_after)
            self._accepted += 1
            request = _Request(read, urgent, attention, self._accepted, self._clock(), Future())
            self._depth += 1
            self._waiting.append(request)
            self._start_reading()
        return request.future

    def hurry(self, future: Future[Segmentation]) -> None:
        """Make a submitted request urgent; without effect where it has its result."""
        with self._change:
            for request in (*self._waiting, *self._reading, *self._read):
                if request.future is future:
                    request.urgent = True
            self._start_reading()

    def close(self) -> None:
        """Accept nothing any more, finish what the network has begun, answer the rest with QueueClosed.

        Returns when the threads have ended. May be called twice, but not from a future's callback.
        """
        with self._change:
            self._closed = True
            remaining = [*self._waiting, *self._read]
            self._waiting.clear()
            self._read.clear()
            self._change.notify_all()
        for request in remaining:
            self._answer(request, QueueClosed())
        self._network.join()
        self._workers.shutdown(wait=True)

    def __enter__(self) -> PredictionQueue:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start_reading(self) -> None:
        """Read the next images, one batch ahead of the network, and more of urgent ones. Needs the lock."""
        while self._waiting:
            request = min(self._waiting, key=lambda one: one.priority)
            before = [one for one in (*self._reading, *self._read) if one.urgent or not request.urgent]
            if len(before) >= self._batch:
                return
            self._waiting.remove(request)
            self._reading.append(request)
            self._workers.submit(self._read_image, request)

    def _read_image(self, request: _Request) -> None:
        """Read one image, in a worker thread."""
        error: SonosegError | None = None
        if not self._closed and request.start():
            try:
                request.input = self._pipeline.read(request.read)
            except Exception as fault:
                error = as_input_error(fault)
        with self._change:
            self._reading.remove(request)
            closed = self._closed
            if request.input is not None and not closed:
                self._read.append(request)
                self._change.notify_all()
            self._start_reading()
        if request.input is None or closed:
            self._answer(request, error or QueueClosed())

    def _run_network(self) -> None:
        """Run the network on what is read until the queue is closed, in its own thread."""
        while True:
            with self._change:
                while not self._read and not self._closed:
                    self._change.wait()
                if self._closed:
                    return
                requests = sorted(self._read, key=lambda one: one.priority)[: self._batch]
                self._read = [request for request in self._read if request not in requests]
                self._start_reading()
            self._run_batch(requests)
            end = self._clock()
            # Overlapping time counts too: reading and finishing may be the bottleneck.
            pace = (end - max(self._last_end, min(one.submitted for one in requests))) / len(requests)
            self._last_end = end
            self._pace = (
                pace if self._pace is None else (1 - _NEWEST_WEIGHT) * self._pace + _NEWEST_WEIGHT * pace
            )

    def _run_batch(self, requests: Sequence[_Request]) -> None:
        """Run the network on a batch and pass each image's output on."""
        inputs = [request.input for request in requests if request.input is not None]
        for request in requests:
            request.input = None  # its pixels are not needed after this
        attention = any(request.attention for request in requests)

        def run(some: Sequence[NetworkInput]) -> list[NetworkOutput]:
            self._runs += 1
            return self._pipeline.run(some, attention)

        for request, output in zip(requests, run_isolated(run, inputs), strict=True):
            if isinstance(output, Exception):
                self._answer(request, _as_model_error(output, "the network failed"))
            else:
                kept = output if request.attention else replace(output, attention=None)
                self._workers.submit(self._finish, request, kept)

    def _finish(self, request: _Request, output: NetworkOutput) -> None:
        """Make the result, in a worker thread."""
        try:
            self._answer(request, self._pipeline.finish(output))
        except Exception as fault:
            self._answer(request, _as_model_error(fault, "post-processing failed"))

    def _answer(self, request: _Request, result: Segmentation | SonosegError) -> None:
        """Free the place, then set the result: whoever waits for it may submit the next image at once."""
        wanted = request.start()
        with self._change:
            self._depth -= 1
            self._answered += wanted
            self._failed += wanted and isinstance(result, SonosegError)
        if not wanted:
            return
        if isinstance(result, SonosegError):
            request.future.set_exception(result)
        else:
            request.future.set_result(result)

    def _drop_cancelled(self) -> None:
        """Free the places of cancelled requests. Needs the lock."""
        for request in [one for one in self._waiting if one.future.cancelled()]:
            request.start()
            self._waiting.remove(request)
            self._depth -= 1


def _as_model_error(fault: Exception, found: str) -> SonosegError:
    """Return a SonosegError as it is, and any other exception as a ModelError."""
    if isinstance(fault, SonosegError):
        return fault
    return ModelError(f"{found} ({first_line(fault)})", remedy="Try another image or runtime")
