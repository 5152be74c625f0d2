"""The ledger: one SQLite file that records what was done, so that interrupted work can be resumed.

The journal of `predict`, the batch manifest, the queue of the PACS node and the review state are ledgers;
each brings its own `LedgerSchema`. Only the standard library is used.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sonoseg._util.files import sync_folder
from sonoseg._util.locks import locked
from sonoseg.errors import OutputError

LOCK = ".lock"
"""The file beside an exclusive ledger that its process keeps locked; the system releases it on a crash."""


class LedgerBusy(OutputError):
    """Another process or thread kept the ledger locked for longer than the waiting time."""


class LedgerFull(OutputError):
    """The ledger cannot be written: the disk is full, fails, or lacks write permission."""


@dataclass(frozen=True)
class LedgerSchema:
    """The tables of one kind of ledger.

    name: as messages call it ("review state"). version: stored in the file; another one is refused.
    tables: the statements that create the tables. remedy: how the user chooses another file, as an
    imperative clause.
    """

    name: str
    version: int
    tables: str
    remedy: str = "choose another folder"

    @property
    def application_id(self) -> int:
        """A positive 31-bit number that distinguishes this kind of ledger from other SQLite files."""
        return zlib.crc32(f"sonoseg {self.name}".encode()) >> 1


class Ledger:
    """An open ledger. Any number of threads may use it at once.

    path: the file; created with its tables unless it exists or `read_only` is set.
    read_only: nothing is written; works in a folder without write permission, too.
    exclusive: lock out other exclusive users of the folder until `close`.
    replace: delete an existing file first.
    durable: a completed change survives a power failure; without it, only the end of the process, faster.
    wait: seconds to wait for a lock that another connection holds.

    Raises OutputError where the file cannot be opened, another process holds it, or its kind or version is
    another one.
    """

    def __init__(
        self,
        path: Path,
        schema: LedgerSchema,
        *,
        read_only: bool = False,
        exclusive: bool = False,
        replace: bool = False,
        durable: bool = True,
        wait: float = 5.0,
    ) -> None:
        self.path = path
        self.schema = schema
        self.read_only = read_only
        self.wait = wait
        self._durable = durable
        self._immutable = False
        self._idle: list[sqlite3.Connection] = []
        self._pool, self._writing = threading.Lock(), threading.Lock()
        self._closed = False
        with ExitStack() as opened:
            if exclusive:
                opened.enter_context(
                    locked(
                        path.parent / LOCK,
                        f"another process is using this {schema.name}",
                        f"Wait until it ends, or {schema.remedy}",
                        patience=0.2,  # asking whether a lock is held takes it for a moment
                        remove=True,
                    )
                )
            opened.callback(self._close_connections)
            if replace:
                self._delete()
            if read_only:
                self._check_read_only()
            else:
                self._create()
            self._opened = opened.pop_all()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one consistent state until the block ends; its rows are sqlite3.Row.

        Raises LedgerBusy, LedgerFull or OutputError.
        """
        with self._connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Give a connection to write with. The whole block takes effect when it ends, or nothing of it.

        Changes of other threads and processes wait for it; do not nest changes.
        Raises LedgerBusy, LedgerFull or OutputError; then nothing was changed. Raises OutputError, too, where
        the file was removed meanwhile: SQLite would still write to a file without a name.
        """
        if not self._writing.acquire(timeout=self.wait):
            raise self._busy()
        try:
            with self._connection() as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.commit()
                except BaseException:
                    connection.rollback()
                    raise
            self.require_present()
        finally:
            self._writing.release()

    def require_present(self) -> None:
        """Raise OutputError where somebody removed the file."""
        if not self.path.exists():
            raise OutputError(
                f"this {self.schema.name} was removed while it was in use",
                where=self.path,
                remedy="Start again with a folder that nobody removes",
            )

    def close(self) -> None:
        """Close the file and release the lock. Closing twice is harmless; reading reopens the file."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_connections(self) -> None:
        with self._pool:
            self._closed = True
            while self._idle:
                self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection of the pool. Raises OutputError for failures of SQLite."""
        with self._pool:
            connection = self._idle.pop() if self._idle else None
        try:
            if connection is None:
                connection = self._connect()
            yield connection
        except sqlite3.DatabaseError as error:
            if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
                raise  # a programming error, or a constraint that the caller handles
            raise self._failure(error) from error
        except UnicodeDecodeError as error:  # sqlite3's own, where a message quotes bytes of a damaged file
            raise self.damaged("its text is not UTF-8") from error
        finally:
            with self._pool:
                if connection is not None:
                    if self._closed:
                        connection.close()
                    else:
                        self._idle.append(connection)

    def _connect(self) -> sqlite3.Connection:
        mode = "ro" if self.read_only else "rwc"
        uri = f"{self.path.resolve().as_uri()}?mode={mode}{'&immutable=1' if self._immutable else ''}"
        connection = sqlite3.connect(
            uri, uri=True, timeout=self.wait, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        if not self.read_only:
            try:
                with suppress(sqlite3.OperationalError):  # some network drives cannot share WAL's memory
                    connection.execute("PRAGMA journal_mode = WAL")
                # In WAL mode, anything less than FULL may lose the last changes when the power fails.
                connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
                connection.execute("PRAGMA foreign_keys = ON")
            except BaseException:
                connection.close()
                raise
        return connection

    def _create(self) -> None:
        with self.change() as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                # executescript would commit first; the tables are to come all together or not at all.
                for statement in _statements(self.schema.tables):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {self.schema.version}")
                connection.execute(f"PRAGMA application_id = {self.schema.application_id}")
            self._check_schema(connection)
        if self._durable:
            sync_folder(self.path.parent)

    def _check_read_only(self) -> None:
        if not self.path.is_file():
            raise OutputError(
                f"there is no {self.schema.name} here",
                where=self.path.parent,
                remedy=f"Check the path, or {self.schema.remedy}",
            )
        try:
            with self.read() as connection:
                self._check_schema(connection)
        except LedgerFull:
            # A read-only folder has no room for WAL's own files. The main file alone will do, if complete.
            wal = self.path.with_name(f"{self.path.name}-wal")
            if wal.exists() and wal.stat().st_size:
                raise OutputError(
                    "its process was killed, and the last changes are not yet in the main file",
                    where=self.path,
                    remedy="Open it once with permission to write to the folder",
                ) from None
            with self._pool:
                while self._idle:
                    self._idle.pop().close()
            self._immutable = True
            with self.read() as connection:
                self._check_schema(connection)

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        schema = self.schema
        application_id, version = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("application_id", "user_version")
        )
        if application_id == schema.application_id and version == schema.version:
            return
        if application_id not in (0, schema.application_id) or version == 0:
            raise self.damaged("it is another kind of file")
        writer = "a newer" if version > schema.version else "an older"
        raise OutputError(
            f"this {schema.name} was written by {writer} sonoseg (version {version}, not {schema.version})",
            where=self.path,
            remedy=f"Use the sonoseg that wrote it, or {schema.remedy}",
        )

    def _delete(self) -> None:
        for ending in ("", "-wal", "-shm", "-journal"):
            path = self.path.with_name(self.path.name + ending)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"cannot be replaced: {error.strerror or error}", where=path) from error

    def _failure(self, error: sqlite3.DatabaseError) -> OutputError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return self._busy()
        if code == sqlite3.SQLITE_FULL:
            return LedgerFull(
                "the disk is full; nothing was changed", where=self.path, remedy="Free some space, and repeat"
            )
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            # A full disk may show itself in WAL's shared memory file, as an error of input and output.
            return LedgerFull(
                f"cannot be written ({error}); nothing was changed",
                where=self.path,
                remedy="Free some space, or check the folder's permissions",
            )
        return self.damaged(str(error))

    def _busy(self) -> LedgerBusy:
        return LedgerBusy(
            f"this {self.schema.name} is locked by another program",
            where=self.path,
            remedy="Wait until that program has ended, and repeat",
        )

    def damaged(self, reason: str) -> OutputError:
        """Return the error of a file whose content is not what sonoseg writes."""
        return OutputError(
            f"not a {self.schema.name} of sonoseg, or damaged ({reason})",
            where=self.path,
            remedy=f"Restore a backup, or {self.schema.remedy}",
        )


def require_same_run(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that the settings of a run to resume equal those that it began with.

    folder: of the results, for the message. then, now: settings by name, as JSON values.
    Raises OutputError with each setting that differs.
    """
    differing = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
    if not differing:
        return
    parts = []
    if "model_hash" in differing:
        parts.append(
            "the model differs from the one that this run began with "
            f"({then.get('model_hash')} and {now.get('model_hash')})"
        )
    parts += [
        f"{name} was {then.get(name)!r} and is {now.get(name)!r}"
        for name in differing
        if name not in ("model", "model_hash") or "model_hash" not in differing
        if name != "settings_hash" or len(differing) == 1  # it differs because another one does
    ]
    raise OutputError(
        f"cannot resume: {'; '.join(parts)}", where=folder, remedy="Use --overwrite, or another --out"
    )


def _statements(script: str) -> Iterator[str]:
    """Split a script into statements; those of triggers hold semicolons."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""
