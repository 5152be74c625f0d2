"""What routes share: the parts of the server, and dependencies that read a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FolderPath
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

from anyio.to_thread import run_sync
from fastapi import Depends, Header, Path, Request, Response

from sonoseg.review.http_errors import Malformed, NoRevision, Unusable
from sonoseg.review.predictions import Predictions
from sonoseg.review.prometheus import Metrics
from sonoseg.review.reading import READER
from sonoseg.review.security import Token, too_large
from sonoseg.review.settings import Settings
from sonoseg.review.store import Store

T = TypeVar("T")

PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
"""OpenAPI description of a PNG response."""

ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
}
"""OpenAPI description of a ZIP response."""

TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
"""OpenAPI description of a text response."""

HTML: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}
"""OpenAPI description of an HTML response."""

PNG_BODY = {
    "requestBody": {
        "required": True,
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""OpenAPI description of a PNG body, which the route reads as a stream."""

FOREVER = "private, max-age=31536000, immutable"
FRESH = "private, no-cache"


@dataclass(frozen=True)
class Server:
    """The parts of one server. scratch: a folder for files that live as long as one request."""

    settings: Settings
    store: Store
    predictions: Predictions
    metrics: Metrics
    token: Token | None
    scratch: FolderPath


async def _server(request: Request) -> Server:
    server = request.app.state.server
    assert isinstance(server, Server)
    return server


ServerPart = Annotated[Server, Depends(_server)]

ID = Annotated[
    str,
    Path(
        alias="id",
        pattern=r"^[0-9a-f]{16}(-[0-9]{5})?$",
        description="An item: 16 digits of its file's SHA-256; of a clip's frame, with -NNNNN.",
    ),
]


async def _revision(
    if_match: Annotated[
        str | None, Header(alias="If-Match", description='The revision that the change is based on, as "3".')
    ] = None,
) -> int:
    if if_match is None:
        raise NoRevision(
            "the revision is missing",
            where="If-Match",
            remedy='Send the revision of the item, as If-Match: "3"',
        )
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Malformed("not a revision", where="If-Match", remedy='Send a number such as "3"')
    return int(text)


Revision = Annotated[int, Depends(_revision)]


async def _reader(
    x_reader: Annotated[
        str, Header(max_length=600, description="The reader's name; UTF-8, percent-encoded.")
    ] = "",
) -> str:
    name = unquote(x_reader).strip()
    if len(name) > READER or not name.isprintable():
        raise Unusable("the reader's name is too long or not printable", where="X-Reader")
    return name


ReaderName = Annotated[str, Depends(_reader)]


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread, outside the event loop."""
    return await run_sync(work)


async def read_body(request: Request, most: int) -> bytes:
    """Read the body of a request, at most `most` bytes. Raises TooLarge at the first byte beyond."""
    parts: list[bytes] = []
    got = 0
    async for chunk in request.stream():
        got += len(chunk)
        if got > most:
            raise too_large(most)
        parts.append(chunk)
    return b"".join(parts)


def mask_bytes(height: int, width: int) -> int:
    """The largest size of a mask's PNG in any of its modes, bytes."""
    return 5 * height * width + (1 << 16)


def png(request: Request, data: bytes, tag: str, caching: str = FRESH) -> Response:
    """A PNG response; 304 without content where the browser has it."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": caching}
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/png", headers=headers)
