"""The model at work: what a reader opens goes first, the rest of the list when nothing else waits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sonoseg._util.text import first_line
from sonoseg.errors import SonosegError
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inference.serving_queue import PredictionQueue, QueueClosed, QueueFull
from sonoseg.lesions.measurement import measure
from sonoseg.results.tables import lesion_object
from sonoseg.review.http_errors import Busy, NotThere
from sonoseg.review.items import Item
from sonoseg.review.prometheus import Metrics
from sonoseg.review.settings import Settings
from sonoseg.review.state_folder import read_only
from sonoseg.review.store import Store

log = logging.getLogger("sonoseg.review")

PAUSE = 5.0
"""Seconds to wait after the state could not be written to."""


class Predictions:
    """One model behind its queue, and the threads that keep it busy and keep what it finds.

    Call `start` once, and `close`. `ready` is False until the model is loaded; `fault` says why it cannot be.
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
        self._stir = threading.Event()
        self._closing = threading.Event()
        self._pause_until = 0.0
        self._keeper = ThreadPoolExecutor(1, "sonoseg-keeper")
        self._thread: threading.Thread | None = None
        metrics.watch(lambda: float(self.depth), lambda: float(self.ready))

    def start(self, predictor: Predictor | None = None) -> None:
        """Load the model, unless it is given, and go on with the list: in a thread of its own."""
        if predictor is not None:
            self._attach(predictor)
        self._thread = threading.Thread(target=self._work, name="sonoseg-list", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what the network has begun, keep it, and stop; the rest waits for the next start."""
        self._closing.set()
        self._stir.set()
        if self._thread is not None:
            self._thread.join()
        if self._queue is not None:
            self._queue.close()
        self._keeper.shutdown(wait=True)

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._queue is not None

    @property
    def depth(self) -> int:
        """Images that were asked for and have no answer yet."""
        return 0 if self._queue is None else self._queue.depth

    def running(self, identity: str) -> bool:
        """Whether the model has it in hand."""
        return identity in self._running

    def stir(self) -> None:
        """Say that something new waits in the list."""
        self._stir.set()

    def once(self, read: Callable[[], Frame], *, attention: bool = False) -> Future[Segmentation]:
        """Ask for one image that somebody waits for. Raises Busy before the model is there, QueueFull."""
        queue = self._queue
        if queue is None:
            raise self._not_ready()
        began = time.perf_counter()
        future = queue.submit(read, urgent=True, attention=attention)
        future.add_done_callback(lambda done: self._count(done, began))
        return future

    def ask(self, identity: str) -> None:
        """Ask for an item's prediction before the rest of the list; one that has its own keeps it.

        An item that nobody read yet is predicted anew where the model is another one.
        Raises Forbidden where nothing may be changed, QueueFull.
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
        """How many attention gates the model has; 0 before it is loaded."""
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
        """Load the model; then feed it from the list, for as long as the server runs."""
        if self._queue is None:
            self._load()
        while self._queue is not None and not self._settings.read_only and not self._closing.is_set():
            self._stir.clear()
            try:
                self._feed()
            except SonosegError as error:  # a locked database: it is asked again
                log.warning("%s", error)
            self._stir.wait(PAUSE)

    def _feed(self) -> None:
        """Ask for the next items of the list: two batches at most, so that places are left for others."""
        if time.monotonic() < self._pause_until:
            return
        most = min(2 * self._settings.batch, max(1, self._settings.limits.queue_length // 2))
        # In this order: what is done between the two is neither running here nor waiting there.
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
        """Called in a thread of the queue: what takes time is left to another."""
        self._count(future, began)
        try:
            self._keeper.submit(self._keep, identity, future)
        except RuntimeError:  # closed meanwhile: it waits for the next start
            self._running.pop(identity, None)

    def _keep(self, identity: str, future: Future[Segmentation]) -> None:
        try:
            error = None if future.cancelled() else future.exception()
            if isinstance(error, QueueClosed) or future.cancelled():
                return
            if error is not None:
                self._store.set_prediction(identity, "failed", _reason(error))
            else:
                assert self.predictor is not None
                found = future.result()
                self._store.save_prediction(
                    identity, found, lesions_of(found), model_hash=self.predictor.model.hash
                )
        except Exception as error:
            # A full disk, a locked database: the item still waits, and is asked for again.
            log.error("the prediction of %s was not kept", identity, exc_info=error)
            self._pause_until = time.monotonic() + PAUSE
        finally:
            with self._lock:
                self._running.pop(identity, None)
            self._stir.set()

    def shown(self, item: Item) -> Item:
        """The item as the API tells it: running where the model has it in hand."""
        if item.prediction == "waiting" and self.running(item.id):
            return item.model_copy(update={"prediction": "running"})
        return item


def lesions_of(segmentation: Segmentation) -> list[dict[str, Any]]:
    """The lesions of a segmentation, measured, as results.json has them."""
    return [lesion_object(lesion) for lesion in measure(segmentation).lesions]


def _reason(error: BaseException) -> str:
    """Why there is no prediction, without the folders of this machine."""
    if not isinstance(error, SonosegError):
        return f"the model failed ({first_line(error)})"
    return f"{error.found}. {error.remedy}." if error.remedy else f"{error.found}."
