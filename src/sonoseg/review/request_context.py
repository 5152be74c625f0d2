"""What every route needs: the server's parts, and the pieces of a request that several routes read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path as FolderPath
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

import numpy as np
from anyio.to_thread import run_sync
from fastapi import Depends, Header, Path, Request, Response
from numpy.typing import NDArray

from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import measure, measure_mask
from sonoseg.results.tables import lesion_object
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
"""An answer that is a PNG, as OpenAPI tells it."""

ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
}
"""An answer that is a ZIP."""

TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
"""An answer that is plain text."""

HTML: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}
"""An answer that is a page."""

PNG_BODY = {
    "requestBody": {
        "required": True,
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""A request whose body is a PNG, read by the route itself while it comes."""

FOREVER = "private, max-age=31536000, immutable"
FRESH = "private, no-cache"


@dataclass(frozen=True)
class Server:
    """The parts of one server. scratch: a folder for what is gone when its request ends."""

    settings: Settings
    store: Store
    predictions: Predictions
    metrics: Metrics
    token: Token | None
    scratch: FolderPath

    def findings(self, identity: str, frame: Frame, mask: NDArray[np.bool_]) -> list[dict[str, Any]]:
        """The lesions of a mask, as results.json has them.

        Probabilities and uncertainty are given for the model's own mask only.
        """
        threshold, probability = self.store.threshold(identity), None
        if threshold is not None and np.array_equal(mask, self.store.mask(identity, 0)):
            probability = self.store.probability(identity)
        if probability is None or threshold is None:
            found = measure_mask(frame, mask)
        else:
            segmentation = Segmentation(frame, probability, mask, mask, threshold, None, "", "")
            found = measure(segmentation)
        return [lesion_object(lesion) for lesion in found.lesions]


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
        str | None, Header(alias="If-Match", description='The revision it is made from, as "3".')
    ] = None,
) -> int:
    if if_match is None:
        raise NoRevision(
            "it does not say which revision it is of",
            where="If-Match",
            remedy='Send the item\'s revision, as If-Match: "3"',
        )
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Malformed("no revision of ours", where="If-Match", remedy='Send one such as "3"')
    return int(text)


Revision = Annotated[int, Depends(_revision)]


async def _reader(
    x_reader: Annotated[
        str, Header(max_length=600, description="Who saves; in UTF-8, percent-encoded.")
    ] = "",
) -> str:
    name = unquote(x_reader).strip()
    if len(name) > READER or not name.isprintable():
        raise Unusable("a reader's name that is too long or cannot be shown", where="X-Reader")
    return name


ReaderName = Annotated[str, Depends(_reader)]


async def in_thread(work: Callable[[], T]) -> T:
    """Do what takes time, or waits for the disk, beside the event loop."""
    return await run_sync(work)


async def read_body(request: Request, most: int) -> bytes:
    """The whole body of a request, of at most `most` bytes. Raises TooLarge as soon as there are more."""
    parts: list[bytes] = []
    got = 0
    async for chunk in request.stream():
        got += len(chunk)
        if got > most:
            raise too_large(most)
        parts.append(chunk)
    return b"".join(parts)


def mask_bytes(height: int, width: int) -> int:
    """Bytes that a PNG of a mask may have, in any of its modes: more is none."""
    return 5 * height * width + (1 << 16)


def png(request: Request, data: bytes, tag: str, caching: str = FRESH) -> Response:
    """A PNG; without its bytes where the browser has this one already."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": caching}
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/png", headers=headers)
