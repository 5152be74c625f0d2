"""Rows gathered as they come, in any order and perhaps twice, until a partition has all of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from sonoseg.batch.rows import DONE

_WANTED = ("number", "place", "places")


@dataclass
class _Open:
    """A partition whose rows are not all there. missing: of each file the places to come; None: all."""

    missing: dict[int, set[int] | None]
    tables: list[pa.Table] = field(default_factory=list)


class Gather:
    """Keeps the rows of partitions that are not complete.

    spans: of the partitions to gather, the numbers of their files. size: files a partition; the last may have
    fewer.
    """

    def __init__(self, spans: Mapping[int, range], size: int) -> None:
        self._spans = dict(spans)
        self._size = size
        self._at = {span.start: number for number, span in spans.items()}
        self._open: dict[int, _Open] = {}

    def add(self, rows: pa.Table) -> tuple[list[tuple[int, pa.Table]], int]:
        """Take rows of DONE in; one that is there already is left out.

        Returns the partitions that are complete now, with all their rows, and how many files are complete by
        these rows. A partition that is complete is forgotten.
        """
        kept: dict[int, list[int]] = {}
        files = 0
        places = zip(*(rows.column(name).to_pylist() for name in _WANTED), strict=True)
        for row, (number, place, count) in enumerate(places):
            partition = self._partition(number)
            if partition is None:
                continue
            missing = self._missing(partition)
            left = missing.get(number, set())
            if left is None:
                left = missing[number] = set(range(count))
            if place not in left:
                continue
            left.remove(place)
            kept.setdefault(partition, []).append(row)
            if not left:
                del missing[number]
                files += 1
        for partition, chosen in kept.items():
            whole = len(chosen) == len(rows)
            self._open[partition].tables.append(rows if whole else rows.take(chosen))
        return [self._close(partition) for partition in kept if not self._open[partition].missing], files

    def missing(self) -> dict[int, set[int] | None]:
        """The files of which rows are missing: which places, or None where not one row came."""
        found: dict[int, set[int] | None] = {}
        for partition in self._spans:
            found |= self._missing(partition)
        return found

    def _partition(self, number: int) -> int | None:
        """The partition of a file; None where it is not gathered, or complete."""
        return self._at.get(number - number % self._size)

    def _missing(self, partition: int) -> dict[int, set[int] | None]:
        if partition not in self._open:
            self._open[partition] = _Open(dict.fromkeys(self._spans[partition]))
        return self._open[partition].missing

    def _close(self, partition: int) -> tuple[int, pa.Table]:
        span = self._spans.pop(partition)
        del self._at[span.start]
        return partition, pa.concat_tables([DONE.empty_table(), *self._open.pop(partition).tables])
