"""An archive (PACS), whichever way it is spoken to: is it there, what has it, fetch from it, store in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from pydantic import Field, model_validator

from sonoseg._util.validation import StrictModel
from sonoseg.pacs.address import ArchiveAddress, DimseAddress, PeerTls, WebAddress

__all__ = [
    "Archive",
    "ArchiveAddress",
    "DimseAddress",
    "FetchOutcome",
    "Fetched",
    "PeerTls",
    "Query",
    "QueryLevel",
    "QueryMatch",
    "StoreOutcome",
    "Stored",
    "WebAddress",
    "open_archive",
]

UID = r"^[0-9]+(\.[0-9]+)*$"


class QueryLevel(StrEnum):
    """What one answer of a query is (PS3.4 C.6.2, Study Root)."""

    STUDY = "study"
    SERIES = "series"
    INSTANCE = "instance"


class Query(StrictModel):
    """What to look for; a field that is None matches everything.

    patient, accession: may hold the wildcards * and ? (PS3.4 C.2.2.2.4).
    date: a study's date, YYYYMMDD or a range YYYYMMDD-YYYYMMDD with one side open at will (C.2.2.2.5).
    modality: e.g. US. study, series, instance: one UID each.
    limit: stop after so many answers.
    """

    level: QueryLevel = QueryLevel.STUDY
    patient: str | None = None
    accession: str | None = None
    date: str | None = Field(None, pattern=r"^([0-9]{8}|[0-9]{8}-([0-9]{8})?|-[0-9]{8})$")
    modality: str | None = Field(None, pattern=r"^[A-Z0-9_ ]{1,16}$")
    study: str | None = Field(None, pattern=UID, max_length=64)
    series: str | None = Field(None, pattern=UID, max_length=64)
    instance: str | None = Field(None, pattern=UID, max_length=64)
    limit: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _deep_enough(self) -> Query:
        if self.series is not None and self.level is QueryLevel.STUDY:
            raise ValueError("a series UID needs the level series or instance")
        if self.instance is not None and self.level is not QueryLevel.INSTANCE:
            raise ValueError("an instance UID needs the level instance")
        return self


@dataclass(frozen=True)
class QueryMatch:
    """One answer: a study, series or instance, without the patient's name, which is never asked for.

    values: further attributes by keyword, as text, e.g. {"StudyDate": "20240131"}; absent ones left out.
    """

    level: QueryLevel
    study: str
    series: str | None = None
    instance: str | None = None
    values: dict[str, str] = field(default_factory=dict)


class FetchOutcome(StrEnum):
    """What became of one instance that was to be fetched."""

    FETCHED = "fetched"
    THERE = "there"  # a file of that name was in the folder already and was left as it is
    FAILED = "failed"


@dataclass(frozen=True)
class Fetched:
    """What became of one instance. path: where it is; None where it failed. words: why it failed."""

    instance: str
    outcome: FetchOutcome
    path: Path | None = None
    words: str = ""


class StoreOutcome(StrEnum):
    """What became of one file that was to be stored."""

    STORED = "stored"
    REFUSED = "refused"  # the archive answered, and not with success; or the file cannot be sent at all
    UNREACHABLE = "unreachable"  # no answer: whether the archive has it is not known; send it again


@dataclass(frozen=True)
class Stored:
    """What became of one file.

    status: of the C-STORE response (PS3.4 table B.2-1), or the failure reason of STOW (PS3.18 table I.2-2),
        or the HTTP status; None where there was no answer.
    words: why, in words; for a stored file what the archive changed, mostly nothing.
    """

    path: Path
    outcome: StoreOutcome
    instance: str | None = None
    status: int | None = None
    words: str = ""

    @property
    def stored(self) -> bool:
        """Whether the archive has it now."""
        return self.outcome is StoreOutcome.STORED


class Archive(Protocol):
    """An archive. Methods raise PacsError where it cannot be reached or does not take part at all.

    Use it as a context manager, or call close(). It is not for several threads at once: open one each.
    """

    def echo(self) -> None:
        """Is it there, does it let us in? C-ECHO; QIDO-RS for one study. Raises PacsError."""

    def find(self, query: Query) -> Iterator[QueryMatch]:
        """The studies, series or instances that match. C-FIND; QIDO-RS. Raises PacsError."""

    def fetch(self, query: Query, folder: Path) -> Iterator[Fetched]:
        """Every instance below what matches, as `folder`/<SOP Instance UID>.dcm, written whole or not at all.

        A file that is there is left as it is, and its instance is not asked for again: a fetch that broke off
        goes on where it was. C-GET or C-MOVE; WADO-RS. Raises PacsError, OutputError.
        """

    def store(self, files: Sequence[Path]) -> list[Stored]:
        """Send files as they are, each in its own transfer syntax; one outcome a file, in their order.

        Never raises for a file or for an archive that is away: the outcomes say so. C-STORE; STOW-RS.
        """

    def close(self) -> None:
        """End the connection."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_archive(address: DimseAddress | WebAddress) -> Archive:
    """The archive at an address; nothing is sent yet. Raises UsageError where a secret or file is missing."""
    if isinstance(address, DimseAddress):
        from sonoseg.pacs.dimse import DimseArchive

        return DimseArchive(address)
    from sonoseg.pacs.dicomweb import WebArchive

    return WebArchive(address)
