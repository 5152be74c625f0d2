"""The interface of a PACS client, and the outcomes of retrieving and storing instances."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Self

from sonoseg.errors import InputError
from sonoseg.pacs.instance_header import Sendable, read_sendable
from sonoseg.pacs.query import Query, QueryMatch


class FetchOutcome(StrEnum):
    """The outcome of retrieving one instance."""

    FETCHED = "fetched"
    EXISTS = "exists"  # a file of that name was in the folder and was left unchanged
    FAILED = "failed"


@dataclass(frozen=True)
class Fetched:
    """One retrieved instance. path: of its file; None if it failed. reason: why it failed."""

    instance: str
    outcome: FetchOutcome
    path: Path | None = None
    reason: str = ""


class StoreOutcome(StrEnum):
    """The outcome of storing one file."""

    STORED = "stored"
    REFUSED = "refused"  # the archive returned a failure, or the file cannot be sent
    UNREACHABLE = "unreachable"  # no response: the archive may or may not have it; send it again


@dataclass(frozen=True)
class Stored:
    """One file that was to be stored.

    status: of the C-STORE response (PS3.4 table B.2-1), or the failure reason of STOW-RS (PS3.18 table
        I.2-2), or the HTTP status; None without a response.
    reason: why it was not stored; for a stored file the warning, mostly none.
    """

    path: Path
    outcome: StoreOutcome
    instance: str | None = None
    status: int | None = None
    reason: str = ""

    @property
    def stored(self) -> bool:
        """Whether the archive has the instance."""
        return self.outcome is StoreOutcome.STORED


class Archive(ABC):
    """A client of one PACS. Use it as a context manager, or call `close`. Not thread-safe.

    Methods raise PacsError if the archive cannot be reached or rejects the connection.
    """

    @abstractmethod
    def echo(self) -> None:
        """Verify the connection: C-ECHO, or a QIDO-RS search for one study. Raises PacsError."""

    @abstractmethod
    def find(self, query: Query) -> Iterator[QueryMatch]:
        """Yield the matching studies, series or instances: C-FIND, or QIDO-RS. Raises PacsError."""

    @abstractmethod
    def fetch(self, query: Query, folder: Path) -> Iterator[Fetched]:
        """Retrieve every matching instance to `folder`/<SOP Instance UID>.dcm, written atomically.

        Existing files are left unchanged and not retrieved again, so an interrupted retrieval is resumed.
        C-GET or C-MOVE, or WADO-RS. Raises PacsError, OutputError.
        """

    @abstractmethod
    def store(self, files: Sequence[Path]) -> list[Stored]:
        """Send files unchanged, each in its own transfer syntax: C-STORE, or STOW-RS.

        Returns one outcome per file, in their order; never raises for a file or an unreachable archive.
        """

    def close(self) -> None:  # noqa: B027 - over DIMSE nothing stays open between two calls
        """Close the connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def instance_path(folder: Path, instance: str) -> Path:
    """Return the path of an instance's file."""
    return folder / f"{instance}.dcm"


def missing_by_series(
    matches: Iterable[QueryMatch], folder: Path
) -> Iterator[tuple[list[QueryMatch], list[Fetched]]]:
    """Split the instances of each series into those to retrieve and those whose file exists."""
    for _, group in groupby(matches, key=lambda match: (match.study, match.series)):
        missing: list[QueryMatch] = []
        existing: list[Fetched] = []
        for match in group:
            path = instance_path(folder, match.instance or "")
            if path.exists():
                existing.append(Fetched(match.instance or "", FetchOutcome.EXISTS, path))
            else:
                missing.append(match)
        yield missing, existing


def split_sendable(files: Sequence[Path]) -> tuple[list[tuple[int, Sendable]], dict[int, Stored]]:
    """Read the headers of files: those that can be sent, and the outcomes of the others, by index."""
    sendable: list[tuple[int, Sendable]] = []
    refused: dict[int, Stored] = {}
    for index, path in enumerate(files):
        try:
            sendable.append((index, read_sendable(path)))
        except InputError as error:
            refused[index] = Stored(path, StoreOutcome.REFUSED, reason=error.found)
    return sendable, refused
