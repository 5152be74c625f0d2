"""Readings of items: mask revisions, reviews, signatures, and the log."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.documents import parse_json
from sonoseg.review import mask_png
from sonoseg.review.http_errors import NotThere, Stale, WrongStatus
from sonoseg.review.items import Action, Item, LogEntry, Status, Tool
from sonoseg.review.reading import Review
from sonoseg.review.state_folder import StateFolder
from sonoseg.review.store_rows import (
    add_log_entry,
    checked,
    entry_of,
    item_of,
    now,
    review_of,
    row_of,
    source_of,
)


class ReadingStore(StateFolder):
    """The masks, reviews and log of a state folder."""

    def mask_png(self, identity: str, revision: int | None = None) -> bytes | None:
        """A mask as a grey PNG of 0 and 255: of `revision`, by default the current one.

        None without a prediction. Raises NotThere for an unknown revision.
        """
        row = self._row(identity)
        wanted = row["revision"] if revision is None else revision
        if not 0 <= wanted <= row["revision"]:
            raise NotThere(
                f"no revision {wanted}; the last is {row['revision']}",
                where=identity,
                remedy="See the item's history",
            )
        if wanted == 0 and row["model_hash"] is None:
            return None
        return self._read_file(self.mask_path(identity, wanted))

    def mask(self, identity: str, revision: int | None = None) -> NDArray[np.bool_]:
        """A mask as bool (H, W); empty without a prediction."""
        data = self.mask_png(identity, revision)
        item = item_of(self._row(identity))
        with checked():
            shape = item.height, item.width
            mask = np.zeros(shape, dtype=bool) if data is None else mask_png.mask_of(data)
            if mask.shape != shape:
                raise ValueError(f"the mask of {identity} has the shape {mask.shape}, not {shape}")
            return mask

    def lesions(self, identity: str) -> list[dict[str, Any]]:
        """The measured lesions of the current mask, as in results.json."""
        text = self._row(identity)["findings"]
        with checked():
            return [] if text is None else list(parse_json(text))

    def save_mask(
        self,
        identity: str,
        mask: NDArray[np.bool_],
        lesions: Sequence[Mapping[str, Any]],
        *,
        expected: int,
        reader: str = "",
        tool: Tool = Tool.OTHER,
        seconds: float | None = None,
    ) -> Item:
        """Save a reader's mask, bool (H, W), as the next revision.

        lesions: of this mask, as in results.json. expected: the revision that the mask was based on.
        The source follows from the pixels: that of an earlier revision with the same mask; else "edited", or
        "manual" where the mask was drawn from an empty one.

        Raises Stale where the revision has changed, WrongStatus where the item is signed.
        """
        self._check_writable()
        data, digest = mask_png.mask_png(mask), mask_png.fingerprint(mask)
        with self.ledger.change() as connection:
            row = self._current(connection, identity, expected)
            revision = row["revision"] + 1
            source = source_of(connection, row, digest, empty=not mask.any())
            # Before the commit: a failure leaves at worst an unused file, which the next save replaces.
            self._write_file(self.mask_path(identity, revision), data)
            at = now()
            connection.execute(
                "UPDATE items SET revision = ?, source = ?, lesions = ?, findings = ?, reader = ?,"
                " status = 'read', signed_at = NULL, updated_at = ? WHERE id = ?",
                (revision, source, len(lesions), json.dumps(list(lesions)), reader or None, at, identity),
            )
            add_log_entry(
                *(connection, identity, "mask", revision, at),
                reader=reader,
                tool=tool,
                source=source,
                model=row["model_hash"],
                lesions=len(lesions),
                seconds=seconds,
                mask=digest,
            )
            return item_of(row_of(connection, identity))

    def review(self, identity: str) -> Review | None:
        """The review of an item; None without one."""
        with self.ledger.read() as connection:
            row_of(connection, identity)
            return review_of(connection, identity)

    def save_review(self, identity: str, review: Review, *, expected: int) -> Review:
        """Save a review; every version stays in the log. Raises Stale and WrongStatus."""
        self._check_writable()
        with self.ledger.change() as connection:
            row = self._current(connection, identity, expected)
            at = now()
            former = review_of(connection, identity)
            version = 0 if former is None or former.version is None else former.version
            if review.version is not None and review.version != version:
                raise Stale(
                    f"the review was changed by another client: version {version}, not {review.version}",
                    where=identity,
                    remedy="Load the saved state, and save again",
                    current=_state(row) | {"version": version},
                )
            saved = review.model_copy(update={"version": version + 1})
            content = saved.model_dump_json()
            connection.execute(
                "INSERT INTO reviews (id, version, content, updated_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET version = excluded.version, content = excluded.content,"
                " updated_at = excluded.updated_at",
                (identity, version + 1, content, at),
            )
            connection.execute(
                "UPDATE items SET status = CASE status WHEN 'new' THEN 'read' ELSE status END,"
                " reader = coalesce(?, reader), updated_at = ? WHERE id = ?",
                (review.reader or None, at, identity),
            )
            add_log_entry(
                *(connection, identity, "review", row["revision"], at),
                reader=review.reader,
                model=row["model_hash"],
                seconds=review.seconds,
                content=json.loads(content),
            )
            return saved

    def sign(self, identity: str, reader: str, *, expected: int) -> Item:
        """Sign the current mask. Raises Stale, and WrongStatus where there is no mask."""
        self._check_writable()
        with self.ledger.change() as connection:
            row = self._current(connection, identity, expected)
            if row["revision"] == 0 and row["model_hash"] is None:
                raise WrongStatus(
                    "the item has no mask", where=identity, remedy="Wait for the model, or save one"
                )
            return self._set_status(connection, row, "signed", "signed", reader)

    def refer(self, identity: str, reader: str, comment: str = "", *, expected: int) -> Item:
        """Refer the item to another reader. Raises Stale and WrongStatus."""
        self._check_writable()
        with self.ledger.change() as connection:
            row = self._current(connection, identity, expected)
            return self._set_status(connection, row, "referred", "referred", reader, comment)

    def reopen(self, identity: str, reader: str, *, expected: int) -> Item:
        """Withdraw a signature or a referral. Raises Stale, and WrongStatus where there is neither."""
        self._check_writable()
        with self.ledger.change() as connection:
            row = self._current(connection, identity, expected, signed=True)
            if row["status"] not in ("signed", "referred"):
                raise WrongStatus(
                    f"its status is {row['status']}", where=identity, remedy="Continue: it is open"
                )
            return self._set_status(connection, row, "read", "reopened", reader)

    def history(self, identity: str) -> list[LogEntry]:
        """The log of an item, in order."""
        with self.ledger.read() as connection:
            row_of(connection, identity)
            rows = connection.execute("SELECT * FROM log WHERE id = ? ORDER BY entry", (identity,)).fetchall()
        return [entry_of(row) for row in rows]

    @staticmethod
    def _current(
        connection: sqlite3.Connection, identity: str, expected: int, *, signed: bool = False
    ) -> sqlite3.Row:
        """The row of an item at the expected revision, not signed unless `signed` allows it."""
        row = row_of(connection, identity)
        if row["revision"] != expected:
            raise Stale(
                f"the item was changed by another client: revision {row['revision']}, not {expected}",
                where=identity,
                remedy="Load the saved state, and save again",
                current=_state(row),
            )
        if row["status"] == "signed" and not signed:
            raise WrongStatus(
                f"the item is signed by {row['reader']}", where=identity, remedy="Reopen it first"
            )
        return row

    @staticmethod
    def _set_status(
        connection: sqlite3.Connection,
        row: sqlite3.Row,
        status: Status,
        action: Action,
        reader: str,
        comment: str = "",
    ) -> Item:
        at = now()
        connection.execute(
            "UPDATE items SET status = ?, reader = ?, signed_at = ?, updated_at = ? WHERE id = ?",
            (status, reader, at if status == "signed" else None, at, row["id"]),
        )
        add_log_entry(
            *(connection, row["id"], action, row["revision"], at),
            reader=reader,
            source=row["source"],
            model=row["model_hash"],
            lesions=row["lesions"],
            content={"comment": comment} if comment else None,
        )
        return item_of(row_of(connection, row["id"]))


def _state(row: sqlite3.Row) -> dict[str, Any]:
    """The current state, for the error of a stale change."""
    return {name: row[name] for name in ("revision", "reader", "updated_at")}
