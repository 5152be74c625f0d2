"""The rows of the node's queue, and reading them while the node is running or not."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Self

from sonoseg._util.locks import is_locked
from sonoseg.results.ledger import LOCK, Ledger, LedgerSchema

DATABASE = "queue.sqlite"

SCHEMA = LedgerSchema(
    name="PACS queue",
    version=2,
    tables="""
CREATE TABLE instances (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    sop_class TEXT NOT NULL,
    syntax TEXT NOT NULL,
    sender TEXT NOT NULL,
    address TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('received', 'segmented', 'sent', 'failed')),
    model TEXT NOT NULL,
    starts INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL DEFAULT 0,
    reason TEXT,
    received_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX instances_by_state ON instances (state, starts, seq);
CREATE TABLE results (
    uid TEXT PRIMARY KEY,
    source TEXT NOT NULL REFERENCES instances (uid),
    kind TEXT NOT NULL,
    file TEXT NOT NULL,
    model TEXT NOT NULL,
    stored_at TEXT
);
CREATE INDEX results_by_source ON results (source);
""",
    remedy="choose another folder with --state",
)


class InstanceState(StrEnum):
    """The state of an instance. Each state is on disk before the next step begins."""

    RECEIVED = "received"
    SEGMENTED = "segmented"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True)
class QueueRow:
    """One accepted instance.

    seq: its number in the order of arrival. uid: SOP Instance UID. syntax: transfer syntax.
    sender: the calling AE title, "" if the row was restored from a file. address: the sender's host.
    sha256, size: of the file, in bytes. model: Segmenter.identity when it was segmented last, or "".
    starts: segmentations that were started and did not end. attempts: failures that the instance did not
    cause. refusals: by the archive. next_at: time of the next attempt, in seconds since 1970.
    reason: of the last failure.
    """

    seq: int
    uid: str
    sop_class: str
    syntax: str
    sender: str
    address: str
    sha256: str
    size: int
    state: InstanceState
    model: str
    starts: int
    attempts: int
    refusals: int
    next_at: float
    reason: str | None
    received_at: str
    updated_at: str


@dataclass(frozen=True)
class QueuedResult:
    """One object made from an instance.

    uid: its SOP Instance UID. source: that of the instance. kind: "seg", "sr" or "capture".
    file: relative to the state folder. model: Segmenter.identity. stored_at: when the archive stored it; None
    if it has not.
    """

    uid: str
    source: str
    kind: str
    file: str
    model: str
    stored_at: str | None = None


ROW = ", ".join(field.name for field in fields(QueueRow))
RESULT = ", ".join(field.name for field in fields(QueuedResult))


class QueueReader:
    """Read access to the queue in a state folder, also while a node is running; thread-safe.

    Raises OutputError if there is no queue, or one of another version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ledger = self._open(folder / DATABASE)

    def _open(self, path: Path) -> Ledger:
        return Ledger(path, SCHEMA, read_only=True)

    def row(self, uid: str) -> QueueRow | None:
        """Return the row of an instance. Raises OutputError."""
        found = self._select(f"SELECT {ROW} FROM instances WHERE uid = ?", uid)
        return queue_row(found[0]) if found else None

    def rows(self, state: InstanceState | None = None, *, limit: int = -1, offset: int = 0) -> list[QueueRow]:
        """Return rows in the order of arrival, of one state or all. limit: -1 is none. Raises OutputError."""
        where, given = ("", ()) if state is None else ("WHERE state = ?", (state.value,))
        found = self._select(
            f"SELECT {ROW} FROM instances {where} ORDER BY seq LIMIT ? OFFSET ?", *given, limit, offset
        )
        return [queue_row(one) for one in found]

    def counts(self) -> dict[InstanceState, int]:
        """Return the number of rows in every state. Raises OutputError."""
        found = dict(map(tuple, self._select("SELECT state, COUNT(*) FROM instances GROUP BY state")))
        return {state: int(found.get(state.value, 0)) for state in InstanceState}

    def results(self, source: str, *, model: str | None = None) -> list[QueuedResult]:
        """Return the results of an instance by the latest model, or by `model`. Raises OutputError."""
        found = self._select(
            f"SELECT {RESULT} FROM results WHERE source = ? AND model = "
            "COALESCE(?, (SELECT model FROM instances WHERE uid = ?)) ORDER BY rowid",
            source,
            model,
            source,
        )
        return [QueuedResult(*one) for one in found]

    def next_at(self, state: InstanceState) -> float | None:
        """Return when the first row of a state is due, in seconds since 1970; 0 is now; None without a row.

        Raises OutputError.
        """
        first = self._select("SELECT MIN(next_at) FROM instances WHERE state = ?", state.value)[0][0]
        return None if first is None else float(first)

    def changed_at(self) -> str | None:
        """Return the time of the last change of a row; None without a row. Raises OutputError."""
        latest = self._select("SELECT MAX(updated_at) FROM instances")[0][0]
        return None if latest is None else str(latest)

    def is_running(self) -> bool | None:
        """Return whether a node is using the folder; None if that cannot be determined.

        A node holds a lock that the system releases when it ends.
        """
        return is_locked(self.folder / LOCK)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _select(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._ledger.read() as connection:
            return connection.execute(statement, values).fetchall()


def queue_row(values: sqlite3.Row) -> QueueRow:
    """Return the row of a selection of the columns ROW."""
    named = dict(values)
    return QueueRow(**(named | {"state": InstanceState(named["state"])}))
