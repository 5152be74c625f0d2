"""The node's hands: one thread segments, one sends; both take rows from the spool, and end between two."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from sonoseg.errors import MissingExtra, OutputError, SonosegError
from sonoseg.pacs.audit import Audit
from sonoseg.pacs.client import Archive, Stored, StoreOutcome
from sonoseg.pacs.node_settings import Retry
from sonoseg.pacs.queue import Spool
from sonoseg.pacs.queue_rows import QueuedResult, QueueRow, State

OUT_OF_RESOURCES = range(0xA700, 0xA800)
"""The archive has no room, and says that it may have some later (PS3.4, table B.2-1)."""

IDLE = 60.0
"""Seconds after which a thread that nobody woke looks by itself."""


class Makes(Protocol):
    """What makes results: see Segmenter."""

    def results(self, row: QueueRow, source: Path, folder: Path) -> list[QueuedResult]:
        """The results of an instance, on disk."""


class Worker:
    """Takes what is in the spool on its way.

    opened: opens the archive, for one batch. batch: instances a batch. tell: told what an operator should
    see, without a word that could name a patient. chance: of the back-off.
    """

    def __init__(
        self,
        spool: Spool,
        audit: Audit,
        segmenter: Makes,
        opened: Callable[[], Archive],
        *,
        retry: Retry,
        batch: int = 8,
        tell: Callable[[str], None] = lambda text: None,
        chance: random.Random | None = None,
    ) -> None:
        self._spool, self._audit, self._segmenter, self._opened = spool, audit, segmenter, opened
        self._retry, self._batch, self._tell = retry, batch, tell
        self._chance = chance or random.Random()
        self._stop = threading.Event()
        self._news = {State.RECEIVED: threading.Event(), State.SEGMENTED: threading.Event()}
        self._silent = 0
        self._silent_until = 0.0
        self._threads = [
            threading.Thread(target=self._work, args=(State.RECEIVED, self.segment), name="sonoseg-segment"),
            threading.Thread(target=self._work, args=(State.SEGMENTED, self.send), name="sonoseg-send"),
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Say that something was received."""
        self._news[State.RECEIVED].set()

    def stop(self) -> None:
        """End when the instances in hand are done; waits for it."""
        self._stop.set()
        for news in self._news.values():
            news.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def _work(self, state: State, step: Callable[[], bool]) -> None:
        failed = 0
        while not self._stop.is_set():
            self._news[state].clear()
            try:
                worked = step()
                failed = 0
            except SonosegError as error:  # the spool itself: a full disk, most of all
                failed += 1
                if failed == 1:
                    self._tell(f"the queue cannot be worked on, and is tried again: {error}")
                self._stop.wait(self._delay(failed))
                continue
            if not worked:
                self._news[state].wait(self._pause(state))

    def _pause(self, state: State) -> float:
        """Seconds until the next row of a state is due."""
        try:
            first = self._spool.next_at(state)
        except OutputError:
            first = None
        if first is None:
            return IDLE
        if state is State.SEGMENTED:
            first = max(first, self._silent_until)
        return min(IDLE, max(0.05, first - time.time()))

    def _delay(self, failed: int) -> float:
        """Seconds before the next try, after so many failures in a row."""
        whole: float = min(self._retry.most, self._retry.first * 2.0 ** min(failed - 1, 30))
        return whole * self._chance.uniform(0.5, 1.0)

    # Segmenting

    def segment(self) -> bool:
        """Segment the next instance that is due; False where there is none. Raises OutputError."""
        due = self._spool.due(State.RECEIVED, time.time())
        if not due:
            return False
        row = due[0]
        begun = self._spool.begin(row.uid)
        if begun > self._retry.crashes:
            self._give_up(row, f"the node ended {begun - 1} times while it was segmented")
            return True
        try:
            results = self._segmenter.results(row, self._spool.incoming(row.uid), self._spool.made(row.uid))
        except OutputError as error:
            self._put_off(row, error.found, begun=-1)
        except MemoryError:
            # Another time there may be more of it; but the instance itself may be what fills it.
            self._put_off(row, "the memory is full", begun=-1, most=self._retry.crashes)
        except (MissingExtra, SonosegError) as error:
            self._give_up(row, worded(error))
        except Exception as error:  # its text may quote the file, names too
            self._give_up(row, f"it broke its reader ({type(error).__name__})")
        else:
            self._spool.segmented(row.uid, results)
            self._audit.note("segmented", instance=row.uid, results=[one.uid for one in results])
            self._news[State.SEGMENTED].set()
        return True

    # Sending

    def send(self) -> bool:
        """Send the next results that are due; False where there are none. Raises OutputError."""
        now = time.time()
        if now < self._silent_until:
            return False
        batch: list[tuple[QueueRow, list[QueuedResult]]] = []
        for row in self._spool.due(State.SEGMENTED, now, limit=self._batch):
            waiting = [one for one in self._spool.results(row.uid) if one.stored_at is None]
            if not all(self._path(one).is_file() for one in waiting):
                self._make_again(row)
            elif not waiting:
                self._spool.stored(row.uid, [])
            else:
                batch.append((row, waiting))
        if not batch:
            return False
        outcomes = self._store([self._path(one) for _, waiting in batch for one in waiting])
        self._listen(outcomes)
        for row, waiting in batch:
            mine, outcomes = outcomes[: len(waiting)], outcomes[len(waiting) :]
            self._settle(row, waiting, mine)
        return True

    def _path(self, result: QueuedResult) -> Path:
        return self._spool.folder / result.file

    def _store(self, files: Sequence[Path]) -> list[Stored]:
        """One outcome a file, whatever happens."""
        try:
            with self._opened() as archive:
                outcomes = archive.store(files)
        except SonosegError as error:
            return [Stored(path, StoreOutcome.UNREACHABLE, words=error.found) for path in files]
        except Exception as error:  # a library's own; the queue must go on
            words = f"sending failed ({type(error).__name__})"
            return [Stored(path, StoreOutcome.UNREACHABLE, words=words) for path in files]
        return outcomes

    def _listen(self, outcomes: Sequence[Stored]) -> None:
        """Leave an archive in peace that answered nothing at all, longer each time."""
        if any(one.outcome is not StoreOutcome.UNREACHABLE for one in outcomes):
            if self._silent:
                self._tell("the archive answers again")
            self._silent, self._silent_until = 0, 0.0
            return
        self._silent += 1
        self._silent_until = time.time() + self._delay(self._silent)
        if self._silent == 1:
            self._tell(f"the archive does not answer, and is tried again: {outcomes[0].words}")

    def _settle(self, row: QueueRow, waiting: Sequence[QueuedResult], outcomes: Sequence[Stored]) -> None:
        """Note what became of one instance's results."""
        pairs = list(zip(waiting, outcomes, strict=True))
        stored = [result.uid for result, one in pairs if one.stored]
        if self._spool.stored(row.uid, stored):
            self._audit.note("sent", instance=row.uid, results=stored)
            return
        if stored:
            self._audit.note("sent", instance=row.uid, results=stored, rest="put off")
        failed = [(result, one) for result, one in pairs if not one.stored]
        refused = [pair for pair in failed if _unwanted(pair[1])]
        result, first = (refused or failed)[0]
        status = "" if first.status is None else f" (status 0x{first.status:04X})"
        did = "refused by the archive" if refused else "not taken by the archive"
        why = f"{result.kind} {did}{status}" + (f": {first.words}" if first.words else "")
        self._put_off(row, why, refused=bool(refused), status=first.status)

    # What goes wrong

    def _put_off(
        self,
        row: QueueRow,
        why: str,
        *,
        refused: bool = False,
        begun: int = 0,
        most: int | None = None,
        status: int | None = None,
    ) -> None:
        """Try it again later, or give it up where that was tried often enough."""
        count = 1 + (row.refusals if refused else row.tries)
        if count >= (most or (self._retry.refusals if refused else self._retry.tries)):
            self._give_up(row, f"{why}; tried {count} times")
            return
        until = time.time() + self._delay(count)
        self._spool.put_off(
            row.uid, until, why, tried=0 if refused else 1, refused=1 if refused else 0, begun=begun
        )
        self._audit.note(
            "put-off", instance=row.uid, tries=count, status=None if status is None else f"0x{status:04X}"
        )

    def _give_up(self, row: QueueRow, why: str) -> None:
        self._spool.give_up(row.uid, why)
        self._audit.note("given-up", instance=row.uid)
        # The reason may hold words of the archive's, which may name anybody: it stays in the state folder.
        self._tell(f"given up: {row.uid}: see {self._spool.given_up(row.uid)}")

    def _make_again(self, row: QueueRow) -> None:
        """Results that somebody took away are made anew, where their source is there."""
        if not self._spool.make_again(row.uid):
            self._give_up(row, "its results are gone, and so is its file")
        self._news[State.RECEIVED].set()


def worded(error: SonosegError) -> str:
    """Why an instance cannot be used, without the path of our copy of it."""
    return ". ".join(part for part in (error.found, error.remedy) if part)


def _unwanted(outcome: Stored) -> bool:
    """Whether the archive does not want a result, rather than not now."""
    return outcome.outcome is StoreOutcome.REFUSED and outcome.status not in OUT_OF_RESOURCES
