"""The node's queue: an accepted instance has a file and a row on disk before its sender gets a response.

    STATE/queue.sqlite     a row per instance, a row per result
    STATE/incoming/        received instances, until their results are sent: UID.dcm
    STATE/results/         results, until they are sent: UID/seg.dcm ...
    STATE/failed/          failed instances with the reason: UID/source.dcm, UID/reason.json ...

Each state change is one transaction. Files that a killed node left in the wrong folder are moved at the next
start; a file without a row gets one, so no received instance is lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Lock

from sonoseg import RESEARCH_ONLY
from sonoseg._util.files import atomic_write_text, cannot_write, remove_leftovers, sha256_file, sync_folder
from sonoseg._util.timestamps import utc_now
from sonoseg.errors import InputError, OutputError, SonosegWarning
from sonoseg.pacs.query import is_uid
from sonoseg.pacs.queue_rows import (
    DATABASE,
    ROW,
    SCHEMA,
    InstanceState,
    QueuedResult,
    QueueReader,
    QueueRow,
    queue_row,
)
from sonoseg.results.ledger import Ledger

INCOMING, RESULTS, FAILED = "incoming", "results", "failed"
SOURCE, REASON = "source.dcm", "reason.json"

FORMER_DATABASE = "spool.sqlite"
"""The queue of sonoseg up to version 1 of its format."""


@dataclass(frozen=True)
class ReceivedInstance:
    """An instance as its C-STORE request describes it.

    uid, sop_class: of the request. syntax: the negotiated transfer syntax. sender: the calling AE title.
    address: the sender's host.
    """

    uid: str
    sop_class: str
    syntax: str
    sender: str
    address: str = ""


class Acceptance(StrEnum):
    """How an instance was received. But for CONFLICT it is on disk, or its results are in the archive."""

    NEW = "new"
    DUPLICATE = "duplicate"  # the same content is in the queue, or done
    RESUBMITTED = (
        "resubmitted"  # it failed before, or was segmented with other settings: it is segmented again
    )
    NEW_VERSION = "new version"  # another content of a UID that is done or failed: it is segmented
    CONFLICT = "conflict"  # another content of a UID that is being processed: it was not taken


class InstanceQueue(QueueReader):
    """The queue of a running node; thread-safe.

    folder: the state folder, created if needed.
    model: the model and the settings in use (Segmenter.identity); instances that were segmented with them are
        not segmented again.
    keep: keep the files of instances whose results were sent. keep_free: bytes of the disk to leave free.

    Raises OutputError if the folder cannot be used, or another node is using it.
    """

    def __init__(self, folder: Path, *, model: str = "", keep: bool = False, keep_free: int = 0) -> None:
        self.model, self._keep, self._keep_free = model, keep, keep_free
        self._accepting = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # images of patients
            if (folder / FORMER_DATABASE).exists():
                raise OutputError(
                    "state folder was written by an older sonoseg",
                    where=folder,
                    remedy="Finish its queue with that version, or choose another folder with --state",
                )
            used = (folder / DATABASE).exists()
            super().__init__(folder)
            self._take_from_others(warn=used)
        except OSError as error:
            raise cannot_write(folder, error) from error
        try:
            for name in (INCOMING, RESULTS, FAILED):
                (folder / name).mkdir(exist_ok=True)
            self._repair()
        except OSError as error:
            self.close()
            raise cannot_write(folder, error) from error
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path) -> Ledger:
        return Ledger(path, SCHEMA, exclusive=True, wait=30)

    def _take_from_others(self, *, warn: bool) -> None:
        """Make a folder of an earlier version, or one made by hand, accessible to its owner alone."""
        mode = self.folder.stat().st_mode
        if os.name != "nt" and mode & 0o077:
            with suppress(PermissionError):  # a mounted volume of another owner
                self.folder.chmod(mode & 0o700)
                if warn:
                    warnings.warn(
                        f"{self.folder}: other users had access to this folder; now only its owner has",
                        SonosegWarning,
                        stacklevel=3,
                    )

    def accept(self, instance: ReceivedInstance, data: bytes) -> Acceptance:
        """Add an instance. data: its complete file (PS3.10).

        When this returns, the instance survives a power failure, unless it returns CONFLICT. Raises
        OutputError if it cannot be written, for example to a full disk, and InputError for an invalid UID;
        then nothing has changed.
        """
        if not is_uid(instance.uid):
            raise InputError("SOP Instance UID is invalid", remedy="Check the sender")
        digest = hashlib.sha256(data).hexdigest()
        known = self._known(instance.uid, digest)
        if known is not None:
            return known
        self._check_space(len(data))
        temporary = self._write(instance.uid, data)
        try:
            with self._accepting:
                known = self._known(instance.uid, digest)  # two senders may send it at the same time
                if known is not None:
                    return known
                return self._add(instance, temporary, digest, len(data))
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _known(self, uid: str, digest: str) -> Acceptance | None:
        """Return the acceptance of an instance whose file is not kept; None if it is needed."""
        row = self.row(uid)
        if row is None or row.state is InstanceState.FAILED:
            return None
        if row.state is InstanceState.SENT:
            return Acceptance.DUPLICATE if (row.model, row.sha256) == (self.model, digest) else None
        if row.state is InstanceState.RECEIVED and not self.source_path(uid).exists():
            return None  # the disk failed before the response, and the sender tries again
        return Acceptance.DUPLICATE if row.sha256 == digest else Acceptance.CONFLICT

    def _check_space(self, size: int) -> None:
        try:
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        if free - size < self._keep_free:
            raise OutputError(
                f"only {free:,} bytes of its disk are free, and {self._keep_free:,} must stay free",
                where=self.folder,
                remedy="Free some space, or check why the archive stores no results",
            )

    def _write(self, uid: str, data: bytes) -> Path:
        """Write a new file with a temporary name to the disk."""
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

    def _add(self, instance: ReceivedInstance, temporary: Path, digest: str, size: int) -> Acceptance:
        """Give the file its name and the instance its row."""
        path = self.source_path(instance.uid)
        try:
            temporary.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            former = self._insert(instance, digest, size)
        except OutputError:
            with suppress(OSError):
                path.unlink()
            raise
        shutil.rmtree(self.failed_folder(instance.uid), ignore_errors=True)
        if former is None:
            return Acceptance.NEW
        return Acceptance.RESUBMITTED if former == digest else Acceptance.NEW_VERSION

    def _insert(self, instance: ReceivedInstance, digest: str, size: int) -> str | None:
        """Write the row, and return the SHA-256 of the content that it replaces, None without one."""
        now = _now()
        with self._ledger.change() as connection:
            former = connection.execute(
                "SELECT sha256 FROM instances WHERE uid = ?", (instance.uid,)
            ).fetchone()
            connection.execute(
                "INSERT INTO instances (uid, sop_class, syntax, sender, address, sha256, size, state, model, "
                "received_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'received', '', ?, ?) "
                "ON CONFLICT (uid) DO UPDATE SET sop_class = excluded.sop_class, syntax = excluded.syntax, "
                "sender = excluded.sender, address = excluded.address, sha256 = excluded.sha256, "
                "size = excluded.size, state = 'received', model = '', starts = 0, attempts = 0, "
                "refusals = 0, next_at = 0, reason = NULL, received_at = excluded.received_at, "
                "updated_at = excluded.updated_at",
                (
                    instance.uid,
                    instance.sop_class,
                    instance.syntax,
                    instance.sender,
                    instance.address,
                    digest,
                    size,
                    now,
                    now,
                ),
            )
        return None if former is None else str(former[0])

    def due(self, state: InstanceState, now: float, *, limit: int = 1) -> list[QueueRow]:
        """Return the next rows of a state that are due, in the order of arrival.

        Rows that were started and did not end come last, since they may have ended the node.
        now: seconds since 1970.
        """
        found = self._select(
            f"SELECT {ROW} FROM instances WHERE state = ? AND next_at <= ? ORDER BY starts, seq LIMIT ?",
            state.value,
            now,
            limit,
        )
        return [queue_row(one) for one in found]

    def start(self, uid: str) -> int:
        """Record the start of a segmentation, and return the number of starts including this one."""
        with self._ledger.change() as connection:
            connection.execute("UPDATE instances SET starts = starts + 1 WHERE uid = ?", (uid,))
            return int(connection.execute("SELECT starts FROM instances WHERE uid = ?", (uid,)).fetchone()[0])

    def add_results(self, uid: str, results: Sequence[QueuedResult]) -> None:
        """Record that the results of an instance are on disk and can be sent."""
        with self._ledger.change() as connection:
            for one in results:
                connection.execute(
                    "INSERT INTO results (uid, source, kind, file, model) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (uid) DO UPDATE SET file = excluded.file, model = excluded.model",
                    (one.uid, uid, one.kind, one.file, one.model),
                )
            connection.execute(
                "UPDATE instances SET state = 'segmented', model = ?, starts = 0, attempts = 0, "
                "refusals = 0, next_at = 0, reason = NULL, updated_at = ? WHERE uid = ?",
                (self.model, _now(), uid),
            )

    def mark_stored(self, uid: str, results: Sequence[str]) -> bool:
        """Record that the archive stored these results of an instance; return whether it has all of them."""
        with self._accepting:  # else the file of a new version that arrives now would be removed
            return self._mark_stored(uid, results)

    def _mark_stored(self, uid: str, results: Sequence[str]) -> bool:
        with self._ledger.change() as connection:
            for one in results:
                connection.execute("UPDATE results SET stored_at = ? WHERE uid = ?", (_now(), one))
            left = connection.execute(
                "SELECT COUNT(*) FROM results JOIN instances ON instances.uid = source "
                "WHERE source = ? AND results.model = instances.model AND stored_at IS NULL",
                (uid,),
            ).fetchone()[0]
            if left:
                return False
            connection.execute(
                "UPDATE instances SET state = 'sent', reason = NULL, updated_at = ? WHERE uid = ?",
                (_now(), uid),
            )
        self._remove_files(uid)
        return True

    def retry_later(
        self, uid: str, at: float, reason: str, *, attempts: int = 0, refusals: int = 0, starts: int = 0
    ) -> None:
        """Record a failure that is retried, not before `at` in seconds since 1970.

        attempts, refusals, starts: added to the row's.
        """
        with self._ledger.change() as connection:
            connection.execute(
                "UPDATE instances SET next_at = ?, reason = ?, attempts = attempts + ?, "
                "refusals = refusals + ?, starts = MAX(0, starts + ?), updated_at = ? WHERE uid = ?",
                (at, reason, attempts, refusals, starts, _now(), uid),
            )

    def limit_waits(self, latest: float) -> None:
        """Let no row wait beyond `latest`, in seconds since 1970."""
        with self._ledger.change() as connection:
            connection.execute("UPDATE instances SET next_at = ? WHERE next_at > ?", (latest, latest))

    def fail(self, uid: str, reason: str) -> None:
        """Record a final failure, and move the files of the instance to a folder with the reason.

        The row changes first; files that a full disk or a killed node leaves are moved at the next start.
        """
        with self._accepting:  # else the file of an instance that is sent again now would be moved
            with self._ledger.change() as connection:
                connection.execute(
                    "UPDATE instances SET state = 'failed', reason = ?, updated_at = ? WHERE uid = ?",
                    (reason, _now(), uid),
                )
            self._move_failed(uid)

    def segment_again(self, uid: str) -> bool:
        """Requeue an instance whose results are missing; return False if its file is missing too."""
        if not self.source_path(uid).is_file():
            return False
        with self._ledger.change() as connection:
            connection.execute(
                "UPDATE instances SET state = 'received', starts = 0, next_at = 0, updated_at = ? "
                "WHERE uid = ?",
                (_now(), uid),
            )
        return True

    def requeue_failed(self, uid: str | None = None) -> int:
        """Requeue one failed instance or all of them, and return their number."""
        failed = [row for row in self.rows(InstanceState.FAILED) if uid in (None, row.uid)]
        return sum(self._requeue(row) for row in failed)

    def _requeue(self, row: QueueRow) -> bool:
        failed, path = self.failed_folder(row.uid), self.source_path(row.uid)
        try:
            if (failed / SOURCE).exists():
                (failed / SOURCE).replace(path)
                sync_folder(path.parent)
        except OSError as error:
            raise cannot_write(path, error) from error
        if not path.exists():
            return False  # the file was removed
        with self._ledger.change() as connection:
            # Results are made again with the same UIDs: those that the archive has are not sent again.
            connection.execute(
                "UPDATE instances SET state = 'received', starts = 0, attempts = 0, refusals = 0, "
                "next_at = 0, reason = NULL, updated_at = ? WHERE uid = ?",
                (_now(), row.uid),
            )
        shutil.rmtree(failed, ignore_errors=True)
        return True

    def source_path(self, uid: str) -> Path:
        """Return the path of a received instance."""
        return self.folder / INCOMING / f"{uid}.dcm"

    def results_folder(self, uid: str) -> Path:
        """Return the folder of an instance's results."""
        return self.folder / RESULTS / uid

    def failed_folder(self, uid: str) -> Path:
        """Return the folder of a failed instance."""
        return self.folder / FAILED / uid

    def _remove_files(self, uid: str) -> None:
        """Remove the files of an instance whose results are in the archive."""
        if not self._keep:
            with suppress(OSError):
                self.source_path(uid).unlink(missing_ok=True)
            shutil.rmtree(self.results_folder(uid), ignore_errors=True)

    def _move_failed(self, uid: str) -> None:
        """Move the files of a failed instance, and write the reason beside them."""
        row, failed = self.row(uid), self.failed_folder(uid)
        assert row is not None
        with suppress(OSError, OutputError):  # the row has the state; the next start tries again
            failed.mkdir(exist_ok=True)
            if not (failed / REASON).exists():
                atomic_write_text(failed / REASON, self._reason_json(row))
            for path in sorted(self.results_folder(uid).glob("*.dcm")):
                path.replace(failed / path.name)
            shutil.rmtree(self.results_folder(uid), ignore_errors=True)
            if self.source_path(uid).exists():
                self.source_path(uid).replace(failed / SOURCE)
            sync_folder(failed)

    def _reason_json(self, row: QueueRow) -> str:
        report = {
            "instance": row.uid,
            "reason": row.reason,
            "sender": row.sender,
            "received_at": row.received_at,
            "failed_at": row.updated_at,
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
            "remedy": "Correct the cause, then start the node with --retry-failed or send the instance again",
            "notice": RESEARCH_ONLY,
        }
        return json.dumps(report, indent=2, ensure_ascii=False) + "\n"

    def _repair(self) -> None:
        """Move every file to the folder that its row demands, while no other node uses the folder."""
        remove_leftovers(self.folder / INCOMING)
        for path in sorted((self.folder / INCOMING).glob("*.dcm")):
            row = self.row(path.stem)
            if row is None:
                self._restore_row(path)
            elif row.state is InstanceState.SENT:
                self._remove_files(row.uid)
        for results in sorted((self.folder / RESULTS).iterdir()):
            row = self.row(results.name)
            if row is None or row.state is InstanceState.RECEIVED:  # incomplete, or without a row
                shutil.rmtree(results, ignore_errors=True)
            elif row.state is InstanceState.SENT:
                self._remove_files(row.uid)
        for failed in sorted((self.folder / FAILED).iterdir()):
            row = self.row(failed.name)
            if row is not None and row.state is not InstanceState.FAILED and not (failed / SOURCE).exists():
                shutil.rmtree(failed, ignore_errors=True)  # it was requeued
        for row in self.rows(InstanceState.FAILED):
            if self.source_path(row.uid).exists() or not (self.failed_folder(row.uid) / REASON).exists():
                self._move_failed(row.uid)

    def _restore_row(self, path: Path) -> None:
        """Add the row of a file without one: the node was killed between the two, or the database is new."""
        from sonoseg.dicom.reading.header import quiet_pydicom

        if not is_uid(path.stem):
            return  # not a file of the queue
        sop_class = syntax = ""
        with quiet_pydicom(), suppress(Exception):  # a damaged file is reported when it is segmented
            from pydicom.filereader import read_file_meta_info

            meta = read_file_meta_info(path)
            sop_class, syntax = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
        restored = ReceivedInstance(path.stem, sop_class, syntax, sender="")
        self._insert(restored, sha256_file(path), path.stat().st_size)


def _now() -> str:
    return utc_now("milliseconds")
