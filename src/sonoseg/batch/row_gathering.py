"""Gathers rows that arrive in any order, perhaps twice, until a partition is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from sonoseg.batch.rows import FINISHED, KEY


@dataclass
class _Incomplete:
    """A partition with missing rows. missing: by file number the positions to come; None: all of them."""

    missing: dict[int, set[int] | None]
    tables: list[pa.Table] = field(default_factory=list)


class RowGatherer:
    """Holds the rows of incomplete partitions.

    spans: the file numbers of each partition to gather. size: files per partition; the last may have fewer.
    """

    def __init__(self, spans: Mapping[int, range], size: int) -> None:
        self._spans = dict(spans)
        self._size = size
        self._partitions = {span.start: number for number, span in spans.items()}
        self._incomplete: dict[int, _Incomplete] = {}

    def add(self, rows: pa.Table) -> tuple[list[tuple[int, pa.Table]], int]:
        """Add FINISHED rows; a row that is there already is left out.

        Returns the partitions that are complete now, with all their rows, and the number of files that these
        rows completed. A complete partition is dropped.
        """
        kept: dict[int, list[int]] = {}
        files = 0
        keys = zip(*(rows.column(name).to_pylist() for name in KEY.names), strict=True)
        for row, (number, position, count) in enumerate(keys):
            partition = self._partitions.get(number - number % self._size)
            if partition is None:  # not gathered, or complete
                continue
            missing = self._missing(partition)
            left = missing.get(number, set())
            if left is None:
                left = missing[number] = set(range(count))
            if position not in left:
                continue
            left.remove(position)
            kept.setdefault(partition, []).append(row)
            if not left:
                del missing[number]
                files += 1
        for partition, chosen in kept.items():
            whole = len(chosen) == len(rows)
            self._incomplete[partition].tables.append(rows if whole else rows.take(chosen))
        complete = [partition for partition in kept if not self._incomplete[partition].missing]
        return [self._close(partition) for partition in complete], files

    def missing(self) -> dict[int, set[int] | None]:
        """Return the files with missing rows: their positions, or None where no row came."""
        found: dict[int, set[int] | None] = {}
        for partition in self._spans:
            found |= self._missing(partition)
        return found

    def _missing(self, partition: int) -> dict[int, set[int] | None]:
        if partition not in self._incomplete:
            self._incomplete[partition] = _Incomplete(dict.fromkeys(self._spans[partition]))
        return self._incomplete[partition].missing

    def _close(self, partition: int) -> tuple[int, pa.Table]:
        span = self._spans.pop(partition)
        del self._partitions[span.start]
        return partition, pa.concat_tables([FINISHED.empty_table(), *self._incomplete.pop(partition).tables])
