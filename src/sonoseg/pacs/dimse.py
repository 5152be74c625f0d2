"""A PACS over DIMSE: C-ECHO, C-FIND, C-GET or C-MOVE, C-STORE (PS3.4 annexes A, B, C; PS3.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sonoseg._util.text import first_line
from sonoseg.errors import PacsError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.archive import Archive, Fetched, Stored, missing_by_series
from sonoseg.pacs.association import FIND, VERIFICATION, associate
from sonoseg.pacs.dimse_retrieve import get, move
from sonoseg.pacs.dimse_store import store
from sonoseg.pacs.query import RETURNED, UIDS, Query, QueryLevel, QueryMatch, search_levels
from sonoseg.pacs.status_codes import PENDING, SUCCESS, status_text

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association

_LEVELS = {QueryLevel.STUDY: "STUDY", QueryLevel.SERIES: "SERIES", QueryLevel.INSTANCE: "IMAGE"}


class DimseArchive(Archive):
    """A client for a DimseAddress; each method opens an association of its own."""

    def __init__(self, address: DimseAddress) -> None:
        self.address = address

    def echo(self) -> None:
        """C-ECHO. Raises PacsError."""
        from pynetdicom import build_context

        with associate(self.address, [build_context(VERIFICATION)]) as association:
            status = association.send_c_echo()
        if status.get("Status") != SUCCESS:
            raise _failed(self.address, "C-ECHO", status)

    def find(self, query: Query) -> Iterator[QueryMatch]:
        """C-FIND in the Study Root model. Raises PacsError."""
        from pynetdicom import build_context

        with associate(self.address, [build_context(FIND)]) as association:
            finished, count = False, 0
            try:
                for match in search_levels(query, lambda level, keys: self._search(association, level, keys)):
                    count += 1
                    yield match
                finished = query.limit is None or count < query.limit
            finally:
                # Unread responses would be taken for those of the next request.
                if not finished:
                    association.abort()

    def _search(
        self, association: Association, level: QueryLevel, keys: dict[str, str]
    ) -> Iterator[QueryMatch]:
        if not association.is_established:
            raise PacsError("association ended between two requests", where=str(self.address))
        try:
            for status, values in association.send_c_find(_identifier(level, keys), FIND):
                if status.get("Status") in PENDING:
                    if values is not None:
                        yield QueryMatch.of(level, keys, partial(_text, values))
                elif status.get("Status") != SUCCESS:
                    raise _failed(self.address, "C-FIND", status)
        except (ValueError, RuntimeError) as error:
            raise PacsError(f"C-FIND failed: {first_line(error)}", where=str(self.address)) from error

    def fetch(self, query: Query, folder: Path) -> Iterator[Fetched]:
        """C-GET or C-MOVE, series by series. Raises PacsError, OutputError, UsageError."""
        matches = list(self.find(query.model_copy(update={"level": QueryLevel.INSTANCE})))
        retrieve = get if self.address.retrieve == "get" else move
        for missing, existing in missing_by_series(matches, folder):
            yield from existing
            if missing:
                yield from retrieve(self.address, missing, folder)

    def store(self, files: Sequence[Path]) -> list[Stored]:
        """C-STORE, each file in its own transfer syntax if the archive accepts it."""
        return store(self.address, files)


def _identifier(level: QueryLevel, keys: dict[str, str]) -> Dataset:
    from pydicom import Dataset

    identifier = Dataset()
    identifier.QueryRetrieveLevel = _LEVELS[level]
    if not all(value.isascii() for value in keys.values()):
        identifier.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (*UIDS[: level.depth + 1], *RETURNED[level]):
        setattr(identifier, keyword, None if keyword in ("Rows", "Columns") else "")
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _text(values: Dataset, keyword: str) -> str:
    try:
        value = values.get(keyword)
    except Exception:  # one invalid attribute of a peer's response must not lose the response
        return ""
    if value is None:
        return ""
    multiple = hasattr(value, "__iter__") and not isinstance(value, str)
    return "\\".join(map(str, value)) if multiple else str(value)


def _failed(address: DimseAddress, service: str, status: Dataset) -> PacsError:
    code = status.get("Status")
    if code is None:
        return PacsError(
            f"no response to {service} within {address.timeout:g} s, or association ended",
            where=str(address),
            remedy="Look into the archive's log, or increase the timeout",
        )
    return PacsError(
        f"{service} failed with {code:04X}: {status_text(code, str(status.get('ErrorComment') or ''))}",
        where=str(address),
        remedy="Look into the archive's log",
    )
