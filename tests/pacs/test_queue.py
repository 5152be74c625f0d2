"""The queue: nothing that was accepted is lost, whatever fails and whenever the node is killed."""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import stat
import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sonoseg.errors import InputError, OutputError, SonosegWarning
from sonoseg.pacs import queue as queue_module
from sonoseg.pacs.queue import Acceptance, InstanceQueue, ReceivedInstance
from sonoseg.pacs.queue_rows import InstanceState, QueuedResult, QueueReader
from sonoseg.results import ledger

US = "1.2.840.10008.5.1.4.1.1.6.1"
SYNTAX = "1.2.840.10008.1.2.1"


def arrived(uid: str = "1.2.3") -> ReceivedInstance:
    return ReceivedInstance(uid, US, SYNTAX, "SCANNER", "10.0.0.7")


def make(queue: InstanceQueue, uid: str, kinds: tuple[str, ...] = ("seg", "sr")) -> list[QueuedResult]:
    """Results of an instance, on disk."""
    folder = queue.results_folder(uid)
    folder.mkdir()
    made = []
    for kind in kinds:
        (folder / f"{kind}.dcm").write_bytes(kind.encode())
        made.append(QueuedResult(f"{uid}.{len(made)}", uid, kind, f"results/{uid}/{kind}.dcm", queue.model))
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_accepted_is_a_file_and_a_row(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state") as queue:
        assert queue.accept(arrived(), b"image") is Acceptance.NEW
        assert queue.source_path("1.2.3").read_bytes() == b"image"
        (row,) = queue.rows()
        assert (row.uid, row.sender, row.address, row.syntax) == ("1.2.3", "SCANNER", "10.0.0.7", SYNTAX)
        assert (row.state, row.size, row.starts, row.attempts) == (InstanceState.RECEIVED, 5, 0, 0)
        assert (tmp_path / "state").stat().st_mode & 0o077 == 0, "patients' images are nobody else's"


def test_it_is_on_the_disk_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, bool]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        found = os.fstat(handle)
        synced.append((found.st_size, stat.S_ISDIR(found.st_mode)))
        real(handle)

    with InstanceQueue(tmp_path / "state") as queue:
        with queue._ledger.read() as connection:
            assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
            assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        monkeypatch.setattr(os, "fsync", fsync)
        queue.accept(arrived(), b"image")
    assert synced[0] == (5, False), "the file, whole"
    assert [folder for _, folder in synced] == [False, True], "and then the folder that names it"


def test_the_same_instance_twice_is_one_row(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state") as queue:
        queue.accept(arrived(), b"image")
        before = queue.source_path("1.2.3").stat().st_ino
        assert queue.accept(arrived(), b"image") is Acceptance.DUPLICATE
        assert queue.accept(arrived(), b"another") is Acceptance.CONFLICT, "not taken while it is processed"
        assert queue.source_path("1.2.3").stat().st_ino == before
        assert len(queue.rows()) == 1


def test_other_content_of_a_uid_is_a_new_version_once_the_first_is_done(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state", model="a (1)") as queue:
        queue.accept(arrived(), b"image")
        made = make(queue, "1.2.3")
        queue.add_results("1.2.3", made)
        assert queue.accept(arrived(), b"corrected") is Acceptance.CONFLICT, "its results are not sent yet"
        queue.mark_stored("1.2.3", [one.uid for one in made])
        assert queue.accept(arrived(), b"corrected") is Acceptance.NEW_VERSION
        row = queue.row("1.2.3")
        assert row is not None
        assert row.state is InstanceState.RECEIVED
        assert queue.source_path("1.2.3").read_bytes() == b"corrected"
        queue.fail("1.2.3", "damaged")
        assert queue.accept(arrived(), b"corrected again") is Acceptance.NEW_VERSION
        queue.fail("1.2.3", "damaged")
        assert queue.accept(arrived(), b"corrected again") is Acceptance.RESUBMITTED


@pytest.mark.parametrize("ending", ["stored", "failed"])
def test_a_version_that_arrives_as_the_former_one_ends_keeps_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """Between the change of a row and the removal of its files nothing is accepted."""
    with InstanceQueue(tmp_path / "state", model="a (1)") as queue, ThreadPoolExecutor(1) as pool:
        queue.accept(arrived(), b"image")
        made = make(queue, "1.2.3")
        queue.add_results("1.2.3", made)
        sent: list[Future[Acceptance]] = []
        name = "_remove_files" if ending == "stored" else "_move_failed"
        end = getattr(queue, name)

        def slow(uid: str) -> None:
            sent.append(pool.submit(queue.accept, arrived(), b"corrected"))
            wait(sent, timeout=0.05)
            end(uid)

        monkeypatch.setattr(queue, name, slow)
        if ending == "stored":
            queue.mark_stored("1.2.3", [one.uid for one in made])
        else:
            queue.fail("1.2.3", "damaged")
        assert sent[0].result() is Acceptance.NEW_VERSION
        assert queue.source_path("1.2.3").read_bytes() == b"corrected"


def test_what_was_done_is_not_done_again_but_by_another_model(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state", model="a (1)") as queue:
        queue.accept(arrived(), b"image")
        made = make(queue, "1.2.3")
        queue.add_results("1.2.3", made)
        assert queue.accept(arrived(), b"image") is Acceptance.DUPLICATE
        queue.mark_stored("1.2.3", [one.uid for one in made])
        assert queue.accept(arrived(), b"image") is Acceptance.DUPLICATE
        assert names(queue.folder / "incoming") == []
    with InstanceQueue(tmp_path / "state", model="b (2)") as queue:
        assert queue.accept(arrived(), b"image") is Acceptance.RESUBMITTED
        row = queue.row("1.2.3")
        assert row is not None
        assert (row.state, row.model) == (InstanceState.RECEIVED, "")
        assert queue.results("1.2.3") == []
        assert len(queue.results("1.2.3", model="a (1)")) == 2


@pytest.mark.parametrize("uid", ["", "../x", "1.2/3", "1..2", "a", "1." * 33 + "1"])
def test_a_uid_that_is_none_names_no_file(tmp_path: Path, uid: str) -> None:
    with InstanceQueue(tmp_path / "state") as queue:
        with pytest.raises(InputError):
            queue.accept(arrived(uid), b"image")
        assert queue.rows() == []
        assert names(queue.folder / "incoming") == []


def _no_space(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["write", "name", "row", "reserve"])
def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    with InstanceQueue(tmp_path / "state") as queue:
        queue.accept(arrived("1.1"), b"first")
        with monkeypatch.context() as patched:
            if where == "write":
                patched.setattr(queue_module.os, "fsync", _no_space)
            elif where == "name":
                patched.setattr(Path, "replace", _no_space)
            elif where == "row":
                with queue._ledger.read() as connection:
                    pages = connection.execute("PRAGMA page_count").fetchone()[0]
                    connection.execute(f"PRAGMA max_page_count = {pages}")
            else:
                patched.setattr(queue, "_keep_free", 1 << 60)

            def fill() -> None:
                for number in range(200):  # a page of the database holds some rows
                    queue.accept(ReceivedInstance(f"1.2.{number}", US, SYNTAX, "S" * 16, "h" * 200), b"image")

            with pytest.raises(OutputError, match="Free some space"):
                fill()
        kept = {row.uid for row in queue.rows()}
        assert names(queue.folder / "incoming") == sorted(f"{uid}.dcm" for uid in kept)
        with queue._ledger.read() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        assert queue.accept(arrived("1.3"), b"image") is Acceptance.NEW


def test_a_row_whose_file_is_gone_takes_it_again(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state") as queue:
        queue.accept(arrived(), b"image")
        queue.source_path("1.2.3").unlink()
        assert queue.accept(arrived(), b"image") is Acceptance.RESUBMITTED
        assert queue.source_path("1.2.3").read_bytes() == b"image"


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_a_folder_that_others_can_read_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    InstanceQueue(folder).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    with pytest.warns(SonosegWarning, match=r"state: other users had access to this folder"):
        InstanceQueue(folder).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_one_node_a_folder(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state"), pytest.raises(OutputError, match="another process"):
        InstanceQueue(tmp_path / "state")
    InstanceQueue(tmp_path / "state").close()


def test_results_are_sent_in_parts(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state", model="m") as queue:
        queue.accept(arrived(), b"image")
        first, second = make(queue, "1.2.3")
        queue.add_results("1.2.3", [first, second])
        assert not queue.mark_stored("1.2.3", [first.uid])
        assert [one.stored_at is None for one in queue.results("1.2.3")] == [False, True]
        assert queue.counts()[InstanceState.SEGMENTED] == 1
        assert queue.mark_stored("1.2.3", [second.uid])
        assert queue.counts() == {
            InstanceState.RECEIVED: 0,
            InstanceState.SEGMENTED: 0,
            InstanceState.SENT: 1,
            InstanceState.FAILED: 0,
        }
        assert names(queue.folder / "results") == names(queue.folder / "incoming") == []


def test_what_is_kept_stays(tmp_path: Path) -> None:
    for _ in range(2):
        with InstanceQueue(tmp_path / "state", model="m", keep=True) as queue:
            if not queue.rows():
                queue.accept(arrived(), b"image")
                made = make(queue, "1.2.3")
                queue.add_results("1.2.3", made)
                queue.mark_stored("1.2.3", [one.uid for one in made])
            assert names(queue.folder / "results") == ["1.2.3/seg.dcm", "1.2.3/sr.dcm"]
            assert names(queue.folder / "incoming") == ["1.2.3.dcm"]


def test_what_is_due_comes_in_order_and_the_suspect_last(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state") as queue:
        for number in range(4):
            queue.accept(arrived(f"1.{number}"), b"image")
        assert queue.start("1.0") == 1
        assert queue.start("1.0") == 2
        queue.retry_later("1.1", 2000.0, "later", attempts=1)
        order = [row.uid for row in queue.due(InstanceState.RECEIVED, 1000.0, limit=9)]
        assert order == ["1.2", "1.3", "1.0"]
        later = [row.uid for row in queue.due(InstanceState.RECEIVED, 3000.0, limit=9)]
        assert later == ["1.1", "1.2", "1.3", "1.0"]
        assert queue.next_at(InstanceState.RECEIVED) == 0
        assert queue.next_at(InstanceState.SEGMENTED) is None
        row = queue.row("1.1")
        assert row is not None
        assert (row.reason, row.attempts, row.refusals, row.next_at) == ("later", 1, 0, 2000.0)


def test_what_is_given_up_says_why_and_can_come_back(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state", model="m (9)") as queue:
        queue.accept(arrived(), b"image")
        first, second = make(queue, "1.2.3")
        queue.add_results("1.2.3", [first, second])
        queue.mark_stored("1.2.3", [first.uid])
        queue.fail("1.2.3", "sr refused")
        apart = queue.failed_folder("1.2.3")
        assert names(apart) == ["reason.json", "seg.dcm", "source.dcm", "sr.dcm"]
        assert names(queue.folder / "incoming") == names(queue.folder / "results") == []
        why = json.loads((apart / "reason.json").read_text("utf-8"))
        assert (why["instance"], why["reason"], why["sender"]) == ("1.2.3", "sr refused", "SCANNER")
        assert [bool(one["stored_at"]) for one in why["results"]] == [True, False]

        assert queue.requeue_failed("9.9") == 0
        assert queue.requeue_failed() == 1
        assert names(queue.folder / "failed") == []
        assert queue.source_path("1.2.3").read_bytes() == b"image"
        queue.add_results("1.2.3", make(queue, "1.2.3"))
        waiting = [one.kind for one in queue.results("1.2.3") if one.stored_at is None]
        assert waiting == ["sr"], "what the archive has is not sent again"

        queue.fail("1.2.3", "again")
        assert queue.accept(arrived(), b"image") is Acceptance.RESUBMITTED, "sent again"
        assert names(queue.folder / "failed") == []


def test_giving_up_on_a_full_disk_is_finished_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with InstanceQueue(tmp_path / "state") as queue:
        queue.accept(arrived(), b"image")
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", _no_space)
            queue.fail("1.2.3", "corrupt")
        assert queue.source_path("1.2.3").exists()
    with InstanceQueue(tmp_path / "state") as queue:
        assert names(queue.folder / "failed") == ["1.2.3/reason.json", "1.2.3/source.dcm"]


def test_a_lost_database_loses_no_image(tmp_path: Path) -> None:
    with InstanceQueue(tmp_path / "state") as queue:
        queue.accept(arrived(), b"image")
    for path in (tmp_path / "state").glob("queue.sqlite*"):
        path.unlink()
    (tmp_path / "state" / "incoming" / ".1.9.abcdefgh.dcm").write_bytes(b"half")
    with InstanceQueue(tmp_path / "state") as queue:
        (row,) = queue.rows()
        assert (row.uid, row.state, row.size) == ("1.2.3", InstanceState.RECEIVED, 5)
        assert names(queue.folder / "incoming") == ["1.2.3.dcm"]


def test_the_queue_is_read_beside_its_node_and_without_it(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no PACS queue"):
        QueueReader(tmp_path)
    with InstanceQueue(tmp_path / "state") as queue, QueueReader(tmp_path / "state") as rows:
        assert rows.rows() == []
        for number in range(3):
            queue.accept(arrived(f"1.{number}"), b"image")
        assert [row.uid for row in rows.rows(limit=2, offset=1)] == ["1.1", "1.2"]
        assert rows.counts()[InstanceState.RECEIVED] == 3
        with pytest.raises(OutputError):
            rows._select("DELETE FROM instances")
    with QueueReader(tmp_path / "state") as rows:
        assert rows.counts()[InstanceState.RECEIVED] == 3


def test_state_folder_of_an_older_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").touch()
    with pytest.raises(OutputError, match="older sonoseg"):
        InstanceQueue(tmp_path)
    assert names(tmp_path) == ["spool.sqlite"]


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "queue.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match="not a PACS queue"):
        InstanceQueue(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / "queue.sqlite") as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    with pytest.raises(OutputError, match="another kind of file"):
        InstanceQueue(other)


def _life(queue: InstanceQueue, said: int) -> None:
    """All that can become of instances; each thing is said when it is done."""

    def done(text: str) -> None:
        os.write(said, f"{text}\n".encode())

    for number in range(3):
        queue.accept(arrived(f"1.{number}"), b"image %d" % number)
        done(f"accepted 1.{number}")
    queue.accept(arrived("1.0"), b"image 0")
    queue.start("1.0")
    made = make(queue, "1.0")
    queue.add_results("1.0", made)
    done("segmented 1.0")
    queue.mark_stored("1.0", [made[0].uid])
    queue.mark_stored("1.0", [made[1].uid])
    done("sent 1.0")
    queue.fail("1.1", "corrupt")
    done("given-up 1.1")
    queue.requeue_failed("1.1")
    done("again 1.1")


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_line_it_has_what_it_said(tmp_path: Path) -> None:
    """Killed by SIGKILL at lines of the queue's code, in turn; the next start finds all in its place.

    At each 31st line; at every one with SONOSEG_KILL_STEP=1.
    """
    step = int(os.environ.get("SONOSEG_KILL_STEP", "31"))
    line, ended = 0, False
    while not ended:
        line += step
        state = tmp_path / str(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - ends by SIGKILL
            try:
                os.close(reading)
                left = line

                def trace(frame: FrameType, event: str, _: Any) -> Any:
                    nonlocal left
                    if frame.f_code.co_filename not in (queue_module.__file__, ledger.__file__):
                        return None
                    if event == "line":
                        left -= 1
                        if left == 0:
                            os.kill(os.getpid(), signal.SIGKILL)
                    return trace

                queue = InstanceQueue(state, model="m")
                sys.settrace(trace)
                _life(queue, writing)
                sys.settrace(None)
                os.write(writing, b"ended\n")
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read().split("\n")[:-1]
        _, status = os.waitpid(child, 0)
        ended = said[-1:] == ["ended"]
        assert ended or os.WTERMSIG(status) == signal.SIGKILL
        _check(state, [] if ended else said)
    assert line > 100


def _check(state: Path, said: list[str]) -> None:
    last = {uid: word for word, uid in (one.split() for one in said)}
    with InstanceQueue(state, model="m") as queue:
        rows = {row.uid: row for row in queue.rows()}
        for uid, word in last.items():
            row = rows[uid]
            if word == "sent":
                assert row.state is InstanceState.SENT
            elif word == "segmented":
                assert row.state in (InstanceState.SEGMENTED, InstanceState.SENT)
        for row in rows.values():
            there = {
                InstanceState.RECEIVED: ["incoming"],
                InstanceState.SEGMENTED: ["incoming", "results"],
                InstanceState.SENT: [],
                InstanceState.FAILED: ["failed"],
            }[row.state]
            found = {
                "incoming": queue.source_path(row.uid).exists(),
                "results": queue.results_folder(row.uid).exists(),
                "failed": (queue.failed_folder(row.uid) / "reason.json").exists(),
            }
            assert sorted(name for name, is_there in found.items() if is_there) == there, (row, said)
            if row.state is InstanceState.RECEIVED:
                assert queue.source_path(row.uid).read_bytes() == b"image " + row.uid[-1:].encode()
            if row.state is InstanceState.FAILED:
                assert (queue.failed_folder(row.uid) / "source.dcm").exists()
        assert not [name for name in names(state) if Path(name).name.startswith(".1")], "nothing half written"
