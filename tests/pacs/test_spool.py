"""The queue: nothing that was accepted is lost, whatever fails and whenever the node is killed."""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import stat
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sonoseg.errors import InputError, OutputError
from sonoseg.pacs import queue as module
from sonoseg.pacs.queue import Acceptance, ReceivedInstance, Spool
from sonoseg.pacs.queue_rows import QueuedResult, Rows, State

US = "1.2.840.10008.5.1.4.1.1.6.1"
SYNTAX = "1.2.840.10008.1.2.1"


def arrived(uid: str = "1.2.3") -> ReceivedInstance:
    return ReceivedInstance(uid, US, SYNTAX, "SCANNER", "10.0.0.7")


def make(spool: Spool, uid: str, kinds: tuple[str, ...] = ("seg", "sr")) -> list[QueuedResult]:
    """Results of an instance, on disk."""
    folder = spool.made(uid)
    folder.mkdir()
    made = []
    for kind in kinds:
        (folder / f"{kind}.dcm").write_bytes(kind.encode())
        made.append(QueuedResult(f"{uid}.{len(made)}", uid, kind, f"results/{uid}/{kind}.dcm", spool.model))
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_accepted_is_a_file_and_a_row(tmp_path: Path) -> None:
    with Spool(tmp_path / "state") as spool:
        assert spool.accept(arrived(), b"image") is Acceptance.NEW
        assert spool.incoming("1.2.3").read_bytes() == b"image"
        (row,) = spool.rows()
        assert (row.uid, row.sender, row.address, row.syntax) == ("1.2.3", "SCANNER", "10.0.0.7", SYNTAX)
        assert (row.state, row.size, row.begun, row.tries) == (State.RECEIVED, 7, 0, 0)
        assert (tmp_path / "state").stat().st_mode & 0o077 == 0, "patients' images are nobody else's"


def test_it_is_on_the_disk_before_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, bool]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        found = os.fstat(handle)
        synced.append((found.st_size, stat.S_ISDIR(found.st_mode)))
        real(handle)

    with Spool(tmp_path / "state") as spool:
        assert spool._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert spool._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        monkeypatch.setattr(os, "fsync", fsync)
        spool.accept(arrived(), b"image")
    assert synced[0] == (7, False), "the file, whole"
    assert [folder for _, folder in synced] == [False, True], "and then the folder that names it"


def test_the_same_instance_twice_is_one_row(tmp_path: Path) -> None:
    with Spool(tmp_path / "state") as spool:
        spool.accept(arrived(), b"image")
        before = spool.incoming("1.2.3").stat().st_ino
        assert spool.accept(arrived(), b"image") is Acceptance.AGAIN
        assert spool.accept(arrived(), b"another") is Acceptance.DIFFERS
        assert spool.incoming("1.2.3").stat().st_ino == before
        assert len(spool.rows()) == 1


def test_what_was_done_is_not_done_again_but_by_another_model(tmp_path: Path) -> None:
    with Spool(tmp_path / "state", model="a (1)") as spool:
        spool.accept(arrived(), b"image")
        made = make(spool, "1.2.3")
        spool.segmented("1.2.3", made)
        assert spool.accept(arrived(), b"image") is Acceptance.AGAIN
        spool.stored("1.2.3", [one.uid for one in made])
        assert spool.accept(arrived(), b"image") is Acceptance.AGAIN
        assert names(spool.folder / "incoming") == []
    with Spool(tmp_path / "state", model="b (2)") as spool:
        assert spool.accept(arrived(), b"image") is Acceptance.ANEW
        row = spool.row("1.2.3")
        assert row is not None
        assert (row.state, row.model) == (State.RECEIVED, "")
        assert spool.results("1.2.3") == []
        assert len(spool.results("1.2.3", model="a (1)")) == 2


@pytest.mark.parametrize("uid", ["", "../x", "1.2/3", "1..2", "a", "1." * 33 + "1"])
def test_a_uid_that_is_none_names_no_file(tmp_path: Path, uid: str) -> None:
    with Spool(tmp_path / "state") as spool:
        with pytest.raises(InputError):
            spool.accept(arrived(uid), b"image")
        assert spool.rows() == []
        assert names(spool.folder / "incoming") == []


def _no_space(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["write", "name", "row", "reserve"])
def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    with Spool(tmp_path / "state") as spool:
        spool.accept(arrived("1.1"), b"first")
        with monkeypatch.context() as patched:
            if where == "write":
                patched.setattr(module.os, "fsync", _no_space)
            elif where == "name":
                patched.setattr(Path, "replace", _no_space)
            elif where == "row":
                pages = spool._connection.execute("PRAGMA page_count").fetchone()[0]
                spool._connection.execute(f"PRAGMA max_page_count = {pages}")
            else:
                patched.setattr(spool, "_keep_free", 1 << 60)

            def fill() -> None:
                for number in range(200):  # a page of the database holds some rows
                    spool.accept(ReceivedInstance(f"1.2.{number}", US, SYNTAX, "S" * 16, "h" * 200), b"image")

            with pytest.raises(OutputError, match="Free some space"):
                fill()
        kept = {row.uid for row in spool.rows()}
        assert names(spool.folder / "incoming") == sorted(f"{uid}.dcm" for uid in kept)
        spool._connection.execute("PRAGMA max_page_count = 1000000")
        assert spool.accept(arrived("1.3"), b"image") is Acceptance.NEW


def test_a_row_whose_file_is_gone_takes_it_again(tmp_path: Path) -> None:
    with Spool(tmp_path / "state") as spool:
        spool.accept(arrived(), b"image")
        spool.incoming("1.2.3").unlink()
        assert spool.accept(arrived(), b"image") is Acceptance.ANEW
        assert spool.incoming("1.2.3").read_bytes() == b"image"


def test_one_node_a_folder(tmp_path: Path) -> None:
    with Spool(tmp_path / "state"), pytest.raises(OutputError, match="another node"):
        Spool(tmp_path / "state")
    Spool(tmp_path / "state").close()


def test_results_are_sent_in_parts(tmp_path: Path) -> None:
    with Spool(tmp_path / "state", model="m") as spool:
        spool.accept(arrived(), b"image")
        first, second = make(spool, "1.2.3")
        spool.segmented("1.2.3", [first, second])
        assert not spool.stored("1.2.3", [first.uid])
        assert [one.stored_at is None for one in spool.results("1.2.3")] == [False, True]
        assert spool.counts()[State.SEGMENTED] == 1
        assert spool.stored("1.2.3", [second.uid])
        assert spool.counts() == {
            State.RECEIVED: 0, State.SEGMENTED: 0, State.SENT: 1, State.GIVEN_UP: 0
        }  # fmt: skip
        assert names(spool.folder / "results") == names(spool.folder / "incoming") == []


def test_what_is_kept_stays(tmp_path: Path) -> None:
    for _ in range(2):
        with Spool(tmp_path / "state", model="m", keep=True) as spool:
            if not spool.rows():
                spool.accept(arrived(), b"image")
                made = make(spool, "1.2.3")
                spool.segmented("1.2.3", made)
                spool.stored("1.2.3", [one.uid for one in made])
            assert names(spool.folder / "results") == ["1.2.3/seg.dcm", "1.2.3/sr.dcm"]
            assert names(spool.folder / "incoming") == ["1.2.3.dcm"]


def test_what_is_due_comes_in_order_and_the_suspect_last(tmp_path: Path) -> None:
    with Spool(tmp_path / "state") as spool:
        for number in range(4):
            spool.accept(arrived(f"1.{number}"), b"image")
        assert spool.begin("1.0") == 1
        assert spool.begin("1.0") == 2
        spool.put_off("1.1", 2000.0, "later", tried=1)
        order = [row.uid for row in spool.due(State.RECEIVED, 1000.0, limit=9)]
        assert order == ["1.2", "1.3", "1.0"]
        assert [row.uid for row in spool.due(State.RECEIVED, 3000.0, limit=9)] == ["1.1", "1.2", "1.3", "1.0"]
        assert spool.next_at(State.RECEIVED) == 0
        assert spool.next_at(State.SEGMENTED) is None
        row = spool.row("1.1")
        assert row is not None
        assert (row.why, row.tries, row.refusals, row.next_at) == ("later", 1, 0, 2000.0)


def test_what_is_given_up_says_why_and_can_come_back(tmp_path: Path) -> None:
    with Spool(tmp_path / "state", model="m (9)") as spool:
        spool.accept(arrived(), b"image")
        first, second = make(spool, "1.2.3")
        spool.segmented("1.2.3", [first, second])
        spool.stored("1.2.3", [first.uid])
        spool.give_up("1.2.3", "sr refused")
        apart = spool.given_up("1.2.3")
        assert names(apart) == ["seg.dcm", "source.dcm", "sr.dcm", "why.json"]
        assert names(spool.folder / "incoming") == names(spool.folder / "results") == []
        why = json.loads((apart / "why.json").read_text("utf-8"))
        assert (why["instance"], why["why"], why["sender"]) == ("1.2.3", "sr refused", "SCANNER")
        assert [bool(one["stored_at"]) for one in why["results"]] == [True, False]

        assert spool.again("9.9") == 0
        assert spool.again() == 1
        assert names(spool.folder / "given-up") == []
        assert spool.incoming("1.2.3").read_bytes() == b"image"
        spool.segmented("1.2.3", make(spool, "1.2.3"))
        waiting = [one.kind for one in spool.results("1.2.3") if one.stored_at is None]
        assert waiting == ["sr"], "what the archive has is not sent again"

        spool.give_up("1.2.3", "again")
        assert spool.accept(arrived(), b"image") is Acceptance.ANEW, "its sender may bring it back, too"
        assert names(spool.folder / "given-up") == []


def test_giving_up_on_a_full_disk_is_finished_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Spool(tmp_path / "state") as spool:
        spool.accept(arrived(), b"image")
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", _no_space)
            spool.give_up("1.2.3", "corrupt")
        assert spool.incoming("1.2.3").exists()
    with Spool(tmp_path / "state") as spool:
        assert names(spool.folder / "given-up") == ["1.2.3/source.dcm", "1.2.3/why.json"]


def test_a_lost_database_loses_no_image(tmp_path: Path) -> None:
    with Spool(tmp_path / "state") as spool:
        spool.accept(arrived(), b"image")
    for path in (tmp_path / "state").glob("spool.sqlite*"):
        path.unlink()
    (tmp_path / "state" / "incoming" / ".1.9.abcdefgh.dcm").write_bytes(b"half")
    with Spool(tmp_path / "state") as spool:
        (row,) = spool.rows()
        assert (row.uid, row.state, row.size) == ("1.2.3", State.RECEIVED, 7)
        assert names(spool.folder / "incoming") == ["1.2.3.dcm"]


def test_the_queue_is_read_beside_its_node_and_without_it(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no node has worked"):
        Rows(tmp_path)
    with Spool(tmp_path / "state") as spool, Rows(tmp_path / "state") as rows:
        assert rows.rows() == []
        for number in range(3):
            spool.accept(arrived(f"1.{number}"), b"image")
        assert [row.uid for row in rows.rows(limit=2, offset=1)] == ["1.1", "1.2"]
        assert rows.counts()[State.RECEIVED] == 3
        with pytest.raises(OutputError):
            rows._select("DELETE FROM instances")
    with Rows(tmp_path / "state") as rows:
        assert rows.counts()[State.RECEIVED] == 3


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(OutputError, match="cannot be used"):
        Spool(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with sqlite3.connect(other / "spool.sqlite") as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    with pytest.raises(OutputError, match="version 0"):
        Spool(other)


def _life(spool: Spool, said: int) -> None:
    """All that can become of instances; each thing is said when it is done."""

    def done(text: str) -> None:
        os.write(said, f"{text}\n".encode())

    for number in range(3):
        spool.accept(arrived(f"1.{number}"), b"image %d" % number)
        done(f"accepted 1.{number}")
    spool.accept(arrived("1.0"), b"image 0")
    spool.begin("1.0")
    made = make(spool, "1.0")
    spool.segmented("1.0", made)
    done("segmented 1.0")
    spool.stored("1.0", [made[0].uid])
    spool.stored("1.0", [made[1].uid])
    done("sent 1.0")
    spool.give_up("1.1", "corrupt")
    done("given-up 1.1")
    spool.again("1.1")
    done("again 1.1")


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_line_it_has_what_it_said(tmp_path: Path) -> None:
    """Killed by SIGKILL at lines of the queue's code, in turn; the next start finds all in its place.

    At each 17th line; at every one of nearly 500 with SONOSEG_KILL_STEP=1.
    """
    step = int(os.environ.get("SONOSEG_KILL_STEP", "17"))
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
                    if frame.f_code.co_filename != module.__file__:
                        return None
                    if event == "line":
                        left -= 1
                        if left == 0:
                            os.kill(os.getpid(), signal.SIGKILL)
                    return trace

                spool = Spool(state, model="m")
                sys.settrace(trace)
                _life(spool, writing)
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
    with Spool(state, model="m") as spool:
        rows = {row.uid: row for row in spool.rows()}
        for uid, word in last.items():
            row = rows[uid]
            if word == "sent":
                assert row.state is State.SENT
            elif word == "segmented":
                assert row.state in (State.SEGMENTED, State.SENT)
        for row in rows.values():
            there = {
                State.RECEIVED: ["incoming"],
                State.SEGMENTED: ["incoming", "results"],
                State.SENT: [],
                State.GIVEN_UP: ["given-up"],
            }[row.state]
            found = {
                "incoming": spool.incoming(row.uid).exists(),
                "results": spool.made(row.uid).exists(),
                "given-up": (spool.given_up(row.uid) / "why.json").exists(),
            }
            assert sorted(name for name, is_there in found.items() if is_there) == there, (row, said)
            if row.state is State.RECEIVED:
                assert spool.incoming(row.uid).read_bytes() == b"image " + row.uid[-1:].encode()
            if row.state is State.GIVEN_UP:
                assert (spool.given_up(row.uid) / "source.dcm").exists()
        assert not [name for name in names(state) if Path(name).name.startswith(".1")], "nothing half written"
