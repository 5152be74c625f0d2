"""Access control and security headers: token, host, origin, body size."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonoseg.review.error_responses import response_to
from sonoseg.review.http_errors import Forbidden, Malformed, NoToken, Refusal, TooLarge, WrongHost

OPEN = ("/", "/pacs", "/health", "/ready", "/login")
"""Paths without a token, beside the page's files: they ask for the token and contain no image."""

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
"""The Content-Security-Policy: only files of this server, no inline script or style."""

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

    The cookie holds a value derived from the token; its name depends on the token, since browsers share
    cookies between all ports of a host.
    """

    def __init__(self, token: str) -> None:
        self._digest = _digest(token)
        self.cookie = hmac.digest(token.encode(), b"sonoseg cookie", "sha256").hex()
        self.cookie_name = f"sonoseg-{hmac.digest(token.encode(), b'sonoseg name', 'sha256').hex()[:8]}"

    def matches(self, given: str) -> bool:
        """Whether `given` is the token; compared in constant time."""
        return hmac.compare_digest(_digest(given), self._digest)

    def allows(self, headers: Headers) -> bool:
        """Whether a request with these headers carries the token."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.matches(given.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie_name)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(_digest(cookie.value), _digest(self.cookie))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


class AccessControl:
    """Refuse requests with a wrong host, a foreign origin or without the token.

    hosts: names of the server, without port; () for any. Starlette's TrustedHostMiddleware answers in plain
    text; ours has the form of every error.
    """

    def __init__(self, app: ASGIApp, token: Token | None, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._token = token
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
            return
        await response_to(refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts and _name(host) not in self._hosts:
            return WrongHost(
                "not a name of this server",
                where=host[:100] or "no Host",
                remedy="Use the address printed at its start",
            )
        if scope["method"] not in SAFE and _foreign(headers, host):
            return Forbidden(
                "a cross-origin request",
                where=headers.get("origin", "")[:200] or None,
                remedy="Use the page of this server, or a client that sends no Origin",
            )
        path = scope["path"]
        if self._token is None or path in OPEN or path.startswith(PAGE) or self._token.allows(headers):
            return None
        return NoToken(
            "the token is missing or wrong",
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
    """Whether a browser marks the request as coming from another site."""
    origin = headers.get("origin")
    if origin is not None:
        try:
            return urlsplit(origin).netloc.lower() != host.lower() or not host
        except ValueError:
            return True
    return headers.get("sec-fetch-site", "same-origin") in ("cross-site", "same-site")


class BodyLimit:
    """Limit the size of a request's body.

    limit: bytes for (method, path). A Content-Length beyond the limit is refused before the body is read.
    """

    def __init__(self, app: ASGIApp, limit: Callable[[str, str], int]) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request with a `receive` that raises TooLarge."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._limit(scope["method"], scope["path"])
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal():
            await response_to(Malformed("not a number", where="Content-Length"))(scope, receive, send)
            return
        if int(announced) > most:
            await response_to(too_large(most))(scope, receive, send)
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
    """The error for a body of more than `most` bytes; the rest of it is not read."""
    return TooLarge(
        f"more than {most:,} bytes",
        where=where,
        remedy="Send less at once, or start the server with higher limits",
        headers={"Connection": "close"},
    )


class SecurityHeaders:
    """Add the security headers; responses without caching rules are not stored."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, and add the headers to the response."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
