"""The worker against archives and disks that fail: retried, failed with the reason, sent once."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sonoseg.errors import InputError, MissingExtra, ModelError, OutputError, PacsError
from sonoseg.pacs.archive import Archive, Stored, StoreOutcome
from sonoseg.pacs.audit import Audit
from sonoseg.pacs.node_settings import Retry
from sonoseg.pacs.queue import InstanceQueue, ReceivedInstance
from sonoseg.pacs.queue_rows import InstanceState, QueuedResult, QueueRow
from sonoseg.pacs.worker import Worker

STORED, REFUSED, UNREACHABLE = StoreOutcome.STORED, StoreOutcome.REFUSED, StoreOutcome.UNREACHABLE
US = "1.2.840.10008.5.1.4.1.1.6.1"


class ScriptedArchive:
    """An archive with configured responses, which keeps what it stored."""

    def __init__(self) -> None:
        self.answer: Callable[[Path], tuple[StoreOutcome, int | None]] = lambda path: (STORED, 0)
        self.fault: BaseException | None = None
        self.stored: list[str] = []
        self.batches: list[int] = []

    def store(self, files: Sequence[Path]) -> list[Stored]:
        self.batches.append(len(files))
        if self.fault is not None:
            raise self.fault
        outcomes = []
        for path in files:
            outcome, status = self.answer(path)
            if outcome is STORED:
                self.stored.append(f"{path.parent.name}/{path.name}")
            outcomes.append(Stored(path, outcome, status=status, reason="Musterfrau^Erika is not known"))
        return outcomes

    def __enter__(self) -> ScriptedArchive:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class ScriptedSegmenter:
    """A segmenter that writes two files, or fails."""

    def __init__(self) -> None:
        self.fault: BaseException | None = None
        self.made: list[str] = []

    def results(self, row: QueueRow, source: Path, folder: Path) -> list[QueuedResult]:
        if self.fault is not None:
            raise self.fault
        self.made.append(row.uid)
        folder.mkdir(exist_ok=True)
        results = []
        for kind in ("seg", "sr"):
            (folder / f"{kind}.dcm").write_bytes(b"object")
            place = f"results/{row.uid}/{kind}.dcm"
            results.append(QueuedResult(f"{row.uid}.{len(results)}", row.uid, kind, place, "m"))
        return results


class Bench:
    """A worker with all that it works on; `step` does what is due, whenever it is."""

    def __init__(self, folder: Path, **retry: Any) -> None:
        self.queue = InstanceQueue(folder / "state", model="m")
        self.archive, self.makes = ScriptedArchive(), ScriptedSegmenter()
        self.reports: list[str] = []
        self.audit = Audit(folder / "audit.jsonl")
        self.worker = self.other(**retry)

    def other(self, **retry: Any) -> Worker:
        return Worker(
            self.queue,
            self.audit,
            lambda *given: self.makes.results(*given),
            lambda: self._opened(),
            retry=Retry(**{"first_delay": 0.001, "max_delay": 0.001} | retry),
            batch=3,
            report=self.reports.append,
            random_source=random.Random(1),
        )

    def _opened(self) -> Archive:
        return self.archive  # type: ignore[return-value]

    def take(self, *uids: str) -> None:
        for uid in uids:
            self.queue.accept(ReceivedInstance(uid, US, "1.2.840.10008.1.2.1", "SCANNER"), uid.encode())

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            time.sleep(0.003)
            for _ in self.queue.rows(InstanceState.RECEIVED):
                self.worker.segment()
            self.worker.send()

    def row(self, uid: str) -> QueueRow:
        row = self.queue.row(uid)
        assert row is not None
        return row


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.queue.close()


def test_from_received_to_sent(bench: Bench) -> None:
    bench.take("1.1", "1.2", "1.3", "1.4")
    bench.step(2)
    assert bench.queue.counts()[InstanceState.SENT] == 4
    assert bench.archive.batches == [6, 2], "some instances together, in one association"
    assert len(set(bench.archive.stored)) == len(bench.archive.stored) == 8
    assert not bench.worker.send()
    assert not bench.worker.segment()
    events = [json.loads(line)["event"] for line in bench.audit.path.read_text("utf-8").splitlines()]
    assert events == ["segmented"] * 4 + ["sent"] * 4


def test_unreachable_archive_is_retried(bench: Bench) -> None:
    bench.archive.answer = lambda path: (UNREACHABLE, None)
    bench.take("1.1")
    bench.step(4)
    row = bench.row("1.1")
    assert (row.state, row.refusals) == (InstanceState.SEGMENTED, 0)
    assert 1 <= row.attempts <= 4
    assert bench.makes.made == ["1.1"], "nothing is computed again for it"
    assert len(bench.reports) == 1, "said once"
    bench.archive.answer = lambda path: (STORED, 0)
    bench.step(2)
    assert bench.row("1.1").state is InstanceState.SENT
    assert bench.reports[1:] == ["the archive responds again"]


def test_unreachable_archive_is_not_tried_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, first_delay=1000.0, max_delay=3000.0)
    bench.archive.answer = lambda path: (UNREACHABLE, None)
    bench.take("1.1", "1.2", "1.3", "1.4")
    bench.step(5)
    assert bench.archive.batches == [6], "one batch tried it for all"
    waits = [bench.worker._delay(failed) for failed in (1, 2, 3, 9, 5000)]
    assert 500 <= waits[0] <= 1000 <= waits[1] <= 2000
    assert all(1500 <= wait <= 3000 for wait in waits[2:])
    assert len(set(waits)) == 5, "by chance, so that not all nodes come back at once"
    bench.queue.close()


@pytest.mark.parametrize("fault", [PacsError("no secret"), RuntimeError("Musterfrau^Erika"), OSError(5)])
def test_exceptions_of_other_libraries_do_not_stop_the_worker(bench: Bench, fault: Exception) -> None:
    bench.archive.fault = fault
    bench.take("1.1")
    bench.step()
    row = bench.row("1.1")
    assert (row.state, row.attempts) == (InstanceState.SEGMENTED, 1)
    assert "Erika" not in str(row.reason)
    bench.archive.fault = None
    bench.step(2)
    assert bench.row("1.1").state is InstanceState.SENT


def test_refused_results_fail_with_the_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path, refusals=3)
    bench.archive.answer = lambda path: (REFUSED, 0xC000) if path.name == "sr.dcm" else (STORED, 0)
    bench.take("1.1")
    bench.step(5)
    assert bench.row("1.1").state is InstanceState.FAILED
    assert bench.archive.stored == ["1.1/seg.dcm"], "what was stored is not sent again"
    assert bench.archive.batches == [2, 1, 1]
    apart = bench.queue.failed_folder("1.1")
    assert sorted(path.name for path in apart.iterdir()) == ["reason.json", "seg.dcm", "source.dcm", "sr.dcm"]
    why = json.loads((apart / "reason.json").read_text("utf-8"))["reason"]
    assert why.startswith("sr refused by the archive (status 0xC000)")
    assert why.endswith("tried 3 times")
    audit = bench.audit.path.read_text("utf-8")
    assert "0xC000" in audit
    assert "Erika" not in audit + "".join(bench.reports), "an archive's words may name anybody"
    bench.queue.close()


def test_out_of_resources_is_not_a_refusal(tmp_path: Path) -> None:
    bench = Bench(tmp_path, refusals=1)
    bench.archive.answer = lambda path: (REFUSED, 0xA700)
    bench.take("1.1")
    bench.step(3)
    assert (bench.row("1.1").state, bench.row("1.1").refusals) == (InstanceState.SEGMENTED, 0)
    bench.archive.answer = lambda path: (STORED, 0)
    bench.step(2)
    assert bench.row("1.1").state is InstanceState.SENT
    bench.queue.close()


def test_instance_without_response_does_not_block_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attempts=4)
    bench.archive.answer = lambda path: (UNREACHABLE, None) if path.parent.name == "1.1" else (STORED, 0)
    bench.take("1.1", "1.2")
    bench.step()
    assert bench.row("1.2").state is InstanceState.SENT
    assert bench.row("1.1").state is InstanceState.SEGMENTED
    bench.step(20)
    assert bench.row("1.1").state is InstanceState.FAILED
    assert "tried 4 times" in str(bench.row("1.1").reason)
    bench.queue.close()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (InputError("corrupt", remedy="Send it again"), "corrupt. Send it again"),
        (MissingExtra("needs a codec"), "needs a codec"),
        (ModelError("not finite"), "not finite"),
        (ValueError("Musterfrau^Erika"), "reading or segmenting failed (ValueError)"),
    ],
)
def test_unusable_instance_fails_at_once(bench: Bench, fault: Exception, said: str) -> None:
    bench.makes.fault = fault
    bench.take("1.1")
    bench.step()
    assert (bench.row("1.1").state, bench.row("1.1").reason) == (InstanceState.FAILED, said)
    bench.makes.fault = None
    bench.take("1.2")
    assert bench.queue.requeue_failed("1.1") == 1
    bench.step()
    assert bench.queue.counts()[InstanceState.SENT] == 2


@pytest.mark.parametrize("fault", [OutputError("the disk is full"), MemoryError()])
def test_failing_disk_is_retried(bench: Bench, fault: Exception) -> None:
    bench.makes.fault = fault
    bench.take("1.1")
    bench.step(3)
    assert bench.row("1.1").state is InstanceState.RECEIVED
    assert re.search("full|out of memory", str(bench.row("1.1").reason))
    bench.makes.fault = None
    bench.step(2)
    assert bench.row("1.1").state is InstanceState.SENT


def test_out_of_memory_fails_after_the_limit(bench: Bench) -> None:
    bench.makes.fault = MemoryError()
    bench.take("1.1")
    bench.step(9)
    assert bench.row("1.1").state is InstanceState.FAILED
    assert bench.row("1.1").reason == "out of memory; tried 5 times"


def test_instance_that_ends_the_node_fails_after_the_limit(bench: Bench) -> None:
    bench.take("1.1", "1.2")
    for _ in range(5):
        bench.queue.start("1.1")  # and the node was killed
    bench.step(2)
    assert bench.makes.made == ["1.2"]
    assert bench.row("1.1").state is InstanceState.FAILED
    assert "ended 5 times" in str(bench.row("1.1").reason)


def test_missing_results_are_made_again(bench: Bench) -> None:
    bench.take("1.1", "1.2")
    while bench.worker.segment():
        pass
    for uid in ("1.1", "1.2"):
        (bench.queue.results_folder(uid) / "sr.dcm").unlink()
    bench.queue.source_path("1.2").unlink()
    bench.step(3)
    assert bench.row("1.1").state is InstanceState.SENT
    assert bench.makes.made == ["1.1", "1.2", "1.1"]
    assert bench.row("1.2").state is InstanceState.FAILED


def test_threads_continue_after_an_unwritable_queue(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    real, failed = bench.queue.start, []

    def start(uid: str) -> int:
        if len(failed) < 3:
            failed.append(uid)
            raise OutputError("the disk is full")
        return real(uid)

    monkeypatch.setattr(bench.queue, "start", start)
    bench.worker.start()
    bench.take("1.1", "1.2")
    bench.worker.wake()
    until(lambda: bench.queue.counts()[InstanceState.SENT] == 2)
    bench.worker.stop()
    assert len(failed) == 3
    assert len(bench.reports) == 1


def test_stop_finishes_the_instance_in_progress(bench: Bench, until: Callable[..., None]) -> None:
    import threading

    begun, go_on = threading.Event(), threading.Event()
    real = bench.makes.results

    def slowly(row: QueueRow, source: Path, folder: Path) -> list[QueuedResult]:
        begun.set()
        assert go_on.wait(60)
        return real(row, source, folder)

    bench.makes.results = slowly  # type: ignore[method-assign]
    bench.take("1.1", "1.2")
    bench.worker.start()
    assert begun.wait(60)
    stopping = threading.Thread(target=bench.worker.stop)
    stopping.start()
    until(bench.worker._stop.is_set)
    go_on.set()
    stopping.join(60)
    assert not stopping.is_alive()
    assert bench.row("1.1").state in (InstanceState.SEGMENTED, InstanceState.SENT)
    assert bench.row("1.2").state is InstanceState.RECEIVED


@pytest.mark.parametrize("days", [-30, 30])
def test_changed_clock_does_not_delay_a_retry(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    bench.take("1.2.3")
    bench.worker.segment()
    bench.archive.fault = PacsError("cannot be reached")
    bench.worker.send()
    assert bench.row("1.2.3").attempts == 1
    bench.archive.fault = None
    changed = time.time() + days * 86_400
    monkeypatch.setattr(time, "time", lambda: changed)
    bench.step()
    assert bench.row("1.2.3").state is InstanceState.SENT


def test_row_of_a_clock_that_was_ahead_is_due_after_a_start(bench: Bench, until: Callable[..., None]) -> None:
    """The clock was set back by 30 days while the node was stopped."""
    bench.take("1.2.3")
    bench.queue.retry_later("1.2.3", time.time() + 30 * 86_400, "cannot be reached", attempts=1)
    bench.worker.start()
    try:
        until(lambda: bench.row("1.2.3").state is InstanceState.SENT)
    finally:
        bench.worker.stop()
