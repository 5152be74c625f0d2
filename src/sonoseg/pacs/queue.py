"""The node's queue: what was accepted is on disk, file and row, before anybody is told so.

    STATE/spool.sqlite     a row an instance, a row a result
    STATE/incoming/        what was received, until it is sent: UID.dcm
    STATE/results/         what was made of it, until it is sent: UID/seg.dcm ...
    STATE/given-up/        what could not be done, with the reason: UID/source.dcm, UID/why.json ...

A state changes in one transaction. Files that a killed node left where they no longer belong are put right at
the next start; a file without a row gets one, for nothing that was received is thrown away.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sonoseg import RESEARCH_ONLY
from sonoseg._util.files import atomic_write_text, cannot_write, remove_leftovers, sha256_file, sync_folder
from sonoseg._util.locks import locked
from sonoseg._util.timestamps import utc_now
from sonoseg.errors import InputError, OutputError
from sonoseg.pacs.queue_rows import (
    DATABASE,
    LOCK,
    ROW,
    TABLES,
    VERSION,
    QueuedResult,
    QueueRow,
    Rows,
    State,
    check_version,
    row_of,
)

INCOMING, RESULTS, GIVEN_UP = "incoming", "results", "given-up"
SOURCE, WHY = "source.dcm", "why.json"

_UID = re.compile(r"\d+(\.\d+)*")


@dataclass(frozen=True)
class ReceivedInstance:
    """What is known of an instance before it is looked into.

    uid, sop_class: as the request says. syntax: as the association agreed. sender: the calling AE title.
    """

    uid: str
    sop_class: str
    syntax: str
    sender: str
    address: str = ""


class Acceptance(StrEnum):
    """What an instance is to the queue. In each case it is on disk, or its results are in the archive."""

    NEW = "new"
    AGAIN = "again"  # it is here already, or done
    ANEW = "anew"  # it was given up before, or done by another model: it is done again
    DIFFERS = "differs"  # one of the same UID and other content is under way: the first is kept


class Spool(Rows):
    """The queue of one node, opened to work on; any thread may.

    folder: the state folder, made where it is not there. model: name and hash of the model in use: what it
    has done is not done again, what another has done is. keep: leave the files of what was sent.
    keep_free: bytes of the disk that are left free.

    Raises OutputError where the folder cannot be used, or another node works on it.
    """

    def __init__(self, folder: Path, *, model: str = "", keep: bool = False, keep_free: int = 0) -> None:
        self.model, self._keep, self._keep_free = model, keep, keep_free
        self._held = ExitStack()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # patients' images: nobody else's
            self._held.enter_context(
                locked(
                    folder / LOCK,
                    "another node works on this folder",
                    "Stop it, or choose another folder with --state",
                    patience=0.2,  # Rows.working has it for a moment
                )
            )
            for name in (INCOMING, RESULTS, GIVEN_UP):
                (folder / name).mkdir(exist_ok=True)
            (folder / DATABASE).touch()
        except OSError as error:
            self._held.close()
            raise cannot_write(folder, error) from error
        try:
            super().__init__(folder)
            self._put_right()
        except BaseException:
            self._held.close()
            raise

    def _open(self, path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        # With WAL, anything less may lose the last rows when the power fails.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            # executescript begins with a commit of its own; the tables are to come whole or not at all.
            connection.execute("BEGIN IMMEDIATE")
            for statement in TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        check_version(connection, path)
        sync_folder(path.parent)
        return connection

    def close(self) -> None:
        """Close the file and let other nodes in."""
        super().close()
        self._held.close()

    # What arrives

    def accept(self, arrived: ReceivedInstance, data: bytes) -> Acceptance:
        """Take an instance in. data: its file (PS3.10), whole.

        When this returns, a power cut loses nothing of it. Raises OutputError where it cannot be written, the
        disk being full most of all, and InputError for a UID that is none; then nothing has changed.
        """
        if not (_UID.fullmatch(arrived.uid) and len(arrived.uid) <= 64):
            raise InputError("its SOP Instance UID is none", remedy="See to the sender")
        digest = hashlib.sha256(data).hexdigest()
        known = self._known(arrived.uid, digest)
        if known is not None:
            return known
        self._room_for(len(data))
        temporary = self._write(arrived.uid, data)
        try:
            with self._lock:
                known = self._known(arrived.uid, digest)  # two senders may send the same at once
                if known is not None:
                    return known
                return self._enter(arrived, temporary, digest, len(data))
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _known(self, uid: str, digest: str) -> Acceptance | None:
        """What an instance is that needs no file; None for one that does."""
        row = self.row(uid)
        if row is None or row.state is State.GIVEN_UP:
            return None
        if row.state is State.SENT:
            return Acceptance.AGAIN if row.model == self.model else None
        if row.state is State.RECEIVED and not self.incoming(uid).exists():
            return None  # the disk failed between the two, and the sender was told so
        return Acceptance.AGAIN if row.sha256 == digest else Acceptance.DIFFERS

    def _room_for(self, size: int) -> None:
        try:
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        if free - size < self._keep_free:
            raise OutputError(
                f"only {free:,} bytes are free on its disk, and {self._keep_free:,} are kept free",
                where=self.folder,
                remedy="Free some space, or see to the archive that takes no results",
            )

    def _write(self, uid: str, data: bytes) -> Path:
        """A new file beside the others that is on the disk, but has not its name yet."""
        folder = self.folder / INCOMING
        name = ""
        try:
            handle, name = tempfile.mkstemp(prefix=f".{uid[:60]}.", suffix=".dcm", dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if name:
                with suppress(OSError):
                    Path(name).unlink()
            raise cannot_write(folder, error) from error
        return Path(name)

    def _enter(self, arrived: ReceivedInstance, temporary: Path, digest: str, size: int) -> Acceptance:
        """Give the file its name and the instance its row."""
        path = self.incoming(arrived.uid)
        try:
            temporary.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            former = self._insert(arrived, digest, size)
        except OutputError:
            with suppress(OSError):
                path.unlink()
            raise
        shutil.rmtree(self.given_up(arrived.uid), ignore_errors=True)
        return Acceptance.ANEW if former else Acceptance.NEW

    def _insert(self, arrived: ReceivedInstance, digest: str, size: int) -> bool:
        """Write the row, in place of a former one; whether there was one."""
        now = utc_now("milliseconds")
        with self._change() as connection:
            former = connection.execute("SELECT 1 FROM instances WHERE uid = ?", (arrived.uid,)).fetchone()
            connection.execute(
                "INSERT INTO instances (uid, sop_class, syntax, sender, address, sha256, size, state, model, "
                "received_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'received', '', ?, ?) "
                "ON CONFLICT (uid) DO UPDATE SET sop_class = excluded.sop_class, syntax = excluded.syntax, "
                "sender = excluded.sender, address = excluded.address, sha256 = excluded.sha256, "
                "size = excluded.size, state = 'received', model = '', begun = 0, tries = 0, refusals = 0, "
                "next_at = 0, why = NULL, received_at = excluded.received_at, "
                "updated_at = excluded.updated_at",
                (
                    arrived.uid,
                    arrived.sop_class,
                    arrived.syntax,
                    arrived.sender,
                    arrived.address,
                    digest,
                    size,
                    now,
                    now,
                ),
            )
        return former is not None

    # What is done with it

    def due(self, state: State, now: float, *, limit: int = 1) -> list[QueueRow]:
        """The next rows of a state whose time has come, in the order of arrival; those go last that were
        begun before and not ended, for they may have ended the node. now: seconds since 1970.
        """
        found = self._select(
            f"SELECT {ROW} FROM instances WHERE state = ? AND next_at <= ? ORDER BY begun, seq LIMIT ?",
            state.value,
            now,
            limit,
        )
        return [row_of(one) for one in found]

    def begin(self, uid: str) -> int:
        """Note that segmenting begins; how often it was begun, this time among them."""
        with self._change() as connection:
            connection.execute("UPDATE instances SET begun = begun + 1 WHERE uid = ?", (uid,))
            return int(connection.execute("SELECT begun FROM instances WHERE uid = ?", (uid,)).fetchone()[0])

    def segmented(self, uid: str, results: Sequence[QueuedResult]) -> None:
        """Note that the results of an instance are in their folder, on disk; they wait to be sent."""
        with self._change() as connection:
            for one in results:
                connection.execute(
                    "INSERT INTO results (uid, source, kind, file, model) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (uid) DO UPDATE SET file = excluded.file",
                    (one.uid, uid, one.kind, one.file, one.model),
                )
            connection.execute(
                "UPDATE instances SET state = 'segmented', model = ?, begun = 0, tries = 0, refusals = 0, "
                "next_at = 0, why = NULL, updated_at = ? WHERE uid = ?",
                (self.model, utc_now("milliseconds"), uid),
            )

    def stored(self, uid: str, results: Sequence[str]) -> bool:
        """Note that the archive has these results of an instance; True where it has all of them now."""
        with self._change() as connection:
            for one in results:
                connection.execute(
                    "UPDATE results SET stored_at = ? WHERE uid = ?", (utc_now("milliseconds"), one)
                )
            left = connection.execute(
                "SELECT COUNT(*) FROM results JOIN instances ON instances.uid = source "
                "WHERE source = ? AND results.model = instances.model AND stored_at IS NULL",
                (uid,),
            ).fetchone()[0]
            if left:
                return False
            connection.execute(
                "UPDATE instances SET state = 'sent', why = NULL, updated_at = ? WHERE uid = ?",
                (utc_now("milliseconds"), uid),
            )
        self._clear(uid)
        return True

    def put_off(
        self, uid: str, until: float, why: str, *, tried: int = 0, refused: int = 0, begun: int = 0
    ) -> None:
        """Note what went wrong, and that it is tried again: not before `until`, in seconds since 1970.

        tried, refused, begun: added to its counts.
        """
        with self._change() as connection:
            connection.execute(
                "UPDATE instances SET next_at = ?, why = ?, tries = tries + ?, refusals = refusals + ?, "
                "begun = MAX(0, begun + ?), updated_at = ? WHERE uid = ?",
                (until, why, tried, refused, begun, utc_now("milliseconds"), uid),
            )

    def give_up(self, uid: str, why: str) -> None:
        """Give an instance up: its files go to a folder of their own, with the reason.

        The row says it first; what a full disk or a killed node leaves of the rest is done at the next start.
        """
        with self._change() as connection:
            connection.execute(
                "UPDATE instances SET state = 'given-up', why = ?, updated_at = ? WHERE uid = ?",
                (why, utc_now("milliseconds"), uid),
            )
        self._set_apart(uid)

    def make_again(self, uid: str) -> bool:
        """Let an instance be segmented again, whose results are gone; False where its file is gone, too."""
        if not self.incoming(uid).is_file():
            return False
        with self._change() as connection:
            connection.execute(
                "UPDATE instances SET state = 'received', begun = 0, next_at = 0, updated_at = ? "
                "WHERE uid = ?",
                (utc_now("milliseconds"), uid),
            )
        return True

    def again(self, uid: str | None = None) -> int:
        """Take what was given up in hand again, one instance or all; how many there were."""
        count = 0
        for row in self.rows(State.GIVEN_UP):
            if uid in (None, row.uid) and self._again(row):
                count += 1
        return count

    def _again(self, row: QueueRow) -> bool:
        apart, path = self.given_up(row.uid), self.incoming(row.uid)
        source = apart / SOURCE
        try:
            if source.exists():
                source.replace(path)
                sync_folder(path.parent)
        except OSError as error:
            raise cannot_write(path, error) from error
        if not path.exists():
            return False  # somebody took it away: there is nothing to work on
        with self._change() as connection:
            # Results are made anew, with the same UIDs: those that the archive has are not sent again.
            connection.execute(
                "UPDATE instances SET state = 'received', begun = 0, tries = 0, refusals = 0, next_at = 0, "
                "why = NULL, updated_at = ? WHERE uid = ?",
                (utc_now("milliseconds"), row.uid),
            )
        shutil.rmtree(apart, ignore_errors=True)
        return True

    # Where the files are

    def incoming(self, uid: str) -> Path:
        """Where what was received lies."""
        return self.folder / INCOMING / f"{uid}.dcm"

    def made(self, uid: str) -> Path:
        """The folder of what was made of an instance."""
        return self.folder / RESULTS / uid

    def given_up(self, uid: str) -> Path:
        """The folder of an instance that was given up."""
        return self.folder / GIVEN_UP / uid

    def _clear(self, uid: str) -> None:
        """Remove the files of an instance whose results are in the archive."""
        if not self._keep:
            with suppress(OSError):
                self.incoming(uid).unlink(missing_ok=True)
            shutil.rmtree(self.made(uid), ignore_errors=True)

    def _set_apart(self, uid: str) -> None:
        """Move the files of an instance that was given up, and say why beside them."""
        row, apart = self.row(uid), self.given_up(uid)
        assert row is not None
        with suppress(OSError, OutputError):  # the row knows; the next start tries again
            apart.mkdir(exist_ok=True)
            if not (apart / WHY).exists():
                atomic_write_text(apart / WHY, self._why(row))
            for path in sorted(self.made(uid).glob("*.dcm")):
                path.replace(apart / path.name)
            shutil.rmtree(self.made(uid), ignore_errors=True)
            if self.incoming(uid).exists():
                self.incoming(uid).replace(apart / SOURCE)
            sync_folder(apart)

    def _why(self, row: QueueRow) -> str:
        said = {
            "instance": row.uid,
            "why": row.why,
            "sender": row.sender,
            "received_at": row.received_at,
            "given_up_at": row.updated_at,
            "model": row.model or self.model,
            "results": [
                {
                    "instance": one.uid,
                    "kind": one.kind,
                    "file": Path(one.file).name,
                    "stored_at": one.stored_at,
                }
                for one in self.results(row.uid)
            ],
            "remedy": "See to the reason, then start the node with --again, or send the instance again",
            "notice": RESEARCH_ONLY,
        }
        return json.dumps(said, indent=2, ensure_ascii=False) + "\n"

    def _put_right(self) -> None:
        """Put every file where its row says that it belongs. Only while nobody else works here."""
        remove_leftovers(self.folder / INCOMING)
        for path in sorted((self.folder / INCOMING).glob("*.dcm")):
            row = self.row(path.stem)
            if row is None:
                self._adopt(path)
            elif row.state is State.SENT:
                self._clear(row.uid)
        for made in sorted((self.folder / RESULTS).iterdir()):
            row = self.row(made.name)
            if row is None or row.state is State.RECEIVED:  # half-made, or of a row that is no more
                shutil.rmtree(made, ignore_errors=True)
            elif row.state is State.SENT:
                self._clear(row.uid)
        for apart in sorted((self.folder / GIVEN_UP).iterdir()):
            row = self.row(apart.name)
            if row is not None and row.state is not State.GIVEN_UP and not (apart / SOURCE).exists():
                shutil.rmtree(apart, ignore_errors=True)  # it was taken in hand again
        for row in self.rows(State.GIVEN_UP):
            if self.incoming(row.uid).exists() or not (self.given_up(row.uid) / WHY).exists():
                self._set_apart(row.uid)

    def _adopt(self, path: Path) -> None:
        """Give a file without a row one: the node was killed between the two, or the database is new."""
        from sonoseg.dicom.reading.header import quiet_pydicom

        if not _UID.fullmatch(path.stem):
            return  # not ours
        sop_class = syntax = ""
        with quiet_pydicom(), suppress(Exception):  # whatever is wrong with it is told when it is segmented
            from pydicom.filereader import read_file_meta_info

            meta = read_file_meta_info(path)
            sop_class, syntax = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
        now = utc_now("milliseconds")
        with self._change() as connection:
            connection.execute(
                "INSERT INTO instances (uid, sop_class, syntax, sender, address, sha256, size, state, model, "
                "received_at, updated_at) VALUES (?, ?, ?, '', '', ?, ?, 'received', '', ?, ?)",
                (path.stem, sop_class, syntax, sha256_file(path), path.stat().st_size, now, now),
            )

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """All of the block is done, or nothing, and on disk when it ends. Raises OutputError."""
        with self._lock, self._faults():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself may have rolled back
                    self._connection.execute("ROLLBACK")
                raise
