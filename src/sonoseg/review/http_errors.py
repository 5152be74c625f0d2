"""Errors of the HTTP API, each with its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sonoseg.errors import SonosegError


class Refusal(SonosegError):
    """A refused request. status: of the response. headers: of the response.

    current: the current state, where it is the reason. more: further entries of the body.
    """

    status = 400

    def __init__(
        self,
        found: str,
        *,
        where: str | None = None,
        remedy: str | None = None,
        headers: Mapping[str, str] | None = None,
        current: Mapping[str, Any] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(found, where=where, remedy=remedy)
        self.headers = dict(headers or {})
        self.more = dict(more or {}) | ({} if current is None else {"current": dict(current)})


class Malformed(Refusal):
    """A request that cannot be parsed."""


class NoToken(Refusal):
    """The token is missing or wrong."""

    status = 401


class Forbidden(Refusal):
    """A cross-origin request, or a change on a read-only server."""

    status = 403


class NotThere(Refusal):
    """No such item or file."""

    status = 404


class WrongStatus(Refusal):
    """The status of the item does not allow this: it is signed, or has no mask to sign."""

    status = 409


class Stale(Refusal):
    """The item has changed since it was read. current: its revision, reader and updated_at."""

    status = 412


class TooLarge(Refusal):
    """Larger than the limits allow."""

    status = 413


class WrongHost(Refusal):
    """The Host header is not a name of the server."""

    status = 421


class Unusable(Refusal):
    """A well-formed request that cannot be processed: not an image, a wrong size, an unknown value."""

    status = 422


class NoRevision(Refusal):
    """A change without the revision that it is based on."""

    status = 428


class Busy(Refusal):
    """Too many requests; Retry-After states when to try again."""

    status = 503

    def __init__(self, found: str, *, where: str | None = None, retry_after: float = 1.0) -> None:
        seconds = max(1, round(retry_after))
        super().__init__(
            found,
            where=where,
            remedy=f"Try again in {seconds} s",
            headers={"Retry-After": str(seconds)},
        )


class Full(Refusal):
    """The disk is full; nothing was changed."""

    status = 507
