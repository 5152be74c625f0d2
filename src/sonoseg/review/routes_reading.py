"""Routes of a reading: the review, the signature, the referral, and the history."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from sonoseg.review.error_responses import CHANGES, problems
from sonoseg.review.items import Item, LogEntry
from sonoseg.review.reading import Review, Somebody
from sonoseg.review.request_context import ID, Revision, ServerPart

router = APIRouter()

REFUSED = problems(400, 404, 409, 412, 428, *CHANGES)


class ByReader(BaseModel):
    """Who does it."""

    model_config = ConfigDict(extra="forbid")

    reader: Somebody


class Referral(ByReader):
    """Who leaves an item to another reader, and why."""

    comment: Annotated[str, Field(max_length=10_000)] = ""


class History(BaseModel):
    """All that was done to an item, the first entry first."""

    entries: list[LogEntry]


@router.put("/items/{id}/review", responses=REFUSED)
def put_review(identity: ID, review: Review, server: ServerPart, revision: Revision) -> Review:
    """Save a reader's words in place of those there are; every version stays in the history."""
    saved = server.store.save_review(identity, review, expected=revision)
    server.metrics.saves.labels("review").inc()
    return saved


@router.post("/items/{id}/sign", responses=REFUSED)
def sign(identity: ID, by: ByReader, server: ServerPart, revision: Revision) -> Item:
    """Sign the current mask. It can no longer be changed until it is reopened."""
    item = server.store.sign(identity, by.reader.strip(), expected=revision)
    server.metrics.saves.labels("signed").inc()
    return server.predictions.shown(item)


@router.post("/items/{id}/refer", responses=REFUSED)
def refer(identity: ID, by: Referral, server: ServerPart, revision: Revision) -> Item:
    """Leave the item to another reader."""
    item = server.store.refer(identity, by.reader.strip(), by.comment, expected=revision)
    server.metrics.saves.labels("referred").inc()
    return server.predictions.shown(item)


@router.post("/items/{id}/reopen", responses=REFUSED)
def reopen(identity: ID, by: ByReader, server: ServerPart, revision: Revision) -> Item:
    """Take a signature or a referral back."""
    item = server.store.reopen(identity, by.reader.strip(), expected=revision)
    server.metrics.saves.labels("reopened").inc()
    return server.predictions.shown(item)


@router.get("/items/{id}/history", responses=problems(404))
def history(identity: ID, server: ServerPart) -> History:
    """All that was done to an item."""
    return History(entries=server.store.history(identity))
