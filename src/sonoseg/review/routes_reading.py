"""Routes of a reading: review, signature, referral, history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from sonoseg.review.error_responses import CHANGES, problems
from sonoseg.review.items import Item, LogEntry
from sonoseg.review.reading import ReaderRequired, Review
from sonoseg.review.request_context import ID, Revision, ServerPart

router = APIRouter()

REFUSED = problems(400, 404, 409, 412, 428, *CHANGES)


class ByReader(BaseModel):
    """The reader."""

    model_config = ConfigDict(extra="forbid")

    reader: ReaderRequired


class Referral(ByReader):
    """The reader who refers an item, and why."""

    comment: Annotated[str, Field(max_length=10_000)] = ""


class History(BaseModel):
    """The log of an item, in order."""

    entries: list[LogEntry]


@router.put("/items/{id}/review", responses=REFUSED)
def put_review(identity: ID, review: Review, server: ServerPart, revision: Revision) -> Review:
    """Save a review; every version stays in the history."""
    saved = server.store.save_review(identity, review, expected=revision)
    server.metrics.saves.labels("review").inc()
    return saved


@router.post("/items/{id}/sign", responses=REFUSED)
def sign(identity: ID, by: ByReader, server: ServerPart, revision: Revision) -> Item:
    """Sign the current mask; it cannot be changed until the item is reopened."""
    item = server.store.sign(identity, by.reader.strip(), expected=revision)
    server.metrics.saves.labels("signed").inc()
    return server.predictions.shown(item)


@router.post("/items/{id}/refer", responses=REFUSED)
def refer(identity: ID, by: Referral, server: ServerPart, revision: Revision) -> Item:
    """Refer the item to another reader."""
    item = server.store.refer(identity, by.reader.strip(), by.comment, expected=revision)
    server.metrics.saves.labels("referred").inc()
    return server.predictions.shown(item)


@router.post("/items/{id}/reopen", responses=REFUSED)
def reopen(identity: ID, by: ByReader, server: ServerPart, revision: Revision) -> Item:
    """Withdraw a signature or a referral."""
    item = server.store.reopen(identity, by.reader.strip(), expected=revision)
    server.metrics.saves.labels("reopened").inc()
    return server.predictions.shown(item)


@router.get("/items/{id}/history", responses=problems(404))
def history(identity: ID, server: ServerPart) -> History:
    """The log of an item."""
    return History(entries=server.store.history(identity))
