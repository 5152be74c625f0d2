"""Error responses: always {"error": {"found", "where", "remedy"}}."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from sonoseg._util.validation import clause
from sonoseg.errors import InputError, MissingExtra, ShapeError, SonosegError, UsageError
from sonoseg.inference.serving_queue import QueueClosed, QueueFull
from sonoseg.results.ledger import LedgerBusy, LedgerFull
from sonoseg.review.http_errors import Busy, Full, NotThere, Refusal

log = logging.getLogger("sonoseg.review")


class ErrorText(BaseModel):
    """What is wrong, where, and what to do."""

    found: str
    where: str | None = None
    remedy: str | None = None


class Problem(BaseModel):
    """The body of every error response."""

    error: ErrorText


class Current(BaseModel):
    """The current state of the item. version: of the review, where that is the reason."""

    revision: int
    reader: str | None
    updated_at: str
    version: int | None = None


class StaleProblem(Problem):
    """412: the item was changed by another client."""

    current: Current


DESCRIPTIONS = {
    400: "The request cannot be parsed.",
    401: "The token is missing or wrong.",
    403: "A cross-origin request, or a change on a read-only server.",
    404: "No such item or file.",
    409: "The status of the item does not allow it.",
    412: "The revision of If-Match is not the current one.",
    413: "Larger than the limits allow.",
    421: "The Host header is not a name of the server.",
    422: "A value is missing or invalid.",
    428: "If-Match is missing.",
    500: "Internal error; see the server's log.",
    503: "Too many requests; Retry-After states when to try again.",
    507: "The disk is full; nothing was changed.",
}

EVERYWHERE = (401, 421, 422, 500, 503)
CHANGES = (403, 413, 507)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI descriptions of the error responses of a route, those of every route included."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*EVERYWHERE, *statuses}):
        found[status] = {
            "model": StaleProblem if status == 412 else Problem,
            "description": DESCRIPTIONS[status],
        }
        if status == 503:
            found[status]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
    return found


def response_to(error: SonosegError) -> JSONResponse:
    """The response to an error of sonoseg."""
    refusal = as_refusal(error)
    body: dict[str, Any] = {
        "error": {"found": refusal.found, "where": _place(refusal.where), "remedy": refusal.remedy}
    }
    body |= refusal.more
    return JSONResponse(body, refusal.status, refusal.headers)


def as_refusal(error: SonosegError) -> Refusal:
    """The error with its HTTP status."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, LedgerBusy):
        return Busy(error.found, retry_after=2)
    if isinstance(error, LedgerFull) or _disk_is_full(error):
        return Full("the disk is full; nothing was changed", remedy="Free some space, and save again")
    if isinstance(error, QueueFull):
        return Busy(error.found, retry_after=error.retry_after)
    if isinstance(error, QueueClosed):
        return Busy(error.found, retry_after=5)
    made = Refusal(error.found, where=error.where, remedy=error.remedy)
    made.status = 422 if isinstance(error, InputError | UsageError | ShapeError | MissingExtra) else 500
    if made.status == 500:
        log.error("%s", error)
    return made


def _disk_is_full(error: SonosegError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)


def _place(where: str | None) -> str | None:
    """The last part of a path: folders of this machine are not shown."""
    return None if where is None else re.split(r"[/\\](?=[^/\\ ])", where)[-1] if _is_path(where) else where


def _is_path(where: str) -> bool:
    return where.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", where) is not None


def add_handlers(app: FastAPI) -> None:
    """Handle every error in this form, also those of Starlette and FastAPI."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, SonosegError)
        return response_to(error)

    async def theirs(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, SonosegError):  # raised while FastAPI reads the body
            return response_to(error.__cause__)
        if error.status_code == 404:
            return response_to(NotThere("no such address", remedy="See /api/v1/openapi.json"))
        made = Refusal(clause({"msg": error.detail}), headers=dict(error.headers or {}))
        made.status = error.status_code
        return response_to(made)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = dict(error.errors()[0])
        return response_to(_invalid(first))

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        return JSONResponse(
            {
                "error": {
                    "found": "internal error",
                    "where": None,
                    "remedy": "Try again; the server's log has the cause",
                }
            },
            500,
        )

    app.add_exception_handler(SonosegError, ours)
    app.add_exception_handler(HTTPException, theirs)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)


def _invalid(first: Mapping[str, Any]) -> Refusal:
    """The first validation error as an error of sonoseg."""
    place = ".".join(str(part) for part in first["loc"])
    made = Refusal(clause(first), where=place, remedy="See /api/v1/openapi.json")
    made.status = 422
    return made
