"""What an archive answers to STOW-RS, read per instance (PS3.18 section 10.5.3 and annex I.2)."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from sonoseg.pacs.client import Stored, StoreOutcome
from sonoseg.pacs.instance_header import Sendable
from sonoseg.pacs.status_codes import DUPLICATE, told

if TYPE_CHECKING:
    import requests
    from pydicom import Dataset

# The archive is there but not now: what is sent again later may well be stored.
_LATER = (408, 425, 429, 502, 503, 504, 507)


def told_per_instance(items: Sequence[Sendable], answer: Dataset | requests.Response) -> list[Stored] | None:
    """One outcome an item; None where the answer says nothing of single instances.

    An item that is in neither of the answer's lists, of an answer that has one, counts as refused.
    """
    from pydicom import Dataset

    values = answer if isinstance(answer, Dataset) else _read(answer)
    if values is None:
        return None
    good = values.get("ReferencedSOPSequence") or []
    bad = values.get("FailedSOPSequence") or []
    if not good and not bad:
        return None
    kept = {str(item.get("ReferencedSOPInstanceUID")): item.get("WarningReason") for item in good}
    failed = {str(item.get("ReferencedSOPInstanceUID")): item.get("FailureReason") for item in bad}
    return [_outcome(item, kept, failed) for item in items]


def _outcome(item: Sendable, kept: dict[str, int | None], failed: dict[str, int | None]) -> Stored:
    if item.instance in kept:
        warning = kept[item.instance]
        words = "" if warning is None else told(int(warning))
        return Stored(item.path, StoreOutcome.STORED, item.instance, warning, words)
    reason = failed.get(item.instance)
    if reason is None:
        words = "the archive's answer does not name it among what it stored"
        return Stored(item.path, StoreOutcome.REFUSED, item.instance, words=words)
    outcome = StoreOutcome.STORED if reason == DUPLICATE else StoreOutcome.REFUSED
    return Stored(item.path, outcome, item.instance, int(reason), told(int(reason)))


def refused_as_a_whole(items: Sequence[Sendable], answer: requests.Response) -> list[Stored]:
    """One outcome an item, for an answer of which nothing but the HTTP status can be used."""
    status = answer.status_code
    outcome = StoreOutcome.UNREACHABLE if status in _LATER else StoreOutcome.REFUSED
    try:
        words = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        words = str(status)
    return [Stored(item.path, outcome, item.instance, status, words) for item in items]


def _read(answer: requests.Response) -> Dataset | None:
    from pydicom import Dataset

    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind not in ("application/dicom+json", "application/json"):
        return None
    try:
        values = answer.json()
        return Dataset.from_json(values[0] if isinstance(values, list) else values)
    except Exception:  # a body of the archive's own making is no answer per instance
        return None
