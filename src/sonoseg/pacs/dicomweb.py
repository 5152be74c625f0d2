"""A PACS over DICOMweb: QIDO-RS, WADO-RS, STOW-RS (PS3.18 chapter 10)."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from dicomweb_client.web import DICOMwebClient

from sonoseg._util.files import atomic_path
from sonoseg._util.text import first_line
from sonoseg.errors import PacsError, UsageError
from sonoseg.pacs.address import WebAddress
from sonoseg.pacs.archive import (
    Archive,
    Fetched,
    FetchOutcome,
    Stored,
    StoreOutcome,
    instance_path,
    missing_by_series,
    split_sendable,
)
from sonoseg.pacs.instance_header import Sendable
from sonoseg.pacs.query import RETURNED, UIDS, Query, QueryLevel, QueryMatch, search_levels
from sonoseg.pacs.status_codes import DUPLICATE, status_text
from sonoseg.pacs.web_session import WebSession

if TYPE_CHECKING:
    from pydicom import Dataset

_PAGE = 200
_BATCH_FILES = 32
_BATCH_BYTES = 64 << 20

_TEMPORARY = (408, 425, 429, 502, 503, 504, 507)
"""HTTP status codes after which the same request may succeed later."""


class WebArchive(Archive):
    """A client for a WebAddress. Raises UsageError if its secret or a TLS file is missing."""

    def __init__(self, address: WebAddress) -> None:
        self.address = address
        self._session = WebSession(address)
        try:
            self._client = DICOMwebClient(
                address.url.rstrip("/"),
                session=self._session,
                timeout=(address.connect_timeout, address.timeout),
                # Not chunked: a chunked request has no Content-Length, which proxies refuse.
                chunk_size=1 << 40,
            )
        except ValueError as error:
            raise UsageError(first_line(error), where=address.url) from error
        self._client.set_http_retry_params(retry=False)  # the caller decides about retries

    def echo(self) -> None:
        """QIDO-RS search for one study. Raises PacsError."""
        with self._request("QIDO-RS"):
            self._client.search_for_studies(limit=1)

    def find(self, query: Query) -> Iterator[QueryMatch]:
        """QIDO-RS, page by page. Raises PacsError."""
        yield from search_levels(query, self._search)

    def _search(self, level: QueryLevel, keys: dict[str, str]) -> Iterator[QueryMatch]:
        filters = dict(keys)
        names = ("study_instance_uid", "series_instance_uid")[: level.depth]
        parents: dict[str, Any] = {
            name: filters.pop(keyword)
            for name, keyword in zip(names, UIDS, strict=False)
            if keyword in filters
        }
        searches: dict[QueryLevel, Callable[..., list[dict[str, Any]]]] = {
            QueryLevel.STUDY: self._client.search_for_studies,
            QueryLevel.SERIES: self._client.search_for_series,
            QueryLevel.INSTANCE: self._client.search_for_instances,
        }
        fields = list(RETURNED[level])
        offset, seen = 0, set[tuple[str | None, ...]]()
        while True:
            with self._request("QIDO-RS"):
                page = searches[level](
                    **parents, search_filters=filters, fields=fields, limit=_PAGE, offset=offset
                )
                matches = [_match(level, keys, item) for item in page]
            new = [match for match in matches if (match.study, match.series, match.instance) not in seen]
            yield from new
            # An archive may return shorter pages than requested, or ignore the offset and start again.
            if not new:
                return
            seen |= {(match.study, match.series, match.instance) for match in new}
            offset += len(page)

    def fetch(self, query: Query, folder: Path) -> Iterator[Fetched]:
        """WADO-RS, one instance per request, in its own transfer syntax. Raises PacsError, OutputError."""
        matches = list(self.find(query.model_copy(update={"level": QueryLevel.INSTANCE})))
        for missing, existing in missing_by_series(matches, folder):
            yield from existing
            for match in missing:
                yield self._fetch(match, folder)

    def _fetch(self, match: QueryMatch, folder: Path) -> Fetched:
        instance = match.instance or ""
        path = instance_path(folder, instance)
        try:
            with self._request("WADO-RS"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a response that is not multipart is accepted
                values = self._client.retrieve_instance(
                    match.study, match.series or "", instance, media_types=(("application/dicom", "*"),)
                )
        except PacsError as error:
            if isinstance(error, _Unreachable):
                raise
            return Fetched(instance, FetchOutcome.FAILED, reason=error.found)
        if str(values.get("SOPInstanceUID")) != instance:
            return Fetched(instance, FetchOutcome.FAILED, reason="the archive sent another instance")
        with atomic_path(path) as temporary:
            values.save_as(temporary, enforce_file_format=True)
        return Fetched(instance, FetchOutcome.FETCHED, path)

    def store(self, files: Sequence[Path]) -> list[Stored]:
        """STOW-RS, several files per request; the response is read per instance."""
        waiting, outcomes = split_sendable(files)
        for batch in _batches(waiting):
            stored = self._store([item for _, item in batch])
            outcomes |= {index: one for (index, _), one in zip(batch, stored, strict=True)}
        return [outcomes[index] for index in range(len(files))]

    def _store(self, items: list[Sendable]) -> list[Stored]:
        from pydicom import dcmread

        try:
            response = self._client.store_instances([dcmread(item.path) for item in items])
        except requests.HTTPError as error:
            failure = _response(error)
            outcomes = stow_outcomes(items, failure)
            if outcomes is None and len(items) > 1:
                # Refused as a whole, perhaps for one of them or for its size: send each by itself.
                return [stored for item in items for stored in self._store([item])]
            return outcomes or refused_outcomes(items, failure)
        except (requests.RequestException, OSError) as error:
            reason = _connection_failure(error)
            return [Stored(i.path, StoreOutcome.UNREACHABLE, i.instance, reason=reason) for i in items]
        except Exception as error:  # a data set that cannot be encoded, or a response that is not JSON
            if len(items) > 1:
                return [stored for item in items for stored in self._store([item])]
            reason = f"cannot be sent, or invalid response: {first_line(error)}"
            return [Stored(items[0].path, StoreOutcome.REFUSED, items[0].instance, reason=reason)]
        return stow_outcomes(items, response) or [
            Stored(item.path, StoreOutcome.STORED, item.instance) for item in items
        ]

    @contextmanager
    def _request(self, service: str) -> Iterator[None]:
        try:
            yield
        except requests.HTTPError as error:
            status = _response(error).status_code
            remedy = "Look into the archive's log"
            if status in (401, 403):
                remedy = "Give a user and password, or a token, that the archive accepts"
            elif status == 404:
                remedy = "Check the address: the root of the services, often .../dicom-web"
            raise PacsError(
                f"{service} failed with {_http_status(status)}", where=str(self.address), remedy=remedy
            ) from error
        except requests.RequestException as error:
            # A response that is not JSON is a RequestException too.
            if isinstance(error, ValueError) and not isinstance(error, requests.ConnectionError):
                raise self._invalid(service, error) from error
            raise _Unreachable(
                f"cannot be reached: {_connection_failure(error)}",
                where=str(self.address),
                remedy="Check address, certificate and firewall, and that the archive is running",
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._invalid(service, error) from error

    def _invalid(self, service: str, error: Exception) -> PacsError:
        return PacsError(
            f"invalid response to {service}: {first_line(error)}",
            where=str(self.address),
            remedy="Check the address: the root of the services, often .../dicom-web",
        )

    def close(self) -> None:
        """Close the open connections."""
        self._session.close()


class _Unreachable(PacsError):
    """There was no response at all."""


def _response(error: requests.HTTPError) -> requests.Response:
    assert error.response is not None  # raised for responses only
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


def _match(level: QueryLevel, keys: dict[str, str], item: dict[str, Any]) -> QueryMatch:
    from pydicom.datadict import tag_for_keyword

    def text(keyword: str) -> str:
        entry = item.get(f"{tag_for_keyword(keyword):08X}")
        values = entry.get("Value") if isinstance(entry, dict) else None
        return "\\".join(str(v) for v in values if v is not None) if isinstance(values, list) else ""

    return QueryMatch.of(level, keys, text)


def stow_outcomes(items: Sequence[Sendable], response: Dataset | requests.Response) -> list[Stored] | None:
    """Read a STOW-RS response per instance (PS3.18 10.5.3, annex I.2); None if it does not list instances.

    An item that such a response does not list counts as refused.
    """
    from pydicom import Dataset

    values = response if isinstance(response, Dataset) else _stow_dataset(response)
    if values is None:
        return None
    good = values.get("ReferencedSOPSequence") or []
    bad = values.get("FailedSOPSequence") or []
    if not good and not bad:
        return None
    stored = {str(item.get("ReferencedSOPInstanceUID")): item.get("WarningReason") for item in good}
    failed = {str(item.get("ReferencedSOPInstanceUID")): item.get("FailureReason") for item in bad}
    return [_stow_outcome(item, stored, failed) for item in items]


def _stow_outcome(item: Sendable, stored: dict[str, int | None], failed: dict[str, int | None]) -> Stored:
    if item.instance in stored:
        warning = stored[item.instance]
        text = "" if warning is None else status_text(int(warning))
        return Stored(item.path, StoreOutcome.STORED, item.instance, warning, text)
    code = failed.get(item.instance)
    if code is None:
        reason = "the archive's response does not list it as stored"
        return Stored(item.path, StoreOutcome.REFUSED, item.instance, reason=reason)
    outcome = StoreOutcome.STORED if code == DUPLICATE else StoreOutcome.REFUSED
    return Stored(item.path, outcome, item.instance, int(code), status_text(int(code)))


def refused_outcomes(items: Sequence[Sendable], response: requests.Response) -> list[Stored]:
    """Return one outcome per item for a response of which only the HTTP status is usable."""
    status = response.status_code
    outcome = StoreOutcome.UNREACHABLE if status in _TEMPORARY else StoreOutcome.REFUSED
    return [Stored(item.path, outcome, item.instance, status, _http_status(status)) for item in items]


def _stow_dataset(response: requests.Response) -> Dataset | None:
    from pydicom import Dataset

    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind not in ("application/dicom+json", "application/json"):
        return None
    try:
        values = response.json()
        return Dataset.from_json(values[0] if isinstance(values, list) else values)
    except Exception:  # another body does not list instances
        return None


def _connection_failure(error: Exception) -> str:
    """Return the reason inside the errors of requests and urllib3, without the address and its query."""
    if isinstance(error, requests.ConnectTimeout):
        return "connection timed out"
    if isinstance(error, requests.Timeout):
        return "no response in time"
    if isinstance(error, requests.TooManyRedirects):
        return "redirected to another address; give that one"
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return f"certificate is not trusted: {inner.verify_message}"
        if isinstance(inner, OSError) and inner.strerror and not isinstance(inner, requests.RequestException):
            return inner.strerror
        reason = getattr(inner.args[0], "reason", None) if inner.args else None
        inner = reason if isinstance(reason, BaseException) else inner.__cause__ or inner.__context__
    return "the connection failed"


def _http_status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
