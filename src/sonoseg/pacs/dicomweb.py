"""An archive over DICOMweb: QIDO-RS, WADO-RS, STOW-RS (PS3.18 chapter 10)."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from dicomweb_client.web import DICOMwebClient

from sonoseg._util.files import atomic_path
from sonoseg._util.text import first_line
from sonoseg.errors import InputError, PacsError, UsageError
from sonoseg.pacs.address import WebAddress
from sonoseg.pacs.client import Fetched, FetchOutcome, Query, QueryLevel, QueryMatch, Stored, StoreOutcome
from sonoseg.pacs.instance_header import Sendable, read_sendable
from sonoseg.pacs.query_levels import RETURNED, of_series, place, walk
from sonoseg.pacs.stow import refused_as_a_whole, told_per_instance
from sonoseg.pacs.web_session import WebSession

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_PAGE = 200
_BATCH_FILES = 32
_BATCH_BYTES = 64 << 20


class WebArchive:
    """An archive at a WebAddress. Raises UsageError where its secret or a TLS file is missing."""

    def __init__(self, address: WebAddress) -> None:
        self.address = address
        self._session = WebSession(address)
        try:
            self._client = DICOMwebClient(
                address.url.rstrip("/"),
                session=self._session,
                timeout=(address.connect_timeout, address.timeout),
                # In one piece: with pieces it would send no length, which proxies refuse.
                chunk_size=1 << 40,
            )
        except ValueError as error:
            raise UsageError(first_line(error), where=address.url) from error
        self._client.set_http_retry_params(retry=False)  # who sends decides whether to send again

    def echo(self) -> None:
        """A search for one study. Raises PacsError."""
        with self._asking("a search"):
            self._client.search_for_studies(limit=1)

    def find(self, query: Query) -> Iterator[QueryMatch]:
        """QIDO-RS, page by page. Raises PacsError."""
        yield from walk(query, self._ask)

    def _ask(self, level: QueryLevel, keys: dict[str, str]) -> Iterator[QueryMatch]:
        filters = dict(keys)
        names = ("study_instance_uid", "series_instance_uid")[: list(QueryLevel).index(level)]
        above: dict[str, Any] = {
            name: filters.pop(keyword)
            for name, keyword in zip(names, _UIDS, strict=False)
            if keyword in filters
        }
        search: Callable[..., list[dict[str, Any]]]
        if level is QueryLevel.STUDY:
            search = self._client.search_for_studies
        elif level is QueryLevel.SERIES:
            search = self._client.search_for_series
        else:
            search = self._client.search_for_instances
        offset, seen = 0, set[tuple[str | None, ...]]()
        while True:
            with self._asking("a search"):
                page = search(
                    **above, search_filters=filters, fields=list(RETURNED[level]), limit=_PAGE, offset=offset
                )
                answers = [_found(level, keys, item) for item in page]
            new = [found for found in answers if (found.study, found.series, found.instance) not in seen]
            yield from new
            # An archive may give shorter pages than asked, and one that knows no offset begins again.
            if not new:
                return
            seen |= {(found.study, found.series, found.instance) for found in new}
            offset += len(page)

    def fetch(self, query: Query, folder: Path) -> Iterator[Fetched]:
        """WADO-RS, one instance a request, in its own transfer syntax. Raises PacsError, OutputError."""
        found = list(self.find(query.model_copy(update={"level": QueryLevel.INSTANCE})))
        for missing, there in of_series(found, folder):
            yield from there
            for item in missing:
                yield self._fetch(item, folder)

    def _fetch(self, item: QueryMatch, folder: Path) -> Fetched:
        instance = item.instance or ""
        path = place(folder, instance)
        try:
            with self._asking("a retrieval"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # an answer that is not multipart is taken all the same
                values = self._client.retrieve_instance(
                    item.study, item.series or "", instance, media_types=(("application/dicom", "*"),)
                )
        except PacsError as error:
            if isinstance(error, _Unreachable):
                raise
            return Fetched(instance, FetchOutcome.FAILED, words=error.found)
        if str(values.get("SOPInstanceUID")) != instance:
            return Fetched(instance, FetchOutcome.FAILED, words="the archive sent another instance")
        with atomic_path(path) as temporary:
            values.save_as(temporary, enforce_file_format=True)
        return Fetched(instance, FetchOutcome.FETCHED, path)

    def store(self, files: Sequence[Path]) -> list[Stored]:
        """STOW-RS, some files a request; the archive's answer is read per instance."""
        outcomes: dict[int, Stored] = {}
        waiting: list[tuple[int, Sendable]] = []
        for index, path in enumerate(files):
            try:
                waiting.append((index, read_sendable(path)))
            except InputError as error:
                outcomes[index] = Stored(path, StoreOutcome.REFUSED, words=error.found)
        for batch in _batches(waiting):
            answers = self._store([item for _, item in batch])
            outcomes |= {index: answer for (index, _), answer in zip(batch, answers, strict=True)}
        return [outcomes[index] for index in range(len(files))]

    def _store(self, items: list[Sendable]) -> list[Stored]:
        from pydicom import dcmread

        try:
            answer = self._client.store_instances([dcmread(item.path) for item in items])
        except requests.HTTPError as error:
            refusal = _answer_of(error)
            told = told_per_instance(items, refusal)
            if told is None and len(items) > 1:
                # Refused as a whole, perhaps for one of them or for its size: each by itself.
                return [stored for item in items for stored in self._store([item])]
            return told or refused_as_a_whole(items, refusal)
        except (requests.RequestException, OSError) as error:
            words = _connection_words(error)
            return [Stored(i.path, StoreOutcome.UNREACHABLE, i.instance, words=words) for i in items]
        except Exception as error:  # of a file: a data set that cannot be encoded; or of an answer: no JSON
            if len(items) > 1:
                return [stored for item in items for stored in self._store([item])]
            words = f"cannot be sent, or the answer not read: {first_line(error)}"
            return [Stored(items[0].path, StoreOutcome.REFUSED, items[0].instance, words=words)]
        return told_per_instance(items, answer) or [
            Stored(item.path, StoreOutcome.STORED, item.instance) for item in items
        ]

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except requests.HTTPError as error:
            status = _answer_of(error).status_code
            remedy = "Look into the archive's log"
            if status in (401, 403):
                remedy = "Give user and password, or a token, that the archive lets in"
            elif status == 404:
                remedy = "Check the address: the root of the services, mostly .../dicom-web"
            raise PacsError(
                f"answers {what} with {status} {_phrase(status)}", where=str(self.address), remedy=remedy
            ) from error
        except requests.RequestException as error:
            # An answer that is no JSON is a RequestException too.
            if isinstance(error, ValueError) and not isinstance(error, requests.ConnectionError):
                raise self._odd(what, error) from error
            raise _Unreachable(
                f"cannot be reached: {_connection_words(error)}",
                where=str(self.address),
                remedy="Check address, that it runs, its certificate, and the firewall between",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._odd(what, error) from error

    def _odd(self, what: str, error: Exception) -> PacsError:
        return PacsError(
            f"answers {what} with something that is no DICOMweb: {first_line(error)}",
            where=str(self.address),
            remedy="Check the address: the root of the services, mostly .../dicom-web",
        )

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Unreachable(PacsError):
    """No answer at all, where others are answers with a failure."""


def _answer_of(error: requests.HTTPError) -> requests.Response:
    assert error.response is not None  # it is only raised for one
    return error.response


def _batches(waiting: Sequence[tuple[int, Sendable]]) -> Iterator[list[tuple[int, Sendable]]]:
    batch: list[tuple[int, Sendable]] = []
    size = 0
    for pair in waiting:
        if batch and (len(batch) == _BATCH_FILES or size + pair[1].size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(pair)
        size += pair[1].size
    if batch:
        yield batch


def _found(level: QueryLevel, keys: dict[str, str], item: dict[str, Any]) -> QueryMatch:
    from pydicom.datadict import tag_for_keyword

    def text(keyword: str) -> str:
        entry = item.get(f"{tag_for_keyword(keyword):08X}")
        values = entry.get("Value") if isinstance(entry, dict) else None
        return "\\".join(str(v) for v in values if v is not None) if isinstance(values, list) else ""

    uids = [text(keyword) or keys.get(keyword) for keyword in _UIDS[: list(QueryLevel).index(level) + 1]]
    uids += [None] * (3 - len(uids))
    values = {keyword: text(keyword) for keyword in RETURNED[level]}
    return QueryMatch(
        level, uids[0] or "", uids[1], uids[2], {key: value for key, value in values.items() if value}
    )


def _connection_words(error: Exception) -> str:
    """The reason within what requests and urllib3 wrap around it, without the address and its query."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.TooManyRedirects):
        return "it redirects to another address; give that one"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {inner.verify_message}"
        if isinstance(inner, OSError) and inner.strerror and not isinstance(inner, requests.RequestException):
            return inner.strerror
        reason = getattr(inner.args[0], "reason", None) if inner.args else None
        inner = reason if isinstance(reason, BaseException) else inner.__cause__ or inner.__context__
    return "the connection failed or broke"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
