"""The route of the DICOM node's queue, read-only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel

from sonoseg import RESEARCH_ONLY
from sonoseg.errors import OutputError
from sonoseg.pacs.queue_rows import DATABASE, InstanceState, QueueReader, QueueRow
from sonoseg.pacs.redaction import redact
from sonoseg.review.error_responses import problems
from sonoseg.review.http_errors import Busy, NotThere
from sonoseg.review.request_context import ServerPart
from sonoseg.review.routes_root import PAGE

router = APIRouter()
page = APIRouter()

WAITING = (InstanceState.RECEIVED, InstanceState.SEGMENTED)


class PacsCounts(BaseModel):
    """The number of instances in each state."""

    received: int
    segmented: int
    sent: int
    failed: int


class PacsRow(BaseModel):
    """One instance in the queue, without patient attributes.

    number: in the order of arrival. instance: its SOP Instance UID. sender: the calling AE title; "" where
    it is not known. size: bytes of its file. model: name and hash of the model that segmented it; "" where
    none has. starts: segmentations that were started and did not end. attempts: failures
    that it did not cause; refusals: by the archive. next_at: not before this; null where it is due or done.
    reason: of the last failure. Times are ISO 8601, in UTC.
    """

    number: int
    instance: str
    sender: str
    size: int
    state: InstanceState
    model: str
    starts: int
    attempts: int
    refusals: int
    next_at: str | None
    reason: str | None
    received_at: str
    updated_at: str


class Pacs(BaseModel):
    """The queue of the node, the newest instance first.

    running: whether the node runs; null if unknown. waiting_since: when the oldest instance
    arrived that is not done. due_at: when the first that waits is to be tried; null where none waits, or at
    once. changed_at: when an instance moved last. total: rows of the state that was asked for, or of all.
    """

    running: bool | None
    changed_at: str | None
    waiting_since: str | None
    due_at: str | None
    counts: PacsCounts
    total: int
    rows: list[PacsRow]
    research_only: str


@router.get("/pacs", responses=problems(404))
def pacs(
    server: ServerPart,
    state: Annotated[InstanceState | None, Query(description="Only instances in this state.")] = None,
    offset: Annotated[int, Query(ge=0, le=1 << 40)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Pacs:
    """The queue of the node whose state folder the server was started with."""
    folder = server.settings.pacs
    if folder is None:
        raise NotThere("the server shows no queue", remedy="Start it with --pacs STATE")
    if not (folder / DATABASE).is_file():
        raise Busy("no node has used the folder of --pacs yet", retry_after=5)
    try:
        with QueueReader(folder) as rows:
            return _read(rows, state, offset, limit)
    except OutputError as error:
        raise Busy(f"the node's queue cannot be read: {error.found}", retry_after=5) from error


def _read(rows: QueueReader, state: InstanceState | None, offset: int, limit: int) -> Pacs:
    counts = rows.counts()
    total = sum(counts.values()) if state is None else counts[state]
    end = max(0, total - offset)
    listed = rows.rows(state, offset=max(0, end - limit), limit=min(limit, end))
    first = [found[0].received_at for one in WAITING if (found := rows.rows(one, limit=1))]
    due = [at for one in WAITING if (at := rows.next_at(one)) is not None]
    return Pacs(
        running=rows.is_running(),
        changed_at=rows.changed_at(),
        waiting_since=min(first, default=None),
        due_at=_time(min(due, default=0)),
        counts=PacsCounts(**{one.name.lower(): number for one, number in counts.items()}),
        total=total,
        rows=[_row(one) for one in reversed(listed)],
        research_only=RESEARCH_ONLY,
    )


def _row(row: QueueRow) -> PacsRow:
    return PacsRow(
        number=row.seq,
        instance=row.uid,
        sender=row.sender,
        size=row.size,
        state=row.state,
        model=row.model,
        starts=row.starts,
        attempts=row.attempts,
        refusals=row.refusals,
        next_at=_time(row.next_at) if row.state in WAITING else None,
        reason=redact(row.reason),
        received_at=row.received_at,
        updated_at=row.updated_at,
    )


def _time(seconds: float) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC; None for 0, which is at once."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds") if seconds else None


@page.get("/pacs", include_in_schema=False)
def queue() -> FileResponse:
    """The page that shows it. Without a token it is empty: it asks for one, as the review page does."""
    return FileResponse(PAGE / "pacs.html", headers={"Cache-Control": "no-cache"})
