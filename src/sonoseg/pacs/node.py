"""The node: Storage SCP, queue and worker, started and stopped together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from sonoseg.pacs.audit import Audit, user
from sonoseg.pacs.client import open_archive
from sonoseg.pacs.node_settings import NodeSettings
from sonoseg.pacs.queue import InstanceQueue
from sonoseg.pacs.segmenter import Segmenter
from sonoseg.pacs.storage_scp import StorageScp
from sonoseg.pacs.worker import Worker

AUDIT = "audit.jsonl"


class Node:
    """A node that receives ultrasound, segments it, and sends the results to an archive.

    report: called with messages for the operator.

    Raises as InstanceQueue, Predictor and StorageScp, and UsageError if the archive's address cannot be used.
    """

    def __init__(self, settings: NodeSettings, *, report: Callable[[str], None] = lambda text: None) -> None:
        self.settings = settings
        open_archive(settings.archive).close()  # a missing secret is reported now, not with the first result
        segmenter = Segmenter(settings)
        self.model = segmenter.model
        self.queue = InstanceQueue(
            settings.state, model=segmenter.identity, keep=settings.keep, keep_free=settings.limits.keep_free
        )
        try:
            self.audit = Audit(settings.state / AUDIT, report)
            self.worker = Worker(
                self.queue,
                self.audit,
                segmenter.results,
                lambda: open_archive(settings.archive),
                retry=settings.retry,
                batch=settings.batch,
                report=report,
            )
            self.storage = StorageScp(settings, self.queue, self.audit, self.worker.wake)
        except BaseException:
            self.queue.close()
            raise

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.storage.port

    def retry_failed(self) -> int:
        """Requeue all failed instances, and return their number."""
        count = self.queue.requeue_failed()
        self.audit.note("requeued", instances=count)
        return count

    def start(self) -> None:
        """Start to receive, to segment and to send."""
        self.audit.note(
            "started", user=user(), ae=self.settings.ae, host=self.settings.host, port=self.port,
            model=self.model, archive=str(self.settings.archive),
        )  # fmt: skip
        self.worker.start()
        self.storage.start()

    def stop(self) -> None:
        """Stop receiving, finish the instances in progress, and close."""
        self.storage.stop()
        self.worker.stop()
        self.audit.note("stopped", user=user())
        self.queue.close()

    def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Run until SIGINT or SIGTERM; a second signal ends the process at once, without loss.

        started: called once the node accepts associations.
        """
        ended = threading.Event()
        former: dict[int, Any] = {}

        def end(number: int, _: object) -> None:
            ended.set()
            signal.signal(number, former[number] or signal.SIG_DFL)

        for caught in (signal.SIGINT, signal.SIGTERM):
            former[caught] = signal.signal(caught, end)
        try:
            self.start()
            started()
            while not ended.wait(3600):
                pass
            self.stop()
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
