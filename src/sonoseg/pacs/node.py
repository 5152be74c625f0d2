"""The node: a receiver, a spool and a worker, started and stopped together."""

from __future__ import annotations

from collections.abc import Callable

from sonoseg.pacs.audit import Audit, user
from sonoseg.pacs.client import open_archive
from sonoseg.pacs.node_settings import NodeSettings
from sonoseg.pacs.queue import Spool
from sonoseg.pacs.segmenter import Segmenter
from sonoseg.pacs.storage_scp import Receiver
from sonoseg.pacs.worker import Worker

AUDIT = "audit.jsonl"


class Node:
    """Everything that `sonoseg pacs serve` starts. tell: told what an operator should see.

    Raises as Spool, Predictor and Receiver, and UsageError where the archive's address cannot be used.
    """

    def __init__(self, settings: NodeSettings, *, tell: Callable[[str], None] = lambda text: None) -> None:
        self.settings = settings
        open_archive(settings.archive).close()  # a missing secret is told now, not in the night
        segmenter = Segmenter(settings)
        self.spool = Spool(
            settings.state,
            model=segmenter.model,
            keep=settings.keep,
            keep_free=settings.limits.keep_free,
        )
        try:
            self.audit = Audit(settings.state / AUDIT, tell)
            self.worker = Worker(
                self.spool,
                self.audit,
                segmenter,
                lambda: open_archive(settings.archive),
                retry=settings.retry,
                batch=settings.batch,
                tell=tell,
            )
            self.receiver = Receiver(settings, self.spool, self.audit, self.worker.wake)
        except BaseException:
            self.spool.close()
            raise
        self.model = segmenter.model

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.receiver.port

    def start(self) -> None:
        """Begin to receive, to segment and to send."""
        self.audit.note(
            "started", user=user(), ae=self.settings.ae, host=self.settings.host, port=self.port,
            model=self.model, archive=str(self.settings.archive),
        )  # fmt: skip
        self.worker.start()
        self.receiver.start()

    def stop(self) -> None:
        """Take nothing more, finish what is in hand, and close."""
        self.receiver.stop()
        self.worker.stop()
        self.audit.note("stopped", user=user())
        self.spool.close()
