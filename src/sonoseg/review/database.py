"""The SQLite file of a state folder: its tables, its connections, and its failures in our words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sonoseg.errors import OutputError
from sonoseg.review.http_errors import Busy, Full, Refusal

VERSION = 1

TABLES = """
CREATE TABLE items (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('raster', 'dicom')),
    clip TEXT NOT NULL,
    file TEXT NOT NULL,
    frame INTEGER,
    frames INTEGER NOT NULL,
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    spacing_row REAL,
    spacing_column REAL,
    spacing_reason TEXT,
    spacing_origin TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'read', 'signed', 'referred')),
    prediction TEXT NOT NULL DEFAULT 'none'
        CHECK (prediction IN ('none', 'waiting', 'running', 'done', 'failed')),
    failure TEXT,
    doubt REAL,
    threshold REAL,
    gates INTEGER NOT NULL DEFAULT 0,
    model TEXT,
    model_hash TEXT,
    lesions INTEGER,
    findings TEXT,
    revision INTEGER NOT NULL DEFAULT 0,
    source TEXT NOT NULL DEFAULT 'model' CHECK (source IN ('model', 'edited', 'manual')),
    reader TEXT,
    signed_at TEXT,
    added_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX items_by_doubt ON items (doubt);
CREATE INDEX items_by_prediction ON items (prediction);
CREATE TABLE reviews (
    id TEXT PRIMARY KEY REFERENCES items (id),
    version INTEGER NOT NULL,
    content TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE TABLE log (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL REFERENCES items (id),
    action TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at TEXT NOT NULL,
    reader TEXT,
    tool TEXT,
    source TEXT,
    model TEXT,
    lesions INTEGER,
    seconds REAL,
    mask_sha256 TEXT,
    content TEXT
);
CREATE INDEX log_by_id ON log (id, entry);
CREATE TRIGGER log_is_not_changed BEFORE UPDATE ON log
    BEGIN SELECT RAISE (ABORT, 'the log is only added to'); END;
CREATE TRIGGER log_is_not_cut BEFORE DELETE ON log
    BEGIN SELECT RAISE (ABORT, 'the log is only added to'); END;
"""


class Database:
    """Connections to one SQLite file, for any number of threads.

    path: the file. wait: seconds that a change waits for a lock. read_only: nothing is written.

    Raises OutputError where it cannot be opened or is of another program or a later sonoseg.
    """

    def __init__(self, path: Path, *, wait: float = 5.0, read_only: bool = False) -> None:
        self.path = path
        self._wait = wait
        self._read_only = read_only
        self._immutable = False
        self._free: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        try:
            self._prepare()
        except sqlite3.Error as error:
            self.close()
            raise _cannot_open(path, str(error)) from error

    def _prepare(self) -> None:
        if self._read_only:
            try:
                version = self._version()
            except (sqlite3.OperationalError, Refusal):
                # A folder that nobody may write to has no place for WAL's own files; nor does it change.
                self._as_it_lies()
                version = self._version()
        else:
            with self.change() as connection:
                version = int(connection.execute("PRAGMA user_version").fetchone()[0])
                if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                    # executescript would commit; the tables are to come whole or not at all.
                    for statement in _statements(TABLES):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {VERSION}")
                    version = VERSION
        if version != VERSION:
            raise OutputError(
                f"a state of version {version}, and this sonoseg reads {VERSION}",
                where=self.path,
                remedy="Use the sonoseg that made it, or choose another folder with --state",
            )

    def _as_it_lies(self) -> None:
        """Read the file alone from now on, without WAL: only where all of it is in the file."""
        wal = self.path.with_name(f"{self.path.name}-wal")
        if wal.exists() and wal.stat().st_size:
            raise OutputError(
                "its server was killed, and the last saves are not in the main file yet",
                where=self.path,
                remedy="Open it once where you may write to the folder",
            )
        with self._lock:
            while self._free:
                self._free.pop().close()
        self._immutable = True

    def _version(self) -> int:
        with self.look() as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def look(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with: one consistent state for as long as the block lasts.

        Raises Busy, Full, and Refusal for a damaged file.
        """
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A connection to write with: all of the block is done, or nothing; one such block at a time.

        Raises Busy where the database stays locked, Full where the disk is; then nothing was changed.
        """
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def close(self) -> None:
        """Close every connection. Closing twice does no harm."""
        with self._lock:
            self._closed = True
            while self._free:
                self._free.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._free.pop() if self._free else None
        try:
            if connection is None:
                connection = self._connect()
            yield connection
        except sqlite3.Error as error:
            refusal = worded(error)
            if refusal is None:
                raise
            raise refusal from error
        finally:
            with self._lock:
                if connection is None:
                    pass
                elif self._closed:
                    connection.close()
                else:
                    self._free.append(connection)

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        uri = f"{self.path.resolve().as_uri()}?mode={mode}{'&immutable=1' if self._immutable else ''}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=self._wait, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        if not self._read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            # With WAL, anything less may lose the last saves when the power fails.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        return connection


def worded(error: sqlite3.Error) -> Refusal | None:
    """SQLite's failure in our words; None for a fault of ours."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy("the database is locked by another program", retry_after=2)
    if code == sqlite3.SQLITE_FULL:
        return full()
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        # A full disk may show itself in WAL's shared memory file, as an error of input and output.
        return Full(
            f"the state folder cannot be written to ({error}); nothing was changed",
            remedy="Free some space, or see to the folder's rights",
        )
    return None


def full() -> Full:
    """The refusal for a full disk."""
    return Full("the disk is full; nothing was changed", remedy="Free some space, and save again")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; those of triggers hold semicolons."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""


def _cannot_open(path: Path, reason: str) -> OutputError:
    return OutputError(
        f"this state cannot be opened ({reason})",
        where=path,
        remedy="Choose another folder with --state, or put a sound copy in its place",
    )
