"""The workers of the node: one thread segments queued instances, one sends their results."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from sonoseg._util.timestamps import steady_now
from sonoseg.errors import OutputError, SonosegError
from sonoseg.pacs.archive import Archive, Stored, StoreOutcome
from sonoseg.pacs.audit import Audit
from sonoseg.pacs.node_settings import Retry
from sonoseg.pacs.queue import InstanceQueue
from sonoseg.pacs.queue_rows import InstanceState, QueuedResult, QueueRow

OUT_OF_RESOURCES = range(0xA700, 0xA800)
"""Status codes of an archive that may store the same object later (PS3.4 table B.2-1)."""

POLL_INTERVAL = 60.0
"""Seconds after which an idle thread checks the queue without being woken."""


SegmentInstance = Callable[[QueueRow, Path, Path], list[QueuedResult]]
"""Segments an instance: its row, its file and the folder of the results; see Segmenter.results."""


class Worker:
    """Segments the queued instances and sends their results.

    segment: segments one instance. connect: opens the archive, for one batch. batch: instances per batch.
    report: called with messages for the operator, which never name a patient. random_source: of the delays.
    """

    def __init__(
        self,
        queue: InstanceQueue,
        audit: Audit,
        segment: SegmentInstance,
        connect: Callable[[], Archive],
        *,
        retry: Retry,
        batch: int = 8,
        report: Callable[[str], None] = lambda text: None,
        random_source: random.Random | None = None,
    ) -> None:
        self._queue, self._audit, self._segment, self._connect = queue, audit, segment, connect
        self._retry, self._batch, self._report = retry, batch, report
        self._random = random_source or random.Random()
        self._stop = threading.Event()
        self._news = {InstanceState.RECEIVED: threading.Event(), InstanceState.SEGMENTED: threading.Event()}
        self._silent = 0
        self._silent_until = 0.0
        steps = {InstanceState.RECEIVED: self.segment, InstanceState.SEGMENTED: self.send}
        self._threads = [
            threading.Thread(target=self._work, args=(state, step), name=f"sonoseg-{step.__name__}")
            for state, step in steps.items()
        ]

    def start(self) -> None:
        """Start the threads. Raises OutputError if the queue cannot be written."""
        # A row may wait for a time of a clock that was set back since.
        self._queue.limit_waits(steady_now() + self._retry.max_delay)
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Wake the segmenting thread: an instance was received."""
        self._news[InstanceState.RECEIVED].set()

    def stop(self) -> None:
        """Finish the instances in progress, end the threads, and wait for them."""
        self._stop.set()
        for news in self._news.values():
            news.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _work(self, state: InstanceState, step: Callable[[], bool]) -> None:
        failures = 0
        while not self._stop.is_set():
            self._news[state].clear()
            try:
                worked = step()
                failures = 0
            except SonosegError as error:  # of the queue itself, for example a full disk
                failures += 1
                if failures == 1:
                    self._report(f"queue cannot be used, retrying: {error}")
                self._stop.wait(self._delay(failures))
                continue
            if not worked:
                self._news[state].wait(self._pause(state))

    def _pause(self, state: InstanceState) -> float:
        """Return the seconds until the next row of a state is due."""
        try:
            first = self._queue.next_at(state)
        except OutputError:
            first = None
        if first is None:
            return POLL_INTERVAL
        if state is InstanceState.SEGMENTED:
            first = max(first, self._silent_until)
        return min(POLL_INTERVAL, max(0.05, first - steady_now()))

    def _delay(self, failures: int) -> float:
        """Return the seconds before the next attempt, after so many consecutive failures."""
        longest: float = min(self._retry.max_delay, self._retry.first_delay * 2.0 ** min(failures - 1, 30))
        return longest * self._random.uniform(0.5, 1.0)

    def segment(self) -> bool:
        """Segment the next instance that is due; return False if there is none. Raises OutputError."""
        due = self._queue.due(InstanceState.RECEIVED, steady_now())
        if not due:
            return False
        row = due[0]
        starts = self._queue.start(row.uid)
        if starts > self._retry.crashes:
            self._fail(row, f"the node ended {starts - 1} times while segmenting it")
            return True
        try:
            results = self._segment(
                row, self._queue.source_path(row.uid), self._queue.results_folder(row.uid)
            )
        except OutputError as error:
            self._retry_later(row, error.found, starts=-1)
        except MemoryError:
            # More memory may be free later, but the instance itself may be the cause.
            self._retry_later(row, "out of memory", starts=-1, limit=self._retry.crashes)
        except SonosegError as error:
            self._fail(row, ". ".join(part for part in (error.found, error.remedy) if part))
        except Exception as error:  # its text may quote the file, names too
            self._fail(row, f"reading or segmenting failed ({type(error).__name__})")
        else:
            self._queue.add_results(row.uid, results)
            self._audit.note("segmented", instance=row.uid, results=[one.uid for one in results])
            self._news[InstanceState.SEGMENTED].set()
        return True

    def send(self) -> bool:
        """Send the next results that are due; return False if there are none. Raises OutputError."""
        now = steady_now()
        if now < self._silent_until:
            return False
        batch: list[tuple[QueueRow, list[QueuedResult]]] = []
        for row in self._queue.due(InstanceState.SEGMENTED, now, limit=self._batch):
            waiting = [one for one in self._queue.results(row.uid) if one.stored_at is None]
            if not all(self._path(one).is_file() for one in waiting):
                self._segment_again(row)
            elif not waiting:
                self._queue.mark_stored(row.uid, [])
            else:
                batch.append((row, waiting))
        if not batch:
            return False
        outcomes = self._store([self._path(one) for _, waiting in batch for one in waiting])
        self._check_response(outcomes)
        for row, waiting in batch:
            own, outcomes = outcomes[: len(waiting)], outcomes[len(waiting) :]
            self._record(row, waiting, own)
        return True

    def _path(self, result: QueuedResult) -> Path:
        return self._queue.folder / result.file

    def _store(self, files: Sequence[Path]) -> list[Stored]:
        """Send files and return one outcome each; never raises."""
        try:
            with self._connect() as archive:
                outcomes = archive.store(files)
        except SonosegError as error:
            return [Stored(path, StoreOutcome.UNREACHABLE, reason=error.found) for path in files]
        except Exception as error:  # of another library: the worker must continue
            reason = f"sending failed ({type(error).__name__})"
            return [Stored(path, StoreOutcome.UNREACHABLE, reason=reason) for path in files]
        return outcomes

    def _check_response(self, outcomes: Sequence[Stored]) -> None:
        """Pause sending to an archive that does not respond, longer each time."""
        if any(one.outcome is not StoreOutcome.UNREACHABLE for one in outcomes):
            if self._silent:
                self._report("the archive responds again")
            self._silent, self._silent_until = 0, 0.0
            return
        self._silent += 1
        self._silent_until = steady_now() + self._delay(self._silent)
        if self._silent == 1:
            self._report(f"the archive does not respond, retrying: {outcomes[0].reason}")

    def _record(self, row: QueueRow, waiting: Sequence[QueuedResult], outcomes: Sequence[Stored]) -> None:
        """Record the outcomes of one instance's results."""
        pairs = list(zip(waiting, outcomes, strict=True))
        stored = [result.uid for result, one in pairs if one.stored]
        if self._queue.mark_stored(row.uid, stored):
            self._audit.note("sent", instance=row.uid, results=stored)
            return
        if stored:
            self._audit.note("sent", instance=row.uid, results=stored, rest="retry")
        failed = [(result, one) for result, one in pairs if not one.stored]
        refused = [pair for pair in failed if _is_refusal(pair[1])]
        result, first = (refused or failed)[0]
        status = "" if first.status is None else f" (status 0x{first.status:04X})"
        verb = "refused" if refused else "not stored"
        reason = f"{result.kind} {verb} by the archive{status}" + (
            f": {first.reason}" if first.reason else ""
        )
        self._retry_later(row, reason, refused=bool(refused), status=first.status)

    def _retry_later(
        self,
        row: QueueRow,
        reason: str,
        *,
        refused: bool = False,
        starts: int = 0,
        limit: int | None = None,
        status: int | None = None,
    ) -> None:
        """Schedule another attempt, or record the final failure after the last one."""
        count = 1 + (row.refusals if refused else row.attempts)
        if count >= (limit or (self._retry.refusals if refused else self._retry.attempts)):
            self._fail(row, f"{reason}; tried {count} times")
            return
        self._queue.retry_later(
            row.uid,
            steady_now() + self._delay(count),
            reason,
            attempts=int(not refused),
            refusals=int(refused),
            starts=starts,
        )
        code = None if status is None else f"0x{status:04X}"
        self._audit.note("retry", instance=row.uid, attempts=count, status=code)

    def _fail(self, row: QueueRow, reason: str) -> None:
        self._queue.fail(row.uid, reason)
        self._audit.note("failed", instance=row.uid)
        # The reason may quote text of the archive, which may name a patient: it stays in the state folder.
        self._report(f"failed: {row.uid}: see {self._queue.failed_folder(row.uid)}")

    def _segment_again(self, row: QueueRow) -> None:
        """Make missing results again, if the instance's file exists."""
        if not self._queue.segment_again(row.uid):
            self._fail(row, "results and file are missing")
        self._news[InstanceState.RECEIVED].set()


def _is_refusal(outcome: Stored) -> bool:
    """Return whether the archive refuses a result permanently."""
    return outcome.outcome is StoreOutcome.REFUSED and outcome.status not in OUT_OF_RESOURCES
