"""Requests that are not done: our errors with the HTTP status that says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sonoseg.errors import SonosegError


class Refusal(SonosegError):
    """A request that is refused. status: of the HTTP answer. headers: that go with it.

    current: what the answer tells of the present state, where that is the reason. more: what else it tells.
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
    """A request that cannot be understood."""


class NoToken(Refusal):
    """The token is missing or another one."""

    status = 401


class Forbidden(Refusal):
    """A foreign page's request, or a change of a server that is read-only."""

    status = 403


class NotThere(Refusal):
    """No such item, or not yet."""

    status = 404


class WrongStatus(Refusal):
    """The item's status does not allow this: it is signed, or there is nothing to sign."""

    status = 409


class Stale(Refusal):
    """The state has moved on since it was read. current: revision, reader and updated_at of now."""

    status = 412


class TooLarge(Refusal):
    """More bytes than the limits allow."""

    status = 413


class WrongHost(Refusal):
    """The request addresses the server by a name that is not its own."""

    status = 421


class Unusable(Refusal):
    """What was sent is well-formed and yet of no use: no image, another size, an unknown word."""

    status = 422


class NoRevision(Refusal):
    """A change that does not say which revision it is of."""

    status = 428


class Busy(Refusal):
    """Too much at once; the header Retry-After says when to come again."""

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
    """No space is left on the disk; nothing was changed."""

    status = 507
