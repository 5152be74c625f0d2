"""The state folder of the review server: work list, masks, reviews, and the log of all changes.

    state.sqlite         items, reviews and the log, which triggers protect from changes
    originals/           the files as received, named by their hash
    masks/ID/REVISION.png    0 is the model's
    predictions/ID/      probability.png (16 bits), attention_1.png ... (8 bits)
    thumbnails/ID.png    may be deleted, since they can be made again

Only the owner may read the folder and its files: the originals may contain names of patients.

A mask is on disk before the ledger names it; the item, its status and the log change in one transaction. A
process killed at any moment, or a full disk, leaves the state before the change or after it.
"""

from __future__ import annotations

import os
import re
import sqlite3
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from sonoseg._util.files import (
    atomic_write_bytes,
    cannot_write,
    make_private,
    make_private_folder,
    remove_leftovers,
)
from sonoseg.errors import OutputError, SonosegWarning
from sonoseg.results.ledger import LOCK, Ledger
from sonoseg.review.http_errors import Forbidden
from sonoseg.review.state_schema import SCHEMA
from sonoseg.review.store_rows import damaged, row_of

DATABASE = "state.sqlite"


class StateFolder:
    """An open state folder. Any number of threads may use it at once.

    folder: created unless it exists or `read_only` is set. One that other users could read is made private,
        with a warning (SonosegWarning), unless `read_only` is set.
    read_only: nothing is written; changes raise Forbidden. exclusive: lock out other servers.
    wait: seconds to wait for a locked ledger.

    Methods raise NotThere for an unknown id, LedgerBusy for a locked ledger, LedgerFull or OutputError for a
    full disk; after an error nothing was changed. Raises OutputError where the folder cannot be opened.
    """

    def __init__(
        self, folder: str | Path, *, read_only: bool = False, exclusive: bool = False, wait: float = 5.0
    ) -> None:
        self.folder = Path(folder)
        self.read_only = read_only
        used = (self.folder / DATABASE).exists()
        if not read_only:
            self._make_folder()
        exclusive = exclusive and not read_only
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", LOCK):
            self._check_link(self.folder / name)
        with ExitStack() as opened:
            self.ledger = opened.enter_context(
                Ledger(self.folder / DATABASE, SCHEMA, read_only=read_only, exclusive=exclusive, wait=wait)
            )
            self._check_content()
            if not read_only:
                problem = make_private(self.folder)
                if problem and used:
                    warnings.warn(f"{self.folder}: {problem}", SonosegWarning, stacklevel=2)
            if exclusive:
                self._remove_leftovers()
                with self.ledger.change() as connection:  # interrupted predictions wait again
                    connection.execute("UPDATE items SET prediction = 'waiting' WHERE prediction = 'running'")
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the ledger and release the lock. Closing twice is harmless."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def mask_path(self, identity: str, revision: int) -> Path:
        """The file of a mask; revision 0 is the model's."""
        return self.folder / "masks" / identity / f"{revision}.png"

    def prediction_folder(self, identity: str) -> Path:
        """The folder of an item's probabilities and attention maps."""
        return self.folder / "predictions" / identity

    def _read_file(self, path: Path) -> bytes:
        """Read a file that the ledger names. Raises OutputError where it is missing."""
        try:
            return path.read_bytes()
        except OSError as error:
            raise damaged(f"a file cannot be read: {error.strerror or error}", path) from error

    def _write_file(self, path: Path, data: bytes) -> None:
        """Write a file of this state to disk, for the owner alone. Raises OutputError."""
        atomic_write_bytes(path, data, durable=True, private=True)

    def _row(self, identity: str) -> sqlite3.Row:
        with self.ledger.read() as connection:
            return row_of(connection, identity)

    def _check_writable(self) -> None:
        if self.read_only:
            raise read_only()

    def _make_folder(self) -> None:
        try:
            make_private_folder(self.folder)
            foreign = not (self.folder / DATABASE).exists() and any(
                not path.name.startswith(".") for path in self.folder.iterdir()
            )
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        if foreign:
            raise OutputError(
                "the folder holds other files, and no review state",
                where=self.folder,
                remedy="Choose a new or empty folder with --state",
            )

    def _check_link(self, path: Path) -> None:
        """Refuse a link, by which a state from other people would read or write elsewhere."""
        if path.is_symlink():
            raise OutputError(
                "the review state contains a link",
                where=path,
                remedy="Replace it by the files that it names, or remove it",
            )

    def _check_content(self) -> None:
        """Refuse links, and ids and files that are no plain names, since paths are made of them."""
        for base, folders, names in os.walk(self.folder):
            for name in (*folders, *names):
                self._check_link(Path(base, name))
        with self.ledger.read() as connection:
            for identity, file in connection.execute("SELECT id, file FROM items"):
                for name in (identity, file):
                    if not isinstance(name, str) or not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.-]*", name):
                        raise damaged(f"{name!r} is no plain name of a file", self.folder / DATABASE)

    def _remove_leftovers(self) -> None:
        """Remove what a killed server left; only while no other one runs."""
        for part in ("originals", "incoming", "thumbnails"):
            remove_leftovers(self.folder / part)
        for part in ("masks", "predictions"):
            for inner in (self.folder / part).glob("*/"):
                remove_leftovers(inner)
        for path in (self.folder / "incoming").glob("*"):
            path.unlink(missing_ok=True)
        # A file is moved into originals/ before its row is committed.
        with self.ledger.read() as connection:
            known = {row["file"] for row in connection.execute("SELECT DISTINCT file FROM items")}
        for path in (self.folder / "originals").glob("*"):
            if path.name not in known and path.is_file():
                path.unlink(missing_ok=True)


def read_only() -> Forbidden:
    """The error for a change where the server is read-only."""
    return Forbidden("the server is read-only", remedy="Use a server started without --read-only")
