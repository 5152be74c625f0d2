"""A folder of results: the manifest, the listing in partitions, and a Parquet file for each partition done.

    results/manifest.json           what the results are: model, options, how many files and partitions
    results/listing.parquet         the files, sorted; one row group a partition
    results/partitions/000000.parquet

A partition's file is written whole or not at all and carries the manifest's identity: what is there is done.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg._util.files import atomic_path, atomic_write_text, remove_leftovers, sha256_file
from sonoseg._util.text import first_line
from sonoseg.batch.row_reading import Numbered
from sonoseg.batch.rows import PLACE, RESULT, counts, plain
from sonoseg.errors import InputError, OutputError, UsageError

FORMAT = "sonoseg-archive/1"
MANIFEST, LISTING, PARTITIONS = "manifest.json", "listing.parquet", "partitions"

_KEY = b"sonoseg"
_NAMES = pa.schema([("file", pa.binary())])


@dataclass(frozen=True)
class Manifest:
    """What a folder of results is.

    fingerprint: what must be equal for results to belong together, one value a name. asked: the paths as they
    were given, absolute; base: what relative names of the listing start from. listing: the SHA-256 of the
    listing's file. files: how many it has. partition: files a partition.
    """

    fingerprint: dict[str, Any]
    asked: list[str]
    base: str
    listing: str
    files: int
    partition: int

    @property
    def partitions(self) -> int:
        """How many there are."""
        return -(-self.files // self.partition)

    @property
    def identity(self) -> str:
        """The SHA-256 of all that the rows of a partition depend on."""
        text = plain({"fingerprint": self.fingerprint, "listing": self.listing, "partition": self.partition})
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        """The text of manifest.json."""
        value = {
            "format": FORMAT,
            "notice": RESEARCH_ONLY,
            "sonoseg": __version__,
            "identity": self.identity,
            "files": self.files,
            "partition": self.partition,
            "partitions": self.partitions,
            "listing": self.listing,
            "asked": self.asked,
            "base": self.base,
            "fingerprint": self.fingerprint,
        }
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder of results. Raises InputError where there is none, or it is damaged."""
        path = folder / MANIFEST
        try:
            value = json.loads(path.read_text("utf-8"))
            if value["format"] != FORMAT:
                raise ValueError(value["format"])
            made = cls(**{name: value[name] for name in cls.__dataclass_fields__})
            if made.identity != value["identity"]:
                raise ValueError("its identity is another")
        except FileNotFoundError as error:
            raise InputError(
                "no results of the engine ray", where=folder, remedy="Give the folder that --out named"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"this manifest is damaged or of another kind ({first_line(error)})",
                where=path,
                remedy="Begin anew with --overwrite, or choose another folder",
            ) from error
        return made


class Partitions:
    """The partitions of one folder of results, to be written and read.

    Make it with `begin` or `resume`; then write each partition that `todo` names.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def begin(
        cls,
        folder: Path,
        names: Iterable[str],
        fingerprint: Mapping[str, Any],
        *,
        asked: Sequence[str],
        partition: int,
        overwrite: bool = False,
    ) -> Partitions:
        """Write the listing and the manifest. `names` is read once, and never held as a whole.

        Raises OutputError where results are there already and `overwrite` is not given, or nothing can be
        written; UsageError for a partition of no files; and whatever `names` raises, with nothing written.
        """
        if partition < 1:
            raise UsageError(f"partitions of {partition} files", remedy="Give --partition 1 or more")
        if not overwrite:
            cls.free(folder)
        remaining = iter(names)
        first = list(islice(remaining, partition))  # so that an empty listing leaves what is there
        cls._clear(folder)
        files = _write_listing(folder / LISTING, first, remaining, partition)
        manifest = Manifest(
            fingerprint=json.loads(plain(fingerprint)),
            asked=list(asked),
            base=str(Path.cwd()),
            listing=sha256_file(folder / LISTING),
            files=files,
            partition=partition,
        )
        atomic_write_text(folder / MANIFEST, manifest.to_json())
        return cls(folder, manifest)

    @staticmethod
    def free(folder: Path) -> None:
        """Raise OutputError where a folder has results already."""
        there = [name for name in (MANIFEST, LISTING, PARTITIONS) if (folder / name).exists()]
        if there:
            raise OutputError(
                f"results are there already ({', '.join(there)})",
                where=folder,
                remedy="Go on with --resume, replace them with --overwrite, or choose another --out",
            )

    @classmethod
    def resume(
        cls, folder: Path, fingerprint: Mapping[str, Any], *, asked: Sequence[str], partition: int | None
    ) -> Partitions:
        """Go on with what is there: the listing stays the one that the work began with.

        partition: as it was given, None where it was not. Raises OutputError where model, options or paths
        were others, or the listing is not the manifest's; InputError as `Manifest.read`.
        """
        manifest = Manifest.read(folder)
        then, now = manifest.fingerprint, json.loads(plain(fingerprint))
        differing = [
            f"{name} was {then.get(name)!r} and is {now.get(name)!r}"
            for name in sorted(then.keys() | now.keys())
            if then.get(name) != now.get(name)
        ]
        if manifest.asked != list(asked):
            differing.append("the paths were others")
        if partition not in (None, manifest.partition):
            differing.append(f"partition was {manifest.partition} and is {partition}")
        if differing:
            raise OutputError(
                f"these results were begun otherwise: {'; '.join(differing)}",
                where=folder,
                remedy="Go on with the same model, paths and options, or begin anew with --overwrite or "
                "another --out",
            )
        try:
            whole = sha256_file(folder / LISTING) == manifest.listing
        except OSError:
            whole = False
        if not whole:
            raise OutputError(
                "the listing is not the one that the work began with",
                where=folder / LISTING,
                remedy="Begin anew with --overwrite, or choose another --out",
            )
        remove_leftovers(folder / PARTITIONS)
        return cls(folder, manifest)

    def path(self, number: int) -> Path:
        """Where a partition's rows are, or will be."""
        return self.folder / PARTITIONS / f"{number:06}.parquet"

    def span(self, number: int) -> range:
        """The numbers of a partition's files in the listing."""
        start = number * self.manifest.partition
        return range(start, min(start + self.manifest.partition, self.manifest.files))

    def todo(self) -> list[int]:
        """The partitions that are not done, in order."""
        return [number for number in range(self.manifest.partitions) if self.done(number) is None]

    def done(self, number: int) -> dict[str, int] | None:
        """How many frames, errors and lesions a partition that is done has; None where it is not done."""
        try:
            told = pq.read_metadata(self.path(number)).metadata or {}
            value = json.loads(told[_KEY])
        except (OSError, pa.ArrowException, KeyError, ValueError):
            return None
        if value.get("identity") != self.manifest.identity or value.get("partition") != number:
            return None
        return {name: int(value[name]) for name in ("frames", "errors", "lesions")}

    def write(self, number: int, rows: pa.Table) -> dict[str, int]:
        """Write a partition's rows, of rows.DONE in any order; gives what `done` does. Raises OutputError."""
        ordered = rows.sort_by([("number", "ascending"), ("place", "ascending")]).drop_columns(PLACE.names)
        found = counts(ordered)
        about = {
            "format": FORMAT,
            "notice": RESEARCH_ONLY,
            "identity": self.manifest.identity,
            "partition": number,
            **found,
        }
        with atomic_path(self.path(number)) as path:
            pq.write_table(
                ordered.cast(RESULT).replace_schema_metadata({_KEY: plain(about)}), path, compression="zstd"
            )
        return found

    def errors(self, most: int) -> list[tuple[str, str]]:
        """Files with the reason why they, or a frame of theirs, gave nothing; the first so many."""
        found: list[tuple[str, str]] = []
        for number in range(self.manifest.partitions):
            told = self.done(number)
            if told is not None and told["errors"]:
                rows = pq.read_table(self.path(number), columns=["file", "error"])
                found += [(row["file"], row["error"]) for row in rows.to_pylist() if row["error"] is not None]
            if len(found) >= most:
                break
        return found[:most]

    @staticmethod
    def _clear(folder: Path) -> None:
        """Remove former results, the manifest first: without it nothing of them counts."""
        for name in (MANIFEST, LISTING):
            with suppress(FileNotFoundError):
                (folder / name).unlink()
        remove_leftovers(folder)
        remove_leftovers(folder / PARTITIONS)
        if (folder / PARTITIONS).is_dir():
            for path in (folder / PARTITIONS).iterdir():
                if re.fullmatch(r"\d{6,}\.parquet", path.name):
                    path.unlink()


class Listing:
    """The names of a listing's file, by their numbers. Holds one partition at a time."""

    def __init__(self, path: Path, partition: int) -> None:
        self._file = pq.ParquetFile(path)
        self._partition = partition
        self._held: tuple[int, list[str]] = (-1, [])

    def files(self, span: range) -> list[Numbered]:
        """The files with these numbers, which must be of one partition."""
        number = span.start // self._partition
        if self._held[0] != number:
            names = self._file.read_row_group(number).column("file").to_pylist()
            self._held = number, [os.fsdecode(name) for name in names]
        start = number * self._partition
        return [Numbered(place, self._held[1][place - start]) for place in span]


def _write_listing(path: Path, first: list[str], remaining: Iterator[str], partition: int) -> int:
    """Write names, a row group each `partition` of them; gives how many they were."""
    count = 0
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, _NAMES, compression="zstd") as writer:
        names = first
        while names:
            # What is no UTF-8 in a file's name stays as it is.
            writer.write_table(
                pa.table(
                    {"file": pa.array([os.fsencode(name) for name in names], pa.binary())}, schema=_NAMES
                ),
                row_group_size=partition,
            )
            count += len(names)
            names = list(islice(remaining, partition))
    return count


def read_results(folder: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows that are done, in the order of the listing; `to_pandas()` makes a DataFrame of them.

    folder: of the results. columns: only these. For more rows than memory holds, open its sub-folder
    "partitions" with pyarrow.dataset instead.

    Raises InputError where there are no results, or a partition's file is damaged.
    """
    folder = Path(folder)
    partitions = Partitions(folder, Manifest.read(folder))
    schema = RESULT if columns is None else pa.schema([RESULT.field(name) for name in columns])
    tables = [schema.empty_table()]
    for number in range(partitions.manifest.partitions):
        if partitions.done(number) is None:
            continue
        path = partitions.path(number)
        try:
            rows = pq.read_table(path, columns=None if columns is None else list(columns))
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"this partition is damaged ({first_line(error)})",
                where=path,
                remedy="Remove it, and go on with --resume",
            ) from error
        tables.append(rows.replace_schema_metadata(None))
    return pa.concat_tables(tables)
