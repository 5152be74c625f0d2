"""Predictions for the work list: opened items first, the others when the model is idle."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from sonoseg._util.text import first_line
from sonoseg.errors import SonosegError
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.serving_queue import PredictionQueue, QueueClosed, QueueFull
from sonoseg.lesions.measurement import measure
from sonoseg.review.http_errors import Busy, NotThere
from sonoseg.review.items import Item
from sonoseg.review.prometheus import Metrics
from sonoseg.review.settings import Settings
from sonoseg.review.state_folder import read_only
from sonoseg.review.store import Store

log = logging.getLogger("sonoseg.review")

PAUSE = 5.0
"""Seconds to wait after a failed write to the state folder."""


class Predictions:
    """One model behind a queue, and the threads that submit items and store results.

    Call `start` once, and `close`. `ready` is False until the model is loaded; `fault` is why it cannot be.
    """

    def __init__(self, store: Store, settings: Settings, metrics: Metrics) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self.predictor: Predictor | None = None
        self.fault: SonosegError | None = None
        self._queue: PredictionQueue | None = None
        self._running: dict[str, Future[Segmentation]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._pause_until = 0.0
        self._storing = ThreadPoolExecutor(1, "sonoseg-store")
        self._thread: threading.Thread | None = None
        metrics.watch(lambda: float(self.depth), lambda: float(self.ready))

    def start(self, predictor: Predictor | None = None) -> None:
        """Load the model unless it is given, and predict the work list, in a thread."""
        if predictor is not None:
            self._attach(predictor)
        self._thread = threading.Thread(target=self._work, name="sonoseg-list", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish and store running predictions, then stop; the others wait for the next start."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        if self._queue is not None:
            self._queue.close()
        self._storing.shutdown(wait=True)

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._queue is not None

    @property
    def depth(self) -> int:
        """Submitted images without a result."""
        return 0 if self._queue is None else self._queue.depth

    def running(self, identity: str) -> bool:
        """Whether the item is being predicted."""
        return identity in self._running

    def notify(self) -> None:
        """Wake the thread that submits items, after items were added."""
        self._wake.set()

    def predict_once(self, read: Callable[[], Frame], *, attention: bool = False) -> Future[Segmentation]:
        """Predict one image with priority. Raises Busy until the model is loaded, QueueFull."""
        queue = self._queue
        if queue is None:
            raise self._not_ready()
        began = time.perf_counter()
        future = queue.submit(read, urgent=True, attention=attention)
        future.add_done_callback(lambda done: self._count(done, began))
        return future

    def request(self, identity: str) -> None:
        """Predict an item before the rest of the list, unless it has a prediction.

        An item that is not read yet is predicted again where the model has changed.
        Raises Forbidden where the server is read-only, QueueFull.
        """
        if self._settings.read_only:
            raise read_only()
        item = self._store.item(identity)
        if self._queue is None or self.predictor is None:
            if item.prediction in ("none", "failed"):
                self._store.set_prediction(identity, "waiting")
            return
        with self._lock:
            future = self._running.get(identity)
        if future is not None:
            self._queue.hurry(future)
            return
        another = item.model_hash not in (None, self.predictor.model.hash)
        again = another and item.revision == 0 and item.status in ("new", "read")
        if item.prediction == "done" and not again:
            return
        if item.prediction != "waiting":
            self._store.set_prediction(identity, "waiting")
        self._submit(identity, urgent=True)

    def gates(self) -> int:
        """The number of attention gates of the model; 0 until it is loaded."""
        return 0 if self.predictor is None else len(self.predictor.model.card.attention)

    def _not_ready(self) -> SonosegError:
        if self.fault is not None:
            return NotThere(f"the model cannot be used: {self.fault.found}", remedy=self.fault.remedy)
        return Busy("the model is being loaded", retry_after=2)

    def _attach(self, predictor: Predictor) -> None:
        self.predictor = predictor
        card = predictor.model.card
        self._metrics.model(card.name, predictor.model.hash, predictor.runtime)
        limits = self._settings.limits
        self._queue = PredictionQueue(predictor, limits.queue_length, self._settings.batch)

    def _load(self) -> None:
        try:
            self._attach(
                Predictor(
                    self._settings.model,
                    runtime=self._settings.runtime,
                    precision=self._settings.precision,
                    threads=self._settings.threads,
                )
            )
        except SonosegError as error:
            self.fault = error
            log.error("%s", error)
        except Exception as error:
            self.fault = SonosegError("the model could not be loaded", remedy="See the server's log")
            log.error("the model could not be loaded", exc_info=error)

    def _work(self) -> None:
        """Load the model, then submit items until the server stops."""
        if self._queue is None:
            self._load()
        while self._queue is not None and not self._settings.read_only and not self._closing.is_set():
            self._wake.clear()
            try:
                self._feed()
            except SonosegError as error:  # a locked ledger: tried again
                log.warning("%s", error)
            self._wake.wait(PAUSE)

    def _feed(self) -> None:
        """Submit the next items: at most two batches, so that the queue has room for requests."""
        if time.monotonic() < self._pause_until:
            return
        most = min(2 * self._settings.batch, max(1, self._settings.limits.queue_length // 2))
        # Read before the store: an item that ends in between is in neither of the two.
        running = set(self._running)
        for identity in self._store.waiting(2 * most):
            if len(self._running) >= most or self._closing.is_set():
                return
            if identity not in running:
                try:
                    self._submit(identity, urgent=False)
                except (QueueFull, QueueClosed):
                    return

    def _submit(self, identity: str, *, urgent: bool) -> None:
        queue = self._queue
        assert queue is not None
        began = time.perf_counter()
        with self._lock:
            if identity in self._running:
                return
            future = queue.submit(lambda: self._store.frame(identity), urgent=urgent)
            self._running[identity] = future
        future.add_done_callback(lambda done: self._done(identity, done, began))

    def _count(self, future: Future[Segmentation], began: float) -> None:
        if future.cancelled() or isinstance(future.exception(), QueueClosed):
            return
        self._metrics.predictions.labels("done" if future.exception() is None else "failed").inc()
        self._metrics.prediction_seconds.observe(time.perf_counter() - began)

    def _done(self, identity: str, future: Future[Segmentation], began: float) -> None:
        """Called in a thread of the queue, which must not be blocked."""
        self._count(future, began)
        try:
            self._storing.submit(self._store_result, identity, future)
        except RuntimeError:  # closed meanwhile: the item waits for the next start
            self._running.pop(identity, None)

    def _store_result(self, identity: str, future: Future[Segmentation]) -> None:
        try:
            error = None if future.cancelled() else future.exception()
            if isinstance(error, QueueClosed) or future.cancelled():
                return
            if error is not None:
                self._store.set_prediction(identity, "failed", _reason(error))
            else:
                assert self.predictor is not None
                found = future.result()
                if found.frame.spacing != self._store.item(identity).spacing:  # calibrated meanwhile
                    found = replace(found, frame=self._store.frame(identity))
                self._store.save_prediction(
                    identity, found, measure(found), model_hash=self.predictor.model.hash
                )
        except Exception as error:
            # A full disk or a locked ledger: the item still waits and is submitted again.
            log.error("the prediction of %s was not stored", identity, exc_info=error)
            self._pause_until = time.monotonic() + PAUSE
        finally:
            with self._lock:
                self._running.pop(identity, None)
            self._wake.set()

    def shown(self, item: Item) -> Item:
        """The item for the API: its prediction is "running" while it is being predicted."""
        if item.prediction == "waiting" and self.running(item.id):
            return item.model_copy(update={"prediction": "running"})
        return item


def _reason(error: BaseException) -> str:
    """The reason of a failed prediction, without paths of this machine."""
    if not isinstance(error, SonosegError):
        return f"the model failed ({first_line(error)})"
    return f"{error.found}. {error.remedy}." if error.remedy else f"{error.found}."
