"""A folder of batch results: a manifest, a listing of the files, and one Parquet file per partition.

    results/manifest.json           the model, the options, the numbers of files and partitions
    results/listing.parquet         the files, sorted; one row group per partition
    results/partitions/000000.parquet

A partition's file is written atomically and carries the manifest's identity, so it is its own record of being
done: there is no second record to disagree with it, and none that needs the locks and shared memory of
SQLite, which network file systems do not provide.
"""

from __future__ import annotations

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
from sonoseg._util.canonical_json import canonical_json, json_sha256
from sonoseg._util.documents import parse_json
from sonoseg._util.files import atomic_path, atomic_write_text, remove_leftovers, sha256_file
from sonoseg._util.text import first_line
from sonoseg.batch.row_reading import ListedFile
from sonoseg.batch.rows import KEY, RESULT, counts
from sonoseg.errors import InputError, OutputError, UsageError
from sonoseg.results.ledger import require_same_run

FORMAT = "sonoseg-batch/2"
MANIFEST, LISTING, PARTITIONS = "manifest.json", "listing.parquet", "partitions"

_METADATA = b"sonoseg"
_NAMES = pa.schema([("file", pa.binary())])


@dataclass(frozen=True)
class Manifest:
    """What a folder of results holds.

    fingerprint: model and options that all rows share, by name. paths: as given, absolute. base: the folder
    of relative names in the listing. listing: the SHA-256 of the listing's file. files: their number.
    partition: files per partition.
    """

    fingerprint: dict[str, Any]
    paths: list[str]
    base: str
    listing: str
    files: int
    partition: int

    @property
    def partitions(self) -> int:
        """The number of partitions."""
        return -(-self.files // self.partition)

    @property
    def identity(self) -> str:
        """The SHA-256 of all that a partition's rows depend on."""
        return json_sha256(
            {"fingerprint": self.fingerprint, "listing": self.listing, "partition": self.partition}
        )

    def to_json(self) -> str:
        """Return the text of manifest.json."""
        value = {
            "format": FORMAT,
            "notice": RESEARCH_ONLY,
            "sonoseg": __version__,
            "identity": self.identity,
            "files": self.files,
            "partition": self.partition,
            "partitions": self.partitions,
            "listing": self.listing,
            "paths": self.paths,
            "base": self.base,
            "fingerprint": self.fingerprint,
        }
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a folder's manifest. Raises InputError where it is missing, damaged or of another format."""
        path = folder / MANIFEST
        try:
            value = parse_json(path.read_text("utf-8"))
            if value["format"] != FORMAT:
                raise ValueError(f"its format is {value['format']}, where {FORMAT} is needed")
            made = cls(**{name: value[name] for name in cls.__dataclass_fields__})
            if made.identity != value["identity"]:
                raise ValueError("its identity does not match its content")
        except FileNotFoundError as error:
            raise InputError(
                "no batch results here", where=folder, remedy="Give the folder named by --out"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"this manifest cannot be used ({first_line(error)})",
                where=path,
                remedy="Use --overwrite, or choose another folder",
            ) from error
        return made


class Partitions:
    """The partitions of one folder of results.

    Create it with `begin` or `resume`; then write each partition of `todo`.
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
        paths: Sequence[str],
        partition: int,
        overwrite: bool = False,
    ) -> Partitions:
        """Write the listing and the manifest. `names` is consumed once, a partition at a time.

        Raises OutputError where results exist and `overwrite` is not set, or the folder cannot be written;
        UsageError for a partition below 1; and whatever `names` raises, before anything is written.
        """
        if partition < 1:
            raise UsageError(f"partitions of {partition} files", remedy="Give --partition 1 or more")
        if not overwrite:
            cls.check_unused(folder)
        remaining = iter(names)
        first = list(islice(remaining, partition))  # an empty listing must not delete former results
        cls._clear(folder)
        files = _write_listing(folder / LISTING, first, remaining, partition)
        manifest = Manifest(
            fingerprint=json.loads(canonical_json(fingerprint)),
            paths=list(paths),
            base=str(Path.cwd()),
            listing=sha256_file(folder / LISTING),
            files=files,
            partition=partition,
        )
        atomic_write_text(folder / MANIFEST, manifest.to_json())
        return cls(folder, manifest)

    @staticmethod
    def check_unused(folder: Path) -> None:
        """Raise OutputError where a folder has results."""
        existing = [name for name in (MANIFEST, LISTING, PARTITIONS) if (folder / name).exists()]
        if existing:
            raise OutputError(
                f"the folder has results already ({', '.join(existing)})",
                where=folder,
                remedy="Continue with --resume, replace them with --overwrite, or choose another --out",
            )

    @classmethod
    def resume(
        cls, folder: Path, fingerprint: Mapping[str, Any], *, paths: Sequence[str], partition: int | None
    ) -> Partitions:
        """Continue an interrupted run with its own listing.

        partition: None where not given. Raises OutputError where model, options, paths or the listing differ
        from those that the run began with; InputError as `Manifest.read`.
        """
        manifest = Manifest.read(folder)
        then = {**manifest.fingerprint, "paths": manifest.paths, "partition": manifest.partition}
        now = {**fingerprint, "paths": list(paths), "partition": partition or manifest.partition}
        require_same_run(folder, then, json.loads(canonical_json(now)))
        try:
            whole = sha256_file(folder / LISTING) == manifest.listing
        except OSError:
            whole = False
        if not whole:
            raise OutputError(
                "cannot resume: the listing was changed or removed",
                where=folder / LISTING,
                remedy="Use --overwrite, or another --out",
            )
        remove_leftovers(folder / PARTITIONS)
        return cls(folder, manifest)

    def path(self, number: int) -> Path:
        """Return the path of a partition's file."""
        return self.folder / PARTITIONS / f"{number:06}.parquet"

    def span(self, number: int) -> range:
        """Return the numbers of a partition's files in the listing."""
        start = number * self.manifest.partition
        return range(start, min(start + self.manifest.partition, self.manifest.files))

    def todo(self) -> list[int]:
        """Return the partitions that are not done, in order."""
        return [number for number in range(self.manifest.partitions) if self.done(number) is None]

    def done(self, number: int) -> dict[str, int] | None:
        """Return the counts of frames, errors and lesions of a partition; None where it is not done."""
        try:
            metadata = pq.read_metadata(self.path(number)).metadata or {}
            value = parse_json(metadata[_METADATA])
            if value["identity"] != self.manifest.identity or value["partition"] != number:
                return None
            return {name: int(value[name]) for name in ("frames", "errors", "lesions")}
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, OverflowError):
            return None

    def write(self, number: int, rows: pa.Table) -> dict[str, int]:
        """Write a partition's FINISHED rows, in any order; returns its counts. Raises OutputError."""
        ordered = rows.sort_by([("number", "ascending"), ("position", "ascending")]).drop_columns(KEY.names)
        found = counts(ordered)
        metadata = {
            "format": FORMAT,
            "notice": RESEARCH_ONLY,
            "identity": self.manifest.identity,
            "partition": number,
            **found,
        }
        with atomic_path(self.path(number)) as path:
            pq.write_table(
                ordered.cast(RESULT).replace_schema_metadata({_METADATA: canonical_json(metadata)}),
                path,
                compression="zstd",
            )
        return found

    def errors(self, most: int) -> list[tuple[str, str]]:
        """Return the first `most` files with an error in one of their rows, and the error."""
        found: list[tuple[str, str]] = []
        for number in range(self.manifest.partitions):
            done = self.done(number)
            if done is not None and done["errors"]:
                rows = pq.read_table(self.path(number), columns=["file", "error"])
                found += [(row["file"], row["error"]) for row in rows.to_pylist() if row["error"] is not None]
            if len(found) >= most:
                break
        return found[:most]

    @staticmethod
    def _clear(folder: Path) -> None:
        """Remove former results, the manifest first: without it the rest is void."""
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
    """The names of a listing, by number. Holds one partition at a time."""

    def __init__(self, path: Path, partition: int) -> None:
        self._file = pq.ParquetFile(path)
        self._partition = partition
        self._held: tuple[int, list[str]] = (-1, [])

    def files(self, span: range) -> list[ListedFile]:
        """Return the files with these numbers, which must be of one partition."""
        number = span.start // self._partition
        if self._held[0] != number:
            names = self._file.read_row_group(number).column("file").to_pylist()
            self._held = number, [os.fsdecode(name) for name in names]
        start = number * self._partition
        return [ListedFile(number, self._held[1][number - start]) for number in span]


def _write_listing(path: Path, first: list[str], remaining: Iterator[str], partition: int) -> int:
    """Write names, `partition` of them per row group; returns their number."""
    count = 0
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, _NAMES, compression="zstd") as writer:
        names = first
        while names:
            # File names need not be valid UTF-8.
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
    """Read all rows that are done, in the order of the listing; `to_pandas()` makes a DataFrame of them.

    folder: of the results. columns: only these. For more rows than fit in memory, open its sub-folder
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
                remedy="Remove it, and continue with --resume",
            ) from error
        tables.append(rows.replace_schema_metadata(None))
    return pa.concat_tables(tables)
