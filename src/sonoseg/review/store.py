"""The state folder: the work list, every mask ever saved, the reviews, and the log of who did what.

    state.sqlite         items, reviews, and the log, which SQLite itself keeps from being changed
    originals/           the files as they came, named by their hash
    masks/ID/REVISION.png    0 is the model's own
    predictions/ID/      probability.png (16 bits), attention_1.png ... (8 bits)
    thumbnails/ID.png    may be deleted: they are made again

A mask is on the disk before the database names it, and the item, its status and the log change in one
transaction. So a process killed at any moment, or a full disk, leaves the state before the save or after it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import cannot_write
from sonoseg._util.locks import locked
from sonoseg.errors import OutputError
from sonoseg.image.calibration import Origin, Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inputs.frame_list import FrameRef, read
from sonoseg.review import durable_files as durable
from sonoseg.review import mask_png as images
from sonoseg.review.database import Database
from sonoseg.review.http_errors import Forbidden, Full, NotThere, Stale, WrongStatus
from sonoseg.review.items import (
    STATUSES,
    Action,
    Item,
    ItemList,
    LogEntry,
    Prediction,
    Sort,
    Status,
    Tool,
)
from sonoseg.review.reading import Review
from sonoseg.review.store_rows import entry_of, item_of, note, now, review_of, row_of, source_of, unread

DATABASE, LOCK = "state.sqlite", ".lock"


@dataclass(frozen=True)
class StoredImage:
    """A file that was looked at and may come in; `uploads.look` makes it.

    path: where it lies at. name: to show. sha256: of its bytes. spacing, reason: of the whole frame, or why
    there is none. origin: who says the spacing.
    """

    path: Path
    name: str
    sha256: str
    kind: str
    suffix: str
    frames: int
    height: int
    width: int
    spacing: Spacing | None
    reason: str
    origin: Origin


class Store:
    """A state folder, open. Any number of threads may use it at once.

    folder: made where it is not there. read_only: nothing is written, and Forbidden is raised for changes.
    exclusive: nobody else may have it open so: a server has, whoever only reads has not.
    wait: seconds that a change waits for a locked database.

    Methods raise NotThere for an unknown id, Busy where the database stays locked, Full where the disk is;
    after an error nothing was changed. Raises OutputError where the folder cannot be opened.
    """

    def __init__(
        self, folder: str | Path, *, read_only: bool = False, exclusive: bool = False, wait: float = 5.0
    ) -> None:
        self.folder = Path(folder)
        self.read_only = read_only
        with ExitStack() as opened:
            if read_only:
                if not (self.folder / DATABASE).is_file():
                    raise OutputError(
                        "no state of sonoseg", where=self.folder, remedy="Name the folder of a server's state"
                    )
            else:
                self._make_folder()
                if exclusive:
                    opened.enter_context(
                        locked(
                            self.folder / LOCK,
                            "another server works on this state",
                            "Stop it, or choose another folder with --state",
                        )
                    )
                    durable.tidy(self.folder)
            self._database = Database(self.folder / DATABASE, wait=wait, read_only=read_only)
            opened.callback(self._database.close)
            if exclusive and not read_only:
                self._recover()
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the database and let others in. Closing twice does no harm."""
        self._opened.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The work list

    def add(self, image: StoredImage) -> list[Item]:
        """Take a file in, an item a frame; a file that is there already gives the items it has.

        The file is moved from `image.path` into originals/, which must be on the same disk.
        """
        self._may_change()
        clip = image.sha256[:16]
        name = f"{clip}{image.suffix}"
        numbers = [None] if image.frames == 1 else range(image.frames)
        ids = [clip if number is None else f"{clip}-{number:05d}" for number in numbers]
        with self._database.change() as connection:
            there = connection.execute("SELECT 1 FROM items WHERE id = ?", (ids[0],)).fetchone()
            if not there:
                self._take(image.path, self.folder / "originals" / name)
                at = now()
                row, column = image.spacing or (None, None)
                for identity, number in zip(ids, numbers, strict=True):
                    connection.execute(
                        "INSERT INTO items (id, name, kind, clip, file, frame, frames, height, width,"
                        " spacing_row, spacing_column, spacing_reason, spacing_origin, prediction, added_at,"
                        " updated_at)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?)",
                        (
                            *(identity, image.name, image.kind, clip, name, number, image.frames),
                            *(image.height, image.width, row, column),
                            *(None if image.spacing else image.reason, image.origin, at, at),
                        ),
                    )
                    note(connection, identity, "added", 0, at, content={"file": image.name})
            rows = connection.execute("SELECT * FROM items WHERE clip = ? ORDER BY seq", (clip,)).fetchall()
        return [item_of(row) for row in rows]

    def items(
        self,
        *,
        status: Status | None = None,
        search: str = "",
        sort: Sort = "added",
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
    ) -> ItemList:
        """A part of the work list.

        search: what the name or the id holds, whatever its case. sort: items without a doubt come last.
        """
        where: list[str] = []
        values: list[str] = []
        if status is not None:
            where.append("status = ?")
            values.append(status)
        if search:
            text = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            where.append("(name LIKE ? ESCAPE '\\' OR id LIKE ? ESCAPE '\\')")
            values += [f"%{text}%"] * 2
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        way = "DESC" if descending else "ASC"
        order = {
            "doubt": f"doubt IS NULL, doubt {way}, seq",
            "name": f"name COLLATE NOCASE {way}, seq {way}",
            "added": f"seq {way}",
        }[sort]
        with self._database.look() as connection:
            total = connection.execute(f"SELECT count(*) FROM items{condition}", values).fetchone()[0]
            rows = connection.execute(
                f"SELECT * FROM items{condition} ORDER BY {order} LIMIT ? OFFSET ?",
                (*values, -1 if limit is None else limit, offset),
            ).fetchall()
            counts: dict[Status, int] = dict.fromkeys(STATUSES, 0)
            failed = 0
            for row in connection.execute(
                "SELECT status, count(*) AS n, sum(prediction = 'failed') AS bad FROM items GROUP BY status"
            ):
                counts[row["status"]] = row["n"]
                failed += row["bad"]
        return ItemList(items=[item_of(row) for row in rows], total=total, counts=counts, failed=failed)

    def item(self, identity: str) -> Item:
        """One item."""
        return item_of(self._row(identity))

    def path(self, identity: str) -> Path:
        """Its file in originals/."""
        return self.folder / "originals" / str(self._row(identity)["file"])

    def frame(self, identity: str) -> Frame:
        """Its image, read from its file and named as the item is, a clip's frame by its number too.

        Raises InputError where the file cannot be read any more.
        """
        row = self._row(identity)
        given = None
        if row["spacing_origin"] in ("given", "table") and row["spacing_row"] is not None:
            given = Spacing(row["spacing_row"], row["spacing_column"])
        ref = FrameRef(self.folder / "originals" / row["file"], row["frame"])
        frame = read(ref, spacing=given, origin=row["spacing_origin"] if given else "given")
        name = Path(row["name"]).stem or row["id"]
        return replace(frame, name=name if row["frame"] is None else f"{name}_f{row['frame']:04}")

    def thumbnail(self, identity: str) -> bytes:
        """A small PNG of its image; made on first use, and kept where we may."""
        path = self.folder / "thumbnails" / f"{self._row(identity)['id']}.png"
        if path.is_file():
            return path.read_bytes()
        made = images.thumbnail_png(self.frame(identity).pixels)
        if not self.read_only:
            with suppress(OutputError, Full):  # on a full disk it is made again
                durable.write(path, made)
        return made

    # Predictions

    def waiting(self, limit: int = 100) -> list[str]:
        """Items that wait for their prediction, in the order they came."""
        with self._database.look() as connection:
            rows = connection.execute(
                "SELECT id FROM items WHERE prediction = 'waiting' ORDER BY seq LIMIT ?", (limit,)
            ).fetchall()
        return [row["id"] for row in rows]

    def set_prediction(self, identity: str, state: Prediction, failure: str | None = None) -> Item:
        """Note how its prediction stands. failure: why there is none, for "failed"."""
        self._may_change()
        with self._database.change() as connection:
            row = row_of(connection, identity)
            at = now()
            connection.execute(
                "UPDATE items SET prediction = ?, failure = ?, updated_at = ? WHERE id = ?",
                (state, failure, at, identity),
            )
            if state == "failed":
                note(connection, identity, "failed", row["revision"], at, content={"failure": failure})
            return item_of(row_of(connection, identity))

    def save_prediction(
        self,
        identity: str,
        segmentation: Segmentation,
        lesions: Sequence[Mapping[str, Any]],
        *,
        model_hash: str,
    ) -> Item:
        """Keep what the model found. A mask that a reader saved meanwhile stays the current one.

        lesions: as results.json has them. Nothing changes where a reader saved, signed or referred already
        and the item has another model's result: what was read stays with what was shown.
        """
        self._may_change()
        with self._database.change() as connection:
            row = row_of(connection, identity)
            if row["model_hash"] is not None and not unread(row):
                if row["prediction"] != "done":
                    connection.execute("UPDATE items SET prediction = 'done' WHERE id = ?", (identity,))
                return item_of(row_of(connection, identity))
            folder = self.folder / "predictions" / identity
            durable.write(folder / "probability.png", images.probability_png(segmentation.probability))
            gates = segmentation.attention or {}
            for name, coefficients in gates.items():
                durable.write(folder / f"{name}.png", images.fraction_png(coefficients))
            durable.write(self._mask_path(identity, 0), images.mask_png(segmentation.mask))
            at = now()
            model = segmentation.model.removesuffix(f" ({model_hash})")
            connection.execute(
                "UPDATE items SET prediction = 'done', failure = NULL, doubt = ?, threshold = ?, gates = ?,"
                " model = ?, model_hash = ?, updated_at = ? WHERE id = ?",
                (
                    *(segmentation.uncertainty, segmentation.threshold, len(gates)),
                    *(model, model_hash, at, identity),
                ),
            )
            if row["revision"] == 0:
                connection.execute(
                    "UPDATE items SET lesions = ?, findings = ?, source = 'model' WHERE id = ?",
                    (len(lesions), json.dumps(list(lesions)), identity),
                )
            note(
                *(connection, identity, "predicted", row["revision"], at),
                model=model_hash,
                lesions=len(lesions),
                source="model",
                mask=images.fingerprint(segmentation.mask),
            )
            return item_of(row_of(connection, identity))

    def save_attention(self, identity: str, attention: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep the gates' coefficients, float (H, W) in 0..1 by the gate's name, of the item's prediction."""
        self._may_change()
        self._row(identity)
        folder = self.folder / "predictions" / identity
        for name, coefficients in attention.items():
            durable.write(folder / f"{name}.png", images.fraction_png(coefficients))
        with self._database.change() as connection:
            connection.execute("UPDATE items SET gates = ? WHERE id = ?", (len(attention), identity))

    def probability(self, identity: str) -> NDArray[np.float32] | None:
        """The model's probabilities, float32 (H, W), 0..1; None before there are some."""
        if self._row(identity)["model_hash"] is None:
            return None
        path = self.folder / "predictions" / identity / "probability.png"
        return images.fraction_of(path.read_bytes())

    def attention_png(self, identity: str, gate: int) -> bytes | None:
        """One gate's coefficients as a grey PNG of 8 bits, gates from 1; None where they are not kept."""
        if not 1 <= gate <= self._row(identity)["gates"]:
            return None
        return (self.folder / "predictions" / identity / f"attention_{gate}.png").read_bytes()

    def threshold(self, identity: str) -> float | None:
        """The threshold that the model's mask was made with; None before there is one."""
        value = self._row(identity)["threshold"]
        return None if value is None else float(value)

    # Masks

    def mask_png(self, identity: str, revision: int | None = None) -> bytes | None:
        """A mask as a grey PNG of 0 and 255: of that revision, by default the current one.

        None where the model has not found it yet. Raises NotThere for a revision that never was.
        """
        row = self._row(identity)
        wanted = row["revision"] if revision is None else revision
        if not 0 <= wanted <= row["revision"]:
            raise NotThere(
                f"there is no revision {wanted}; the last is {row['revision']}",
                where=identity,
                remedy="See the item's history",
            )
        if wanted == 0 and row["model_hash"] is None:
            return None
        return self._mask_path(identity, wanted).read_bytes()

    def mask(self, identity: str, revision: int | None = None) -> NDArray[np.bool_]:
        """The same as bool (H, W); without lesion where there is none yet."""
        data = self.mask_png(identity, revision)
        if data is None:
            row = self._row(identity)
            return np.zeros((row["height"], row["width"]), dtype=bool)
        return images.mask_of(data)

    def lesions(self, identity: str) -> list[dict[str, Any]]:
        """The lesions of the current mask, measured, as results.json has them."""
        text = self._row(identity)["findings"]
        return [] if text is None else list(json.loads(text))

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
        """Keep a reader's mask, bool (H, W), as the next revision.

        lesions: of this mask, as results.json has them. expected: the revision it was made from.
        Whose the mask is, is told by its pixels: those of an earlier revision are by whom that was; else it
        is edited, or manual where it goes back to an empty mask and not to the model's.

        Raises Stale where the revision has moved on, WrongStatus where the item is signed.
        """
        self._may_change()
        data, mark = images.mask_png(mask), images.fingerprint(mask)
        with self._database.change() as connection:
            row = self._current(connection, identity, expected)
            revision = row["revision"] + 1
            source = source_of(connection, row, mark, empty=not mask.any())
            # Before the commit: at worst a file that no revision names is left, until the next save.
            durable.write(self._mask_path(identity, revision), data)
            at = now()
            connection.execute(
                "UPDATE items SET revision = ?, source = ?, lesions = ?, findings = ?, reader = ?,"
                " status = 'read', signed_at = NULL, updated_at = ? WHERE id = ?",
                (revision, source, len(lesions), json.dumps(list(lesions)), reader or None, at, identity),
            )
            note(
                *(connection, identity, "mask", revision, at),
                reader=reader,
                tool=tool,
                source=source,
                model=row["model_hash"],
                lesions=len(lesions),
                seconds=seconds,
                mask=mark,
            )
            return item_of(row_of(connection, identity))

    # Reading

    def review(self, identity: str) -> Review | None:
        """What a reader said of it; None before anybody did."""
        with self._database.look() as connection:
            row_of(connection, identity)
            return review_of(connection, identity)

    def save_review(self, identity: str, review: Review, *, expected: int) -> Review:
        """Keep a reader's words; every version stays in the log. Raises Stale and WrongStatus."""
        self._may_change()
        with self._database.change() as connection:
            row = self._current(connection, identity, expected)
            at = now()
            former = review_of(connection, identity)
            version = 0 if former is None or former.version is None else former.version
            if review.version is not None and review.version != version:
                raise Stale(
                    f"the review was saved elsewhere meanwhile: version {version}, not {review.version}",
                    where=identity,
                    remedy="Take in what was saved, and save again",
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
            note(
                *(connection, identity, "review", row["revision"], at),
                reader=review.reader,
                model=row["model_hash"],
                seconds=review.seconds,
                content=json.loads(content),
            )
            return saved

    def sign(self, identity: str, reader: str, *, expected: int) -> Item:
        """A reader answers for the current mask. Raises Stale, and WrongStatus where there is none yet."""
        self._may_change()
        with self._database.change() as connection:
            row = self._current(connection, identity, expected)
            if row["revision"] == 0 and row["model_hash"] is None:
                raise WrongStatus(
                    "there is no mask yet", where=identity, remedy="Wait for the model's, or save one"
                )
            return self._set_status(connection, row, "signed", "signed", reader)

    def refer(self, identity: str, reader: str, comment: str = "", *, expected: int) -> Item:
        """A reader leaves it to another one. Raises Stale and WrongStatus."""
        self._may_change()
        with self._database.change() as connection:
            row = self._current(connection, identity, expected)
            return self._set_status(connection, row, "referred", "referred", reader, comment)

    def reopen(self, identity: str, reader: str, *, expected: int) -> Item:
        """Take a signature or a referral back. Raises Stale, and WrongStatus where there is neither."""
        self._may_change()
        with self._database.change() as connection:
            row = self._current(connection, identity, expected, signed=True)
            if row["status"] not in ("signed", "referred"):
                raise WrongStatus(
                    f"its status is {row['status']}", where=identity, remedy="Go on, it is open already"
                )
            return self._set_status(connection, row, "read", "reopened", reader)

    def history(self, identity: str) -> list[LogEntry]:
        """The log of one item, the first entry first."""
        with self._database.look() as connection:
            row_of(connection, identity)
            rows = connection.execute("SELECT * FROM log WHERE id = ? ORDER BY entry", (identity,)).fetchall()
        return [entry_of(row) for row in rows]

    # Inside

    def _row(self, identity: str) -> sqlite3.Row:
        with self._database.look() as connection:
            return row_of(connection, identity)

    @staticmethod
    def _current(
        connection: sqlite3.Connection, identity: str, expected: int, *, signed: bool = False
    ) -> sqlite3.Row:
        """The item's row, where it is still at the expected revision and, unless allowed, not signed."""
        row = row_of(connection, identity)
        if row["revision"] != expected:
            raise Stale(
                f"it was changed elsewhere meanwhile: revision {row['revision']}, not {expected}",
                where=identity,
                remedy="Take in what was saved, and save again",
                current=_state(row),
            )
        if row["status"] == "signed" and not signed:
            raise WrongStatus(
                f"it is signed by {row['reader']}", where=identity, remedy="Reopen it, then change it"
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
        note(
            *(connection, row["id"], action, row["revision"], at),
            reader=reader,
            source=row["source"],
            model=row["model_hash"],
            lesions=row["lesions"],
            content={"comment": comment} if comment else None,
        )
        return item_of(row_of(connection, row["id"]))

    def _mask_path(self, identity: str, revision: int) -> Path:
        return self.folder / "masks" / identity / f"{revision}.png"

    def _take(self, source: Path, target: Path) -> None:
        try:
            target.parent.mkdir(exist_ok=True)
            source.replace(target)
        except OSError as error:
            raise durable.refused(cannot_write(target, error)) from error
        durable.sync_folder(target.parent)

    def _may_change(self) -> None:
        if self.read_only:
            raise read_only()

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            foreign = not (self.folder / DATABASE).exists() and any(
                not path.name.startswith(".") for path in self.folder.iterdir()
            )
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        if foreign:
            raise OutputError(
                "this folder holds other files, and no state of sonoseg",
                where=self.folder,
                remedy="Name a new or empty folder with --state",
            )

    def _recover(self) -> None:
        """What was running when the server ended waits again."""
        with self._database.change() as connection:
            connection.execute("UPDATE items SET prediction = 'waiting' WHERE prediction = 'running'")


def read_only() -> Forbidden:
    """The refusal of a change where nothing may be changed."""
    return Forbidden("this server is read-only", remedy="Ask for one that is started without --read-only")


def _state(row: sqlite3.Row) -> dict[str, Any]:
    """What somebody is told who changes an item that has moved on."""
    return {name: row[name] for name in ("revision", "reader", "updated_at")}
