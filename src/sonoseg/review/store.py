"""The review store: items and their readings in one state folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg._util.documents import parse_json
from sonoseg.image.calibration import Origin, Spacing
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import measure, measure_mask
from sonoseg.results.tables import lesion_object
from sonoseg.review.item_store import ItemStore
from sonoseg.review.items import Item
from sonoseg.review.reading_store import ReadingStore
from sonoseg.review.store_rows import add_log_entry, checked, item_of, now, row_of


class Store(ItemStore, ReadingStore):
    """A state folder with its items and their readings; see StateFolder for the arguments."""

    def findings(self, identity: str, frame: Frame, mask: NDArray[np.bool_]) -> list[dict[str, Any]]:
        """Measure the lesions of a mask, as results.json has them.

        Probabilities and uncertainty are given for the model's own mask only.
        """
        threshold, probability = self.threshold(identity), None
        if threshold is not None and np.array_equal(mask, self.mask(identity, 0)):
            probability = self.probability(identity)
        if probability is None or threshold is None:
            found = measure_mask(frame, mask)
        else:
            segmentation = Segmentation(frame, probability, mask, mask, threshold, None, "", "")
            found = measure(segmentation)
        return [lesion_object(lesion) for lesion in found.lesions]

    def last_calibration(
        self, marks: Sequence[str], size: tuple[int, int]
    ) -> tuple[Spacing, dict[str, Any], str] | None:
        """Return the last calibration of an exam or a device: spacing, content of its log entry, reader.

        marks: of the exam and the device, as calibrations are logged with. size: height and width in pixels.
        """
        with checked(), self.ledger.read() as connection:
            row = connection.execute(
                "SELECT reader, content FROM log WHERE action = 'calibrated' AND"
                f" json_extract(content, '$.mark') IN ({', '.join('?' * len(marks))}) AND"
                " json_extract(content, '$.size') = json(?) ORDER BY entry DESC LIMIT 1",
                (*marks, json.dumps(size)),
            ).fetchone()
            if row is None:
                return None
            content = parse_json(row["content"])
            return Spacing(*content.pop("spacing")), content, row["reader"] or ""

    def set_spacing(
        self,
        identity: str,
        spacing: Spacing,
        origin: Origin,
        *,
        reader: str = "",
        content: Mapping[str, Any] | None = None,
    ) -> Item:
        """Set the pixel spacing of an item, and measure its current mask again.

        origin: one that `by_person` accepts. content: how it was measured, for the log.

        Raises WrongStatus where the item is signed, Stale where it changes meanwhile.
        """
        self._check_writable()
        before = self.item(identity)
        lesions = None
        if before.lesions is not None:
            frame = self.frame(identity, spacing=(spacing, origin))
            lesions = json.dumps(self.findings(identity, frame, self.mask(identity, before.revision)))
        with self.ledger.change() as connection:
            self._current(connection, identity, before.revision)
            at = now()
            connection.execute(
                "UPDATE items SET spacing_row = ?, spacing_column = ?, spacing_reason = NULL,"
                " spacing_origin = ?, findings = ?, updated_at = ? WHERE id = ?",
                (*spacing, origin, lesions, at, identity),
            )
            add_log_entry(
                *(connection, identity, "calibrated", before.revision, at),
                reader=reader,
                lesions=before.lesions,
                content={"spacing": list(spacing), "origin": origin, **(content or {})},
            )
            return item_of(row_of(connection, identity))
