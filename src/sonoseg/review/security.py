"""Who may ask, and what an answer lets a browser do: token, host, origin, sizes, headers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonoseg.review.error_responses import answer
from sonoseg.review.http_errors import Forbidden, Malformed, NoToken, Refusal, TooLarge, WrongHost

OPEN = ("/", "/pacs", "/health", "/ready", "/login")
"""What needs no token, beside the pages' own files: they ask for the token itself, and holds no image."""

PAGE = "/page/"

SAFE = ("GET", "HEAD", "OPTIONS")

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy: nothing but this server's own files, and no script or style within a page."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Token:
    """The token that a request must carry, as `Authorization: Bearer` or in the cookie that /login sets.

    The cookie holds a value made from the token, not the token; its name differs from token to token, as
    browsers share cookies between all ports of a host.
    """

    def __init__(self, token: str) -> None:
        self._digest = _digest(token)
        self.cookie = hmac.digest(token.encode(), b"sonoseg cookie", "sha256").hex()
        self.cookie_name = f"sonoseg-{hmac.digest(token.encode(), b'sonoseg name', 'sha256').hex()[:8]}"

    def fits(self, given: str) -> bool:
        """Whether it is the token; takes the same time for every other one."""
        return hmac.compare_digest(_digest(given), self._digest)

    def allows(self, headers: Headers) -> bool:
        """Whether a request with these headers carries it."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.fits(given.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie_name)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(_digest(cookie.value), _digest(self.cookie))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


class Gate:
    """Refuses a request before anything is done for it: a wrong host, a foreign origin, no token.

    hosts: names the server answers to, without port; () is any.
    """

    def __init__(self, app: ASGIApp, token: Token | None, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._token = token
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        await answer(refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            return WrongHost(
                "this server is not known by that name",
                where=host[:100] or "no Host",
                remedy="Use the address that it printed when it started",
            )
        if scope["method"] not in SAFE and _foreign(headers, host):
            return Forbidden(
                "a request from a page of another origin",
                where=headers.get("origin", "")[:200] or None,
                remedy="Use the page of this server, or a program that sends no Origin",
            )
        path = scope["path"]
        if self._token is None or path in OPEN or path.startswith(PAGE) or self._token.allows(headers):
            return None
        return NoToken(
            "no token, or a wrong one",
            remedy="Send it as 'Authorization: Bearer TOKEN', or open /login",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _name(host: str) -> str:
    """The host without its port, as in "[::1]:8000"."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _foreign(headers: Headers, host: str) -> bool:
    """Whether a browser says that the request comes from another site's page."""
    origin = headers.get("origin")
    if origin is not None:
        try:
            return urlsplit(origin).netloc.lower() != host.lower() or not host
        except ValueError:
            return True
    return headers.get("sec-fetch-site", "same-origin") in ("cross-site", "same-site")


class BodyLimit:
    """Counts a request's bytes while they come, and stops at the limit.

    limit: bytes for (method, path). A length that is announced is believed where it is too large, so that
    nothing of it is read.
    """

    def __init__(self, app: ASGIApp, limit: Callable[[str, str], int]) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `receive` that raises TooLarge."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._limit(scope["method"], scope["path"])
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal():
            await answer(Malformed("a length that is no number", where="Content-Length"))(
                scope, receive, send
            )
            return
        if int(announced) > most:
            await answer(too_large(most))(scope, receive, send)
            return
        got = 0

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            if message["type"] == "http.request":
                got += len(message.get("body", b""))
                if got > most:
                    raise too_large(most)
            return message

        await self._app(scope, counted, send)


def too_large(most: int, where: str | None = None) -> TooLarge:
    """The refusal of what is more than `most` bytes; the rest of the request is not read."""
    return TooLarge(
        f"more than {most:,} bytes",
        where=where,
        remedy="Send less at once, or start the server with higher limits",
        headers={"Connection": "close"},
    )


class Shield:
    """Adds the headers that keep a browser safe; what says nothing of caching is not kept by anyone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to the answer's headers."""

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, shielded if scope["type"] == "http" else send)
