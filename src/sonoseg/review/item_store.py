"""Items of the work list: their files, frames and predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.files import cannot_write, make_private_folder, sync_folder
from sonoseg.errors import OutputError
from sonoseg.image.calibration import Origin, Spacing, by_person
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.inputs.frame_list import FrameRef, read
from sonoseg.lesions.measurement import Findings
from sonoseg.results.tables import lesion_object
from sonoseg.review import mask_png
from sonoseg.review.items import STATUSES, Item, ItemList, Prediction, Sort, Status
from sonoseg.review.state_folder import StateFolder
from sonoseg.review.store_rows import add_log_entry, checked, item_of, now, row_of, unread


@dataclass(frozen=True)
class StoredImage:
    """An inspected file, ready to be stored; made by `file_inspection.inspect`.

    path: of the file. name: for display. sha256: of its bytes. spacing: of the whole frame; reason: why it
    has none. origin: the source of the spacing.
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


class ItemStore(StateFolder):
    """The items of a state folder."""

    def add(self, image: StoredImage) -> list[Item]:
        """Add a file, one item per frame; a file that is present already gives its items.

        The file is moved from `image.path` into originals/, which must be on the same disk.
        """
        self._check_writable()
        clip = image.sha256[:16]
        name = f"{clip}{image.suffix}"
        numbers = [None] if image.frames == 1 else range(image.frames)
        ids = [clip if number is None else f"{clip}-{number:05d}" for number in numbers]
        with self.ledger.change() as connection:
            there = connection.execute("SELECT 1 FROM items WHERE id = ?", (ids[0],)).fetchone()
            if not there:
                self._move_in(image.path, self.folder / "originals" / name)
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
                    add_log_entry(connection, identity, "added", 0, at, content={"file": image.name})
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
        """A page of the work list.

        search: text in the name or the id, ignoring case. sort: items without an uncertainty come last.
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
            "uncertainty": f"uncertainty IS NULL, uncertainty {way}, seq",
            "name": f"name COLLATE NOCASE {way}, seq {way}",
            "added": f"seq {way}",
        }[sort]
        with self.ledger.read() as connection:
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
        """The file of an item, in originals/."""
        return self.folder / "originals" / str(self._row(identity)["file"])

    def frame(
        self,
        identity: str,
        *,
        spacing: tuple[Spacing, Origin] | None = None,
        keep_burned_in: bool = False,
    ) -> Frame:
        """Read the frame of an item; its name is that of the item, with the number of a clip's frame.

        spacing: with its origin, in place of the stored one. keep_burned_in: keep the pixels outside of the
            scan regions, which may show a name: never to be sent or stored.

        Raises InputError where the file can no longer be read.
        """
        row = self._row(identity)
        origin = row["spacing_origin"]
        given = None
        if spacing is not None:
            given, origin = spacing
        elif by_person(origin) and row["spacing_row"] is not None:
            given = Spacing(row["spacing_row"], row["spacing_column"])
        ref = FrameRef(self.folder / "originals" / row["file"], row["frame"])
        frame = read(
            ref,
            spacing=given,
            origin=origin if given else "given",
            keep_burned_in=keep_burned_in,
        )
        name = Path(row["name"]).stem or row["id"]
        return replace(frame, name=name if row["frame"] is None else f"{name}_f{row['frame']:04}")

    def thumbnail(self, identity: str) -> bytes:
        """The thumbnail of an item as PNG; made on first use and stored unless read-only."""
        path = self.folder / "thumbnails" / f"{self._row(identity)['id']}.png"
        if path.is_file():
            return self._read_file(path)
        made = mask_png.thumbnail_png(self.frame(identity).pixels)
        if not self.read_only:
            with suppress(OutputError):  # on a full disk it is made again next time
                self._write_file(path, made)
        return made

    def waiting(self, limit: int = 100) -> list[str]:
        """The ids of items that wait for their prediction, in order."""
        with self.ledger.read() as connection:
            rows = connection.execute(
                "SELECT id FROM items WHERE prediction = 'waiting' ORDER BY seq LIMIT ?", (limit,)
            ).fetchall()
        return [row["id"] for row in rows]

    def set_prediction(self, identity: str, state: Prediction, failure: str | None = None) -> Item:
        """Set the state of a prediction. failure: the reason, for "failed"."""
        self._check_writable()
        with self.ledger.change() as connection:
            row = row_of(connection, identity)
            at = now()
            connection.execute(
                "UPDATE items SET prediction = ?, failure = ?, updated_at = ? WHERE id = ?",
                (state, failure, at, identity),
            )
            if state == "failed":
                add_log_entry(
                    connection, identity, "failed", row["revision"], at, content={"failure": failure}
                )
            return item_of(row_of(connection, identity))

    def save_prediction(
        self,
        identity: str,
        segmentation: Segmentation,
        findings: Findings,
        *,
        model_hash: str,
    ) -> Item:
        """Store a prediction. A mask that a reader has saved meanwhile stays the current one.

        findings: its measurements. Nothing changes where a reader has saved, signed or referred the item
        with another model's prediction, so that a reading stays with the prediction it was based on.
        """
        self._check_writable()
        lesions = [lesion_object(lesion) for lesion in findings.lesions]
        with self.ledger.change() as connection:
            row = row_of(connection, identity)
            if row["model_hash"] is not None and not unread(row):
                if row["prediction"] != "done":
                    connection.execute("UPDATE items SET prediction = 'done' WHERE id = ?", (identity,))
                return item_of(row_of(connection, identity))
            folder = self.prediction_folder(identity)
            self._write_file(folder / "probability.png", mask_png.probability_png(segmentation.probability))
            gates = segmentation.attention or {}
            for name, coefficients in gates.items():
                self._write_file(folder / f"{name}.png", mask_png.fraction_png(coefficients))
            self._write_file(self.mask_path(identity, 0), mask_png.mask_png(segmentation.mask))
            at = now()
            model = segmentation.model.removesuffix(f" ({model_hash})")
            connection.execute(
                "UPDATE items SET prediction = 'done', failure = NULL, uncertainty = ?, threshold = ?,"
                " gates = ?, model = ?, model_hash = ?, settings_hash = ?, warnings = ?, updated_at = ?"
                " WHERE id = ?",
                (
                    *(segmentation.uncertainty, segmentation.threshold, len(gates)),
                    *(model, model_hash, segmentation.settings_hash),
                    *(json.dumps(findings.warnings), at, identity),
                ),
            )
            if row["revision"] == 0:
                connection.execute(
                    "UPDATE items SET lesions = ?, findings = ?, source = 'model' WHERE id = ?",
                    (len(lesions), json.dumps(lesions), identity),
                )
            add_log_entry(
                *(connection, identity, "predicted", row["revision"], at),
                model=model_hash,
                lesions=len(lesions),
                source="model",
                mask=mask_png.fingerprint(segmentation.mask),
            )
            return item_of(row_of(connection, identity))

    def save_attention(self, identity: str, attention: Mapping[str, NDArray[np.float32]]) -> None:
        """Store the attention coefficients of a prediction: float (H, W) in 0..1 by the gate's name."""
        self._check_writable()
        self._row(identity)
        folder = self.prediction_folder(identity)
        for name, coefficients in attention.items():
            self._write_file(folder / f"{name}.png", mask_png.fraction_png(coefficients))
        with self.ledger.change() as connection:
            connection.execute("UPDATE items SET gates = ? WHERE id = ?", (len(attention), identity))

    def probability(self, identity: str) -> NDArray[np.float32] | None:
        """The probabilities of the prediction, float32 (H, W), 0..1; None without one."""
        if self._row(identity)["model_hash"] is None:
            return None
        path = self.prediction_folder(identity) / "probability.png"
        with checked():
            return mask_png.fraction_of(self._read_file(path))

    def attention_png(self, identity: str, gate: int) -> bytes | None:
        """The coefficients of one gate as a grey PNG of 8 bits, gates from 1; None unless stored."""
        if not 1 <= gate <= self._row(identity)["gates"]:
            return None
        return self._read_file(self.prediction_folder(identity) / f"attention_{gate}.png")

    def threshold(self, identity: str) -> float | None:
        """The threshold of the model's mask; None without a prediction."""
        value = self._row(identity)["threshold"]
        return None if value is None else float(value)

    def _move_in(self, source: Path, target: Path) -> None:
        try:
            make_private_folder(target.parent)
            source.chmod(0o600)
            source.replace(target)
        except OSError as error:
            raise cannot_write(target, error) from error
        sync_folder(target.parent)
