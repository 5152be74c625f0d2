"""The journal of a results folder: a ledger of the images that are done, so that a run can be resumed.

An image is recorded when all its files are in place. A process that is killed loses at most the image that it
was recording. The tables and the report are made from the journal, one image at a time, so that memory does
not grow with the number of images.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from sonoseg._util.canonical_json import canonical_json
from sonoseg._util.documents import parse_json
from sonoseg._util.text import first_line
from sonoseg.errors import OutputError
from sonoseg.results.entries import ImageEntry, OutputFile, SourceObjects
from sonoseg.results.ledger import Ledger, LedgerSchema, require_same_run

JOURNAL = "journal.sqlite"
FORMER_JOURNAL = "journal.jsonl"
"""The journal's name in versions that wrote lines of JSON; it cannot be resumed."""

SCHEMA = LedgerSchema(
    name="journal of results",
    version=2,
    tables="""
CREATE TABLE run (fingerprint TEXT NOT NULL);
CREATE TABLE sessions (number INTEGER PRIMARY KEY, content TEXT NOT NULL);
CREATE TABLE images (name TEXT PRIMARY KEY, entry BLOB NOT NULL);
CREATE TABLE objects (file TEXT PRIMARY KEY, content TEXT NOT NULL);
""",
    remedy="use --overwrite, or another --out",
)


class Journal:
    """The record of one run, open for one process at a time.

    path: of the file. fingerprint: the settings that must be equal for results to belong together, by name.
    resume: continue with the journal at `path`, if there is one; else it is replaced.

    Raises OutputError where the file cannot be used, another process uses it, or the run to resume had
    another model or other settings; the message names them.
    """

    def __init__(self, path: Path, fingerprint: dict[str, Any], *, resume: bool = False) -> None:
        self.path = path
        # The files of the last images may be lost with the power, too; they are checked when resuming.
        self._ledger = Ledger(path, SCHEMA, exclusive=True, replace=not resume, durable=False)
        try:
            before = _fingerprint(self._ledger)
            if before is None:
                with self._ledger.change() as connection:
                    connection.execute("INSERT INTO run VALUES (?)", (canonical_json(fingerprint),))
            else:
                require_same_run(path.parent, before, json.loads(canonical_json(fingerprint)))
        except BaseException:
            self._ledger.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, so that another process may resume; the journal can still be read."""
        self._ledger.close()

    def require_present(self) -> None:
        """Raise OutputError where somebody removed the file, and so the results beside it."""
        self._ledger.require_present()

    def __contains__(self, name: object) -> bool:
        return self._value("SELECT 1 FROM images WHERE name = ?", name) is not None

    def __len__(self) -> int:
        return int(self._value("SELECT COUNT(*) FROM images"))

    def add(self, entry: ImageEntry) -> None:
        """Record an image whose files are in place, replacing an entry of its name. Raises OutputError."""
        self._change("INSERT OR REPLACE INTO images VALUES (?, ?)", entry.name, entry.to_json())

    def add_objects(self, objects: SourceObjects) -> None:
        """Record that the objects of a whole clip are in place. Raises OutputError."""
        self._change(
            "INSERT OR REPLACE INTO objects VALUES (?, ?)", objects.file, canonical_json(asdict(objects))
        )

    def add_session(self, session: dict[str, Any]) -> None:
        """Record one period of work: when it started, and the number of images. Raises OutputError."""
        self._change("INSERT INTO sessions (content) VALUES (?)", canonical_json(session))

    def remove(self, name: str) -> None:
        """Remove an image's entry: its results are to be made again. Raises OutputError."""
        self._change("DELETE FROM images WHERE name = ?", name)

    def get(self, name: str) -> ImageEntry:
        """Return the entry of that name. Raises KeyError."""
        entry = self._value("SELECT entry FROM images WHERE name = ?", name)
        if entry is None:
            raise KeyError(name)
        with _checked(self._ledger):
            return ImageEntry.from_json(entry)

    def entries(self, names: Iterable[str]) -> Iterator[ImageEntry]:
        """Read the entries of those names that are in the journal, in that order, one at a time."""
        for name in names:
            try:
                yield self.get(name)
            except KeyError:
                continue

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The periods of work, the first one first."""
        with self._ledger.read() as connection:
            rows = connection.execute("SELECT content FROM sessions ORDER BY number").fetchall()
        with _checked(self._ledger):
            return [dict(parse_json(content)) for (content,) in rows]

    @property
    def objects(self) -> dict[str, SourceObjects]:
        """The objects of whole clips, by the clip's file."""
        with self._ledger.read() as connection:
            rows = connection.execute("SELECT content FROM objects ORDER BY rowid").fetchall()
        with _checked(self._ledger):
            found = [parse_json(content) for (content,) in rows]
            return {
                one["file"]: SourceObjects(
                    one["file"],
                    {kind: OutputFile(**file) for kind, file in one["files"].items()},
                    tuple(one["faults"]),
                )
                for one in found
            }

    def _value(self, statement: str, *values: object) -> Any:
        with self._ledger.read() as connection:
            row = connection.execute(statement, values).fetchone()
        return None if row is None else row[0]

    def _change(self, statement: str, *values: object) -> None:
        with self._ledger.change() as connection:
            connection.execute(statement, values)


def recorded_fingerprint(path: Path) -> dict[str, Any]:
    """Read the settings that the run of a journal began with; empty where there is no usable journal."""
    try:
        with Ledger(path, SCHEMA, read_only=True) as ledger:
            return _fingerprint(ledger) or {}
    except OutputError:
        return {}


def _fingerprint(ledger: Ledger) -> dict[str, Any] | None:
    with ledger.read() as connection:
        row = connection.execute("SELECT fingerprint FROM run").fetchone()
    with _checked(ledger):
        return None if row is None else dict(parse_json(row[0]))


@contextmanager
def _checked(ledger: Ledger) -> Iterator[None]:
    """Raise OutputError where the block meets content that no Journal wrote."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ledger.damaged(first_line(error)) from error
