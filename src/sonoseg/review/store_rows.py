"""Rows of the review state as models of the API, and new entries of the log."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sonoseg._util.documents import parse_json
from sonoseg._util.text import first_line
from sonoseg._util.timestamps import utc_now
from sonoseg.errors import OutputError, SonosegError
from sonoseg.review.http_errors import NotThere
from sonoseg.review.items import Action, Item, LogEntry, Source, Tool
from sonoseg.review.reading import Review


def row_of(connection: sqlite3.Connection, identity: str) -> sqlite3.Row:
    """The row of an item, with the types of an Item. Raises NotThere, and OutputError for other types."""
    row = connection.execute("SELECT * FROM items WHERE id = ?", (identity,)).fetchone()
    if row is None:
        raise NotThere("no such item", where=identity[:40], remedy="See the work list")
    assert isinstance(row, sqlite3.Row)
    item_of(row)
    if not isinstance(row["gates"], int):
        raise damaged("the number of attention gates is no integer")
    return row


def damaged(reason: str, where: Path | None = None) -> OutputError:
    """The error of a review state whose content is not what sonoseg writes."""
    return OutputError(
        f"the review state is damaged: {reason}",
        where=where,
        remedy="Restore a backup, or choose another folder with --state",
    )


@contextmanager
def checked() -> Iterator[None]:
    """Raise OutputError where the block meets content that sonoseg does not write."""
    try:
        yield
    except SonosegError:
        raise
    except Exception as error:  # image decoders raise any
        raise damaged(first_line(error)) from error


def unread(row: sqlite3.Row) -> bool:
    """Whether no reader has saved, signed or referred the item."""
    return row["revision"] == 0 and row["status"] in ("new", "read")


def item_of(row: sqlite3.Row) -> Item:
    """The item of a row."""
    names = set(Item.model_fields) - {"spacing", "warnings"}
    with checked():
        known = row["spacing_row"] is not None
        return Item.model_validate(
            {name: row[name] for name in names}
            | {"spacing": (row["spacing_row"], row["spacing_column"]) if known else None}
            | {"warnings": parse_json(row["warnings"])},
            strict=True,
        )


def entry_of(row: sqlite3.Row) -> LogEntry:
    """The log entry of a row."""
    names = set(LogEntry.model_fields) - {"comment"}
    with checked():
        content = {} if row["content"] is None else parse_json(row["content"])
        comment = content.get("comment") if row["action"] in ("referred", "review") else None
        return LogEntry.model_validate({name: row[name] for name in names} | {"comment": comment})


def review_of(connection: sqlite3.Connection, identity: str) -> Review | None:
    """The review of an item; None before there is one."""
    row = connection.execute("SELECT content FROM reviews WHERE id = ?", (identity,)).fetchone()
    with checked():
        return None if row is None else Review.model_validate(parse_json(row["content"]))


def source_of(connection: sqlite3.Connection, row: sqlite3.Row, digest: str, *, empty: bool) -> Source:
    """The source of a mask; see ReadingStore.save_mask."""
    same = connection.execute(
        "SELECT source FROM log WHERE id = ? AND mask_sha256 = ? AND source IS NOT NULL"
        " ORDER BY entry DESC LIMIT 1",
        (row["id"], digest),
    ).fetchone()
    source: Source
    if same is not None:
        source = same["source"]
    elif empty or row["source"] == "manual" or (row["revision"] == 0 and row["model_hash"] is None):
        source = "manual"
    else:
        source = "edited"
    return source


def add_log_entry(
    connection: sqlite3.Connection,
    identity: str,
    action: Action,
    revision: int,
    at: str,
    *,
    reader: str | None = None,
    tool: Tool | None = None,
    source: Source | None = None,
    model: str | None = None,
    lesions: int | None = None,
    seconds: float | None = None,
    mask: str | None = None,
    content: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry to the log, within the transaction of the change."""
    connection.execute(
        "INSERT INTO log (id, action, revision, at, reader, tool, source, model, lesions, seconds,"
        " mask_sha256, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(identity, action, revision, at, reader or None, tool, source, model, lesions, seconds, mask),
            None if content is None else json.dumps(dict(content)),
        ),
    )


def now() -> str:
    """The time now: UTC, ISO 8601, milliseconds."""
    return utc_now("milliseconds").replace("+00:00", "Z")
