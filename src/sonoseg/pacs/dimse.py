"""An archive over DIMSE: C-ECHO, C-FIND, C-GET or C-MOVE, C-STORE (PS3.4 annexes A, B, C; PS3.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sonoseg._util.text import first_line
from sonoseg.errors import PacsError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.association import FIND, VERIFICATION, associate
from sonoseg.pacs.client import Fetched, Query, QueryLevel, QueryMatch, Stored
from sonoseg.pacs.dimse_retrieve import get, move
from sonoseg.pacs.dimse_store import store
from sonoseg.pacs.query_levels import RETURNED, of_series, walk
from sonoseg.pacs.status_codes import SUCCESS, told

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association

_LEVELS = {QueryLevel.STUDY: "STUDY", QueryLevel.SERIES: "SERIES", QueryLevel.INSTANCE: "IMAGE"}
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_PENDING = (0xFF00, 0xFF01)


class DimseArchive:
    """An archive at a DimseAddress; each method opens an association of its own."""

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
                for found in walk(query, lambda level, keys: self._ask(association, level, keys)):
                    count += 1
                    yield found
                finished = query.limit is None or count < query.limit
            finally:
                # Answers that nobody reads any more would be taken for those of the next question.
                if not finished:
                    association.abort()

    def _ask(self, association: Association, level: QueryLevel, keys: dict[str, str]) -> Iterator[QueryMatch]:
        if not association.is_established:
            raise PacsError("ended the association between two questions", where=str(self.address))
        try:
            answers = association.send_c_find(_identifier(level, keys), FIND)
            for status, values in answers:
                if status.get("Status") in _PENDING:
                    if values is not None:
                        yield _found(level, keys, values)
                elif status.get("Status") != SUCCESS:
                    raise _failed(self.address, "C-FIND", status)
        except (ValueError, RuntimeError) as error:
            raise PacsError(f"C-FIND failed: {first_line(error)}", where=str(self.address)) from error

    def fetch(self, query: Query, folder: Path) -> Iterator[Fetched]:
        """C-GET or C-MOVE, series by series. Raises PacsError, OutputError, UsageError."""
        found = list(self.find(query.model_copy(update={"level": QueryLevel.INSTANCE})))
        retrieve = get if self.address.retrieve == "get" else move
        for missing, there in of_series(found, folder):
            yield from there
            if missing:
                yield from retrieve(self.address, missing, folder)

    def store(self, files: Sequence[Path]) -> list[Stored]:
        """C-STORE, each file as it is where the archive takes its transfer syntax."""
        return store(self.address, files)

    def close(self) -> None:
        """Nothing is open between two calls."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _identifier(level: QueryLevel, keys: dict[str, str]) -> Dataset:
    from pydicom import Dataset

    asked = Dataset()
    asked.QueryRetrieveLevel = _LEVELS[level]
    if not all(value.isascii() for value in keys.values()):
        asked.SpecificCharacterSet = "ISO_IR 192"
    for keyword in (*_UIDS[: list(QueryLevel).index(level) + 1], *RETURNED[level]):
        setattr(asked, keyword, "" if keyword not in ("Rows", "Columns") else None)
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    return asked


def _found(level: QueryLevel, keys: dict[str, str], values: Dataset) -> QueryMatch:
    uids = [str(values.get(keyword) or keys.get(keyword) or "") or None for keyword in _UIDS]
    return QueryMatch(
        level,
        uids[0] or "",
        uids[1],
        uids[2],
        {key: text for key in RETURNED[level] if (text := _text(values, key))},
    )


def _text(values: Dataset, keyword: str) -> str:
    try:
        value = values.get(keyword)
    except Exception:  # one odd attribute of a peer's answer is no reason to lose the answer
        return ""
    if value is None:
        return ""
    return (
        str(value) if isinstance(value, str) or not hasattr(value, "__iter__") else "\\".join(map(str, value))
    )


def _failed(address: DimseAddress, what: str, status: Dataset) -> PacsError:
    code = status.get("Status")
    if code is None:
        words = f"gives no answer to {what} within {address.timeout:g} s, or ends the association"
        return PacsError(words, where=str(address), remedy="Look into the archive's log, or wait longer")
    comment = str(status.get("ErrorComment") or "")
    return PacsError(
        f"answers {what} with {code:04X}: {told(code, comment)}",
        where=str(address),
        remedy="Look into the archive's log",
    )
