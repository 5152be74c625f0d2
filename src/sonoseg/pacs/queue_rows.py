"""The rows of the node's queue: what an instance's row says, its tables, and reading them beside the node."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from sonoseg._util.locks import is_locked
from sonoseg.errors import OutputError

DATABASE = "spool.sqlite"
LOCK = ".lock"
VERSION = 1

TABLES = """
CREATE TABLE instances (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    sop_class TEXT NOT NULL,
    syntax TEXT NOT NULL,
    sender TEXT NOT NULL,
    address TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('received', 'segmented', 'sent', 'given-up')),
    model TEXT NOT NULL,
    begun INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL DEFAULT 0,
    why TEXT,
    received_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX instances_by_state ON instances (state, begun, seq);
CREATE TABLE results (
    uid TEXT PRIMARY KEY,
    source TEXT NOT NULL REFERENCES instances (uid),
    kind TEXT NOT NULL,
    file TEXT NOT NULL,
    model TEXT NOT NULL,
    stored_at TEXT
);
CREATE INDEX results_by_source ON results (source);
"""


class State(StrEnum):
    """Where an instance is on its way. Each step is on disk before the next begins."""

    RECEIVED = "received"
    SEGMENTED = "segmented"
    SENT = "sent"
    GIVEN_UP = "given-up"


@dataclass(frozen=True)
class QueueRow:
    """One instance that was accepted.

    seq: its number in the order of arrival. uid: its SOP Instance UID. sop_class, syntax: its SOP class and
    transfer syntax. sender: the calling AE title; "" where the row was made anew from a file. address: its
    host. sha256, size: of the file, in bytes. model: name and hash of the model that segmented it last, "".
    begun: how often its segmentation was begun and not ended. tries: what failed for a cause outside of it;
    refusals: by the archive. next_at: not before this, in seconds since 1970. why: what went wrong last.
    """

    seq: int
    uid: str
    sop_class: str
    syntax: str
    sender: str
    address: str
    sha256: str
    size: int
    state: State
    model: str
    begun: int
    tries: int
    refusals: int
    next_at: float
    why: str | None
    received_at: str
    updated_at: str


@dataclass(frozen=True)
class QueuedResult:
    """One object that was made of an instance.

    uid: its SOP Instance UID. source: that of the instance. kind: "seg", "sr" or "capture". file: below the
    state folder. model: name and hash. stored_at: when the archive took it; None where it has not yet.
    """

    uid: str
    source: str
    kind: str
    file: str
    model: str
    stored_at: str | None = None


ROW = ", ".join(field.name for field in fields(QueueRow))
RESULT = ", ".join(field.name for field in fields(QueuedResult))


class Rows:
    """The rows of a state folder, to be looked at; safe beside a node that works on it, and in any thread.

    folder: the state folder. Raises OutputError where there is none, or where another version made it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        path = folder / DATABASE
        if not path.is_file():
            raise OutputError(
                "no node has worked in this folder", where=folder, remedy="Name the node's --state"
            )
        try:
            self._connection = self._open(path)
        except sqlite3.Error as error:
            raise worded(path, error) from error

    def _open(self, path: Path) -> sqlite3.Connection:
        connection = _connect(f"{path.resolve().as_uri()}?mode=ro")
        try:
            check_version(connection, path)
        except sqlite3.OperationalError:
            # Where nobody may make WAL's own files, the file alone is read: if it holds everything.
            connection.close()
            wal = path.with_name(f"{path.name}-wal")
            if wal.exists() and wal.stat().st_size:
                raise
            connection = _connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1")
            check_version(connection, path)
        return connection

    def row(self, uid: str) -> QueueRow | None:
        """The row of an instance. Raises OutputError."""
        found = self._select(f"SELECT {ROW} FROM instances WHERE uid = ?", uid)
        return row_of(found[0]) if found else None

    def rows(self, state: State | None = None, *, limit: int = -1, offset: int = 0) -> list[QueueRow]:
        """Rows in the order of arrival, of one state or of all. limit: -1 is no limit. Raises OutputError."""
        where, given = ("", ()) if state is None else ("WHERE state = ?", (state.value,))
        found = self._select(
            f"SELECT {ROW} FROM instances {where} ORDER BY seq LIMIT ? OFFSET ?", *given, limit, offset
        )
        return [row_of(one) for one in found]

    def counts(self) -> dict[State, int]:
        """How many rows each state has; all states are there. Raises OutputError."""
        found = dict(self._select("SELECT state, COUNT(*) FROM instances GROUP BY state"))
        return {state: int(found.get(state.value, 0)) for state in State}

    def results(self, source: str, *, model: str | None = None) -> list[QueuedResult]:
        """What was made of an instance, by the latest model or by `model`. Raises OutputError."""
        found = self._select(
            f"SELECT {RESULT} FROM results WHERE source = ? AND model = "
            "COALESCE(?, (SELECT model FROM instances WHERE uid = ?)) ORDER BY rowid",
            source,
            model,
            source,
        )
        return [QueuedResult(*one) for one in found]

    def next_at(self, state: State) -> float | None:
        """When the first row of a state is due, in seconds since 1970; 0 is at once; None: no row.

        Raises OutputError.
        """
        first = self._select("SELECT MIN(next_at) FROM instances WHERE state = ?", state.value)[0][0]
        return None if first is None else float(first)

    def changed_at(self) -> str | None:
        """When a row changed last, as the rows have it; None where there is none. Raises OutputError."""
        latest = self._select("SELECT MAX(updated_at) FROM instances")[0][0]
        return None if latest is None else str(latest)

    def working(self) -> bool | None:
        """Whether a node works on the folder now; None where that cannot be told.

        A node holds a lock that ends with it, however it ends. Asking takes the lock for a moment, in common
        with others who ask; a node that starts in that moment waits for it.
        """
        return is_locked(self.folder / LOCK)

    def close(self) -> None:
        """Close the file. Closing twice does no harm."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _select(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, self._faults():
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise worded(self.folder / DATABASE, error) from error


def check_version(connection: sqlite3.Connection, path: Path) -> None:
    """Raise OutputError unless this sonoseg reads what is in the file."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version != VERSION:
        raise OutputError(
            f"a queue of version {version}, and this sonoseg reads {VERSION}",
            where=path,
            remedy="Use the sonoseg that made it, or choose another folder with --state",
        )


def worded(path: Path, error: sqlite3.Error) -> OutputError:
    """SQLite's failure in our words."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return OutputError("the disk is full", where=path, remedy="Free some space")
    return OutputError(
        f"the queue cannot be used ({error})", where=path, remedy="See to the disk and the folder's rights"
    )


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None, check_same_thread=False)


def row_of(values: tuple[Any, ...]) -> QueueRow:
    """The Row of a selection of the columns ROW, in their order."""
    named = dict(zip(ROW.split(", "), values, strict=True))
    return QueueRow(**(named | {"state": State(str(named["state"]))}))
