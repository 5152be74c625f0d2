"""The ledger: changes are atomic, and files of another kind or version are refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from sonoseg.errors import OutputError
from sonoseg.results.ledger import Ledger, LedgerBusy, LedgerFull, LedgerSchema, require_same_run

SCHEMA = LedgerSchema(
    "test ledger",
    2,
    """
CREATE TABLE items (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TRIGGER kept BEFORE DELETE ON items
    BEGIN SELECT RAISE (ABORT, 'nothing is deleted'); END;
""",
    remedy="choose another --out",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def insert(ledger: Ledger, *names: str, value: str = "x") -> None:
    with ledger.change() as connection:
        for name in names:
            connection.execute("INSERT INTO items VALUES (?, ?)", (name, value))


def names(ledger: Ledger) -> list[str]:
    with ledger.read() as connection:
        return [row["name"] for row in connection.execute("SELECT name FROM items ORDER BY name")]


def interrupted(ledger: Ledger) -> None:
    with ledger.change() as connection:
        connection.execute("INSERT INTO items VALUES ('b', 'x')")
        raise KeyboardInterrupt


def test_changes_persist_in_wal_mode(path: Path) -> None:
    with Ledger(path, SCHEMA) as ledger:
        insert(ledger, "a", "b")
        with ledger.read() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name]  # WAL's files are gone
    assert names(ledger) == ["a", "b"]  # reading reopens the file
    with Ledger(path, SCHEMA, read_only=True) as ledger:
        assert names(ledger) == ["a", "b"]
        with pytest.raises(LedgerFull):
            insert(ledger, "c")
    with Ledger(path, SCHEMA, replace=True) as ledger:
        assert names(ledger) == []


def test_failed_change_leaves_nothing(path: Path) -> None:
    with Ledger(path, SCHEMA) as ledger:
        insert(ledger, "a")
        with pytest.raises(KeyboardInterrupt):
            interrupted(ledger)
        with pytest.raises(sqlite3.IntegrityError):  # constraints are the caller's
            insert(ledger, "c", "a")
        with pytest.raises(sqlite3.IntegrityError), ledger.change() as connection:
            connection.execute("DELETE FROM items")
        assert names(ledger) == ["a"]


def test_reader_sees_one_state_while_another_thread_writes(path: Path) -> None:
    with Ledger(path, SCHEMA) as ledger:
        insert(ledger, "a")
        with ledger.read() as connection:
            count = "SELECT COUNT(*) FROM items"
            assert connection.execute(count).fetchone()[0] == 1
            thread = threading.Thread(target=insert, args=(ledger, "b"))
            thread.start()
            thread.join()
            assert connection.execute(count).fetchone()[0] == 1
        assert names(ledger) == ["a", "b"]


def test_many_threads_write(path: Path) -> None:
    with Ledger(path, SCHEMA, durable=False, wait=30.0) as ledger:
        threads = [
            threading.Thread(target=lambda k=k: [insert(ledger, f"{k}-{n}") for n in range(20)])
            for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(names(ledger)) == 160


def test_locked_ledger_is_busy(path: Path) -> None:
    with Ledger(path, SCHEMA, wait=0.1) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusy) as caught:
            insert(ledger, "a")
        assert caught.value.where == str(path)
        assert names(ledger) == []  # reading works meanwhile
        other.close()
        insert(ledger, "a")
        with ledger.change(), pytest.raises(LedgerBusy):
            insert(ledger, "b")


def test_full_disk_changes_nothing(path: Path) -> None:
    with Ledger(path, SCHEMA) as ledger:
        with ledger.change() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LedgerFull) as caught:
            insert(ledger, "a", value="x" * 50_000)
        assert caught.value.where == str(path)
        assert caught.value.remedy
        with ledger.change() as connection:
            connection.execute("PRAGMA max_page_count = 100000")
        insert(ledger, "a", value="x" * 50_000)


@pytest.mark.parametrize(("version", "age"), [(1, "older"), (3, "newer")])
def test_other_version_is_refused(path: Path, version: int, age: str) -> None:
    Ledger(path, LedgerSchema(SCHEMA.name, version, SCHEMA.tables)).close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(OutputError, match=rf"{age} sonoseg.*choose another --out"):
            Ledger(path, SCHEMA, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no open file")
def test_a_removed_file_is_reported_at_the_next_change(path: Path) -> None:
    """SQLite would write on to a file without a name, and confirm what nobody can read again."""
    with Ledger(path, SCHEMA) as ledger:
        insert(ledger, "a")
        path.unlink()
        with pytest.raises(OutputError, match=r"ledger\.sqlite: this test ledger was removed while"):
            insert(ledger, "b")
        assert not path.exists()


def test_other_files_are_refused_and_left_alone(path: Path) -> None:
    contents = [b"mine\n" * 300]
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (a)")
    connection.commit()
    connection.close()
    contents.append(path.read_bytes())
    path.unlink()
    Ledger(path, LedgerSchema("other ledger", 2, SCHEMA.tables)).close()
    contents.append(path.read_bytes())
    for content in contents:
        path.write_bytes(content)
        for read_only in (False, True):
            with pytest.raises(OutputError, match="not a test ledger") as caught:
                Ledger(path, SCHEMA, read_only=read_only)
            assert caught.value.where == str(path)
    with pytest.raises(OutputError, match="no test ledger"):
        Ledger(path.with_name("none"), SCHEMA, read_only=True)
    with pytest.raises(LedgerFull):
        Ledger(path.parent / "none" / "ledger.sqlite", SCHEMA)


def test_a_damaged_file_whose_text_is_not_utf_8_is_refused(path: Path) -> None:
    """SQLite quotes the text in its message, which Python's sqlite3 cannot decode."""
    Ledger(path, SCHEMA).close()
    data = path.read_bytes()
    statement = b"CREATE TABLE items"
    assert data.count(statement) == 1
    path.write_bytes(data.replace(statement, b"CREATE\xffTABLE items"))
    for read_only in (False, True):
        with (
            pytest.raises(OutputError, match=r"not a test ledger of sonoseg, or damaged"),
            Ledger(path, SCHEMA, read_only=read_only) as ledger,
        ):
            names(ledger)


def test_exclusive_keeps_others_out(path: Path) -> None:
    with Ledger(path, SCHEMA, exclusive=True) as ledger:
        insert(ledger, "a")
        with pytest.raises(OutputError, match="another process"):
            Ledger(path, SCHEMA, exclusive=True, replace=True)
        with Ledger(path, SCHEMA, read_only=True) as reader:
            assert names(reader) == ["a"]
    Ledger(path, SCHEMA, exclusive=True).close()


def test_read_only_folder(
    path: Path,
    open_folder: Path,
    ordinary_rights: Callable[[], AbstractContextManager[None]],
) -> None:
    path = open_folder / "ledger.sqlite"
    with Ledger(path, SCHEMA) as ledger:
        insert(ledger, "a")
    open_folder.chmod(0o555)
    with ordinary_rights(), Ledger(path, SCHEMA, read_only=True) as ledger:
        assert names(ledger) == ["a"]
    open_folder.chmod(0o755)


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_process_loses_no_completed_change(path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        f"from sonoseg.results.ledger import Ledger, LedgerSchema\nSCHEMA = {SCHEMA!r}\n"
        "ledger = Ledger(Path(sys.argv[1]), SCHEMA, exclusive=True, durable=False)\n"
        "number = 0\n"
        "while True:\n"
        "    with ledger.change() as connection:\n"
        "        connection.execute('INSERT INTO items VALUES (?, ?)', (f'{number:06}', 'x' * 5000))\n"
        "    print(number, flush=True)\n"
        "    number += 1\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    done = -1
    while done < 40:
        done = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    done = max([done, *(int(line) for line in process.stdout.read().split("\n")[:-1])])
    process.wait()
    with Ledger(path, SCHEMA, exclusive=True) as ledger:
        assert len(names(ledger)) in (done + 1, done + 2)
        insert(ledger, "more")


def test_differing_settings_are_listed(tmp_path: Path) -> None:
    then = {"model": "a", "model_hash": "06f5", "threshold": 0.4}
    require_same_run(tmp_path, then, dict(then))
    with pytest.raises(
        OutputError, match=r"the model differs .*\(06f5 and a1b2\)\. Use --overwrite"
    ) as caught:
        require_same_run(tmp_path, then, then | {"model_hash": "a1b2"})
    assert caught.value.where == str(tmp_path)
    with pytest.raises(
        OutputError, match=r"threshold was 0\.4 and is 0\.5; tta was None and is 'flip'"
    ) as caught:
        require_same_run(tmp_path, then, then | {"threshold": 0.5, "tta": "flip"})
    assert "model" not in str(caught.value)
