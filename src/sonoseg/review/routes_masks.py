"""Routes of masks: get, put, measure without saving, and the smart click."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from sonoseg.results.png import mask_png
from sonoseg.results.schema import LesionResult
from sonoseg.review.error_responses import CHANGES, problems
from sonoseg.review.http_errors import Unusable
from sonoseg.review.items import Item, Source, Status, Tool
from sonoseg.review.mask_png import read_mask
from sonoseg.review.request_context import (
    FRESH,
    ID,
    PNG,
    PNG_BODY,
    ReaderName,
    Revision,
    ServerPart,
    in_thread,
    mask_bytes,
    png,
    read_body,
)
from sonoseg.review.routes_items import not_predicted
from sonoseg.review.state_folder import read_only

router = APIRouter()

Origin = Literal["current", "model", "empty"]
Pixel = Annotated[int, Field(ge=0, le=1 << 20)]


class Saved(BaseModel):
    """A saved mask: its revision, source and measured lesions."""

    revision: int
    lesions: int
    findings: list[LesionResult]
    source: Source
    status: Status
    updated_at: str


class MeasureResponse(BaseModel):
    """The measured lesions of a mask that was not saved."""

    findings: list[LesionResult]


class Click(BaseModel):
    """A pixel, and whether it belongs to the lesion."""

    model_config = ConfigDict(extra="forbid")

    row: Pixel
    column: Pixel
    inside: bool


class Clicks(BaseModel):
    """Clicks, the oldest first, and the mask they are applied to."""

    model_config = ConfigDict(extra="forbid")

    points: Annotated[list[Click], Field(min_length=1, max_length=200)]
    of: Origin = "current"


@router.get("/items/{id}/mask.png", response_class=Response, responses=PNG | problems(404))
def get_mask(
    request: Request,
    identity: ID,
    server: ServerPart,
    of: Annotated[Literal["current", "model"], Query(description="The current mask, or the model's.")] = (
        "current"
    ),
    revision: Annotated[
        int | None, Query(ge=0, le=1 << 40, description="An earlier revision; overrides `of`.")
    ] = None,
) -> Response:
    """A mask, 255 on lesions and 0 elsewhere; its ETag is the revision.

    The current mask of an item without one is empty.
    """
    store = server.store
    item = store.item(identity)
    wanted = revision if revision is not None else (item.revision if of == "current" else 0)
    data = store.mask_png(identity, wanted)
    if data is None:
        if of == "model" or revision is not None:
            raise not_predicted(identity)
        data = mask_png(np.zeros((item.height, item.width), dtype=bool))
    return png(request, data, str(wanted), FRESH)


@router.put(
    "/items/{id}/mask",
    responses=problems(400, 404, 409, 412, 428, *CHANGES),
    openapi_extra=PNG_BODY,
)
async def put_mask(
    request: Request,
    identity: ID,
    server: ServerPart,
    revision: Revision,
    reader: ReaderName,
    x_tool: Annotated[Tool, Header(description="The tool it was made with.")] = Tool.OTHER,
    x_seconds: Annotated[
        float | None,
        Header(ge=0, le=1e7, allow_inf_nan=False, description="Seconds of reading since the last save."),
    ] = None,
) -> Saved:
    """Save a mask as the next revision: a PNG of 255 and 0 only, of the size of the image."""
    if server.settings.read_only:
        raise read_only()
    store = server.store
    item = await in_thread(lambda: store.item(identity))
    data = await read_body(request, mask_bytes(item.height, item.width))

    def save() -> Saved:
        mask = read_mask(data, (item.height, item.width))
        findings = store.findings(identity, store.frame(identity), mask)
        saved = store.save_mask(
            identity,
            mask,
            findings,
            expected=revision,
            reader=reader,
            tool=x_tool,
            seconds=x_seconds,
        )
        return _saved(saved, findings)

    done = await in_thread(save)
    server.metrics.saves.labels("mask").inc()
    return done


@router.post("/items/{id}/measure", responses=problems(403, 404, 413), openapi_extra=PNG_BODY)
async def measure(request: Request, identity: ID, server: ServerPart) -> MeasureResponse:
    """Measure a mask without saving it."""
    item = await in_thread(lambda: server.store.item(identity))
    data = await read_body(request, mask_bytes(item.height, item.width))

    def work() -> MeasureResponse:
        mask = read_mask(data, (item.height, item.width))
        frame = server.store.frame(identity)
        return MeasureResponse.model_validate({"findings": server.store.findings(identity, frame, mask)})

    return await in_thread(work)


@router.post("/items/{id}/click", response_class=Response, responses=PNG | problems(400, 403, 404, 413))
def click(identity: ID, clicks: Clicks, server: ServerPart) -> Response:
    """The mask that follows clicks inside and outside a lesion; not saved."""
    from sonoseg.inference.smart_click import Point, smart_click

    store = server.store
    item = store.item(identity)
    for point in clicks.points:
        if point.row >= item.height or point.column >= item.width:
            raise Unusable(
                f"row {point.row}, column {point.column} of an image of {item.height} rows and "
                f"{item.width} columns",
                where=identity,
                remedy="Click inside the image",
            )
    if clicks.of == "empty":
        mask = np.zeros((item.height, item.width), dtype=bool)
    else:
        mask = store.mask(identity, None if clicks.of == "current" else 0)
    points = [Point(one.row, one.column, one.inside) for one in clicks.points]
    made = smart_click(store.frame(identity).pixels, store.probability(identity), mask, points)
    return Response(mask_png(made), media_type="image/png")


def _saved(item: Item, findings: list[dict[str, object]]) -> Saved:
    return Saved.model_validate(
        {
            "revision": item.revision,
            "lesions": item.lesions,
            "findings": findings,
            "source": item.source,
            "status": item.status,
            "updated_at": item.updated_at,
        }
    )
