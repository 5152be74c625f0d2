"""Routes of the work list: items, uploads, images and maps."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.image.depth_ruler import find_depth_ruler
from sonoseg.lesions.measurement import PLANE_NOTE
from sonoseg.results.png import encode_png
from sonoseg.results.schema import LesionResult
from sonoseg.review import mask_png as images
from sonoseg.review.error_responses import CHANGES, Problem, problems
from sonoseg.review.file_import import RejectedUpload, import_samples, import_uploads
from sonoseg.review.file_inspection import parse_spacing
from sonoseg.review.form_upload import receive
from sonoseg.review.hand_calibration import KnownLength, calibrate
from sonoseg.review.http_errors import NotThere, Unusable, WrongStatus
from sonoseg.review.items import Item, ItemList, Sort, Status
from sonoseg.review.reading import Review
from sonoseg.review.request_context import FOREVER, ID, PNG, Server, ServerPart, in_thread, png
from sonoseg.review.settings import ServerLimits
from sonoseg.review.state_folder import read_only

router = APIRouter()


class ModelAbout(BaseModel):
    """The model that the server predicts with."""

    name: str
    hash: str
    threshold: float
    gates: Annotated[int, Field(description="The number of attention maps at .../attention/{k}.png.")]


class ServerInfo(BaseModel):
    """Version, model and limits of the server. model: null until it is loaded; see /ready.

    pacs: whether the server shows the queue of a node.
    """

    version: str
    model: ModelAbout | None
    runtime: str | None
    research_only: str
    plane_note: str
    read_only: bool
    limits: ServerLimits
    token_required: bool
    pacs: bool


class ItemDetail(Item):
    """An item with the lesions of its current mask and its review."""

    findings: list[LesionResult]
    review: Review | None
    model_threshold: float | None


class RefusedUpload(BaseModel):
    """A refused file, and why."""

    name: str
    found: str
    remedy: str | None


class Added(BaseModel):
    """The items of the accepted files, also of those present before, and the refused files."""

    items: list[Item]
    refused: list[RefusedUpload]


class AddProblem(Problem):
    """No file was accepted."""

    refused: list[RefusedUpload] | None = None


@router.get("/about", responses=problems())
async def about(server: ServerPart) -> ServerInfo:
    """Version, model and limits of the server."""
    predictor = server.predictions.predictor
    model = None
    if predictor is not None:
        card = predictor.model.card
        model = ModelAbout(
            name=card.name,
            hash=predictor.model.hash,
            threshold=predictor.threshold,
            gates=len(card.attention),
        )
    return ServerInfo(
        version=__version__,
        model=model,
        runtime=None if predictor is None else predictor.runtime,
        research_only=RESEARCH_ONLY,
        plane_note=PLANE_NOTE,
        read_only=server.settings.read_only,
        limits=server.settings.limits,
        token_required=server.token is not None,
        pacs=server.settings.pacs is not None,
    )


@router.get("/items", responses=problems())
def items(
    server: ServerPart,
    status: Annotated[Status | None, Query(description="Only items of this status.")] = None,
    q: Annotated[str, Query(max_length=200, description="Text in the name or the id.")] = "",
    sort: Annotated[Sort, Query(description="Items without an uncertainty come last.")] = "added",
    descending: Annotated[bool, Query(description="The greatest, or the newest, first.")] = False,
    offset: Annotated[int, Query(ge=0, le=1 << 40)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ItemList:
    """A page of the work list, and its progress."""
    found = server.store.items(
        status=status, search=q, sort=sort, descending=descending, offset=offset, limit=limit
    )
    shown = [server.predictions.shown(item) for item in found.items]
    return found.model_copy(update={"items": shown})


@router.post(
    "/items",
    status_code=201,
    responses=problems(400, *CHANGES)
    | {422: {"model": AddProblem, "description": "No file could be taken; or the spacing is none."}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "Files in a form, or one as it is.",
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["files"],
                        "properties": {
                            "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                            "spacing": {
                                "type": "string",
                                "description": "Millimetres per pixel of all of them: 0.08, or 0.08,0.1 "
                                "(row, column); before what a file says.",
                            },
                        },
                    }
                },
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
)
async def add(
    request: Request,
    server: ServerPart,
    name: Annotated[str, Query(max_length=200, description="Name of a file sent without a form.")] = "",
    spacing: Annotated[str, Query(max_length=40, description="As the form field of this name.")] = "",
) -> Added:
    """Add images and clips. A file that is present already gives its items."""
    if server.settings.read_only:
        raise read_only()
    form = await receive(
        request.stream(),
        request.headers.get("content-type", ""),
        name,
        server.store.folder / "incoming",
        server.settings.limits,
    )
    try:
        if not form.files:
            raise Unusable("no file", where="files", remedy="Send multipart/form-data with files in 'files'")
        given = parse_spacing(form.fields.get("spacing", "") or spacing)
        took = await in_thread(
            lambda: import_uploads(server.store, form.files, server.settings.limits, given)
        )
    finally:
        await in_thread(form.discard)
    return _added(server, took.items, took.refused)


@router.post("/samples", status_code=201, responses=problems(*CHANGES))
def samples(server: ServerPart) -> Added:
    """Add the sample scans of sonoseg: synthetic, of no patient, with their pixel spacing."""
    if server.settings.read_only:
        raise read_only()
    took = import_samples(server.store, server.settings.limits)
    return _added(server, took.items, took.refused)


def _added(server: Server, items: list[Item], refused: list[RejectedUpload]) -> Added:
    server.metrics.uploads.labels("added").inc(len({item.clip for item in items}))
    server.metrics.uploads.labels("refused").inc(len(refused))
    listed = [RefusedUpload(name=one.name, found=one.found, remedy=one.remedy) for one in refused]
    if not items:
        first = refused[0]
        raise Unusable(
            first.found if len(refused) == 1 else f"none of the {len(refused)} files can be used",
            where=first.name if len(refused) == 1 else "files",
            remedy=first.remedy if len(refused) == 1 else "See the reason of each",
            more={"refused": [one.model_dump() for one in listed]},
        )
    server.predictions.notify()
    return Added(items=[server.predictions.shown(item) for item in items], refused=listed)


@router.get("/items/{id}", responses=problems(404))
def item(identity: ID, server: ServerPart) -> ItemDetail:
    """One item, with the lesions of its current mask, measured, and the review."""
    store = server.store
    found = server.predictions.shown(store.item(identity))
    return ItemDetail.model_validate(
        found.model_dump()
        | {
            "findings": store.lesions(identity),
            "review": store.review(identity),
            "model_threshold": store.threshold(identity),
        }
    )


class RulerProposal(BaseModel):
    """What the distance of two ticks may be, in mm, and the millimetres per pixel that follow."""

    tick: float
    spacing: float


class Ruler(BaseModel):
    """The depth ruler beside a scan: a proposal for `calibrate`, which a reader confirms.

    ends: of the ruler, row and column. count: of its ticks. proposals: the likeliest first.
    """

    ends: tuple[tuple[float, float], tuple[float, float]]
    count: int
    proposals: list[RulerProposal]


class Rulers(BaseModel):
    """The ruler; null where none is plain."""

    ruler: Ruler | None


@router.get("/items/{id}/ruler", responses=problems(404))
def ruler(identity: ID, server: ServerPart) -> Rulers:
    """The depth ruler beside the scan, read also outside of a DICOM file's ultrasound regions."""
    found = find_depth_ruler(server.store.frame(identity, keep_burned_in=True).pixels)
    if found is None:
        return Rulers(ruler=None)
    proposals = [RulerProposal(tick=one.tick, spacing=one.spacing) for one in found.proposals]
    ends = (found.first, found.column), (found.last, found.column)
    return Rulers(ruler=Ruler(ends=ends, count=found.count, proposals=proposals))


class CalibratedItem(BaseModel):
    """The item with its new sizes.

    changed: items with the new spacing; signed: left, because they are signed; own: of the exam or device,
    left with the spacing of their file, or that was given.
    """

    item: ItemDetail
    changed: int
    signed: int
    own: int


@router.post("/items/{id}/calibrate", responses=problems(400, 404, 409, *CHANGES))
def calibrate_by_hand(identity: ID, line: KnownLength, server: ServerPart) -> CalibratedItem:
    """Set the pixel spacing from a line of known length, and measure the lesions again."""
    if server.settings.read_only:
        raise read_only()
    done = calibrate(server.store, identity, line)
    return CalibratedItem(item=item(identity, server), changed=done.changed, signed=done.signed, own=done.own)


@router.post("/items/{id}/predict", status_code=202, responses=problems(403, 404))
def predict(identity: ID, server: ServerPart) -> Item:
    """Predict an item before the rest of the list, unless it has a prediction."""
    server.predictions.request(identity)
    return server.predictions.shown(server.store.item(identity))


@router.get("/items/{id}/image.png", response_class=Response, responses=PNG | problems(404))
def image(request: Request, identity: ID, server: ServerPart) -> Response:
    """The grey image on its own pixel grid; of a DICOM file only its ultrasound regions."""
    return png(request, encode_png(server.store.frame(identity).pixels), identity, FOREVER)


@router.get("/items/{id}/thumbnail.png", response_class=Response, responses=PNG | problems(404))
def thumbnail(request: Request, identity: ID, server: ServerPart) -> Response:
    """A thumbnail, at most 160 pixels wide and high."""
    return png(request, server.store.thumbnail(identity), f"{identity}-small", FOREVER)


@router.get("/items/{id}/probability.png", response_class=Response, responses=PNG | problems(404))
def probability(request: Request, identity: ID, server: ServerPart) -> Response:
    """The model's probabilities, grey of 8 bits: 255 is 1."""
    values = server.store.probability(identity)
    if values is None:
        raise not_predicted(identity)
    return png(request, images.fraction_png(values), _of_model(server, identity))


@router.get("/items/{id}/uncertainty.png", response_class=Response, responses=PNG | problems(404))
def uncertainty(request: Request, identity: ID, server: ServerPart) -> Response:
    """The band in which the contour of the model's mask may lie: 255 inside it, 0 elsewhere."""
    from sonoseg.inference.uncertainty import uncertainty_band

    values, threshold = server.store.probability(identity), server.store.threshold(identity)
    if values is None or threshold is None:
        raise not_predicted(identity)
    inner, outer = uncertainty_band(values, server.store.mask(identity, 0), threshold)
    return png(request, images.mask_png(outer & ~inner), _of_model(server, identity))


@router.get("/items/{id}/attention/{k}.png", response_class=Response, responses=PNG | problems(404, 409))
async def attention(request: Request, identity: ID, k: int, server: ServerPart) -> Response:
    """One attention gate's coefficients, grey of 8 bits: 255 is 1. Gate 1 is nearest the bottleneck.

    They are worked out when they are asked for first.
    """
    data = await in_thread(lambda: server.store.attention_png(identity, k))
    if data is None:
        data = await _attention(server, identity, k)
    return png(request, data, _of_model(server, identity))


async def _attention(server: Server, identity: str, k: int) -> bytes:
    item = await in_thread(lambda: server.store.item(identity))
    predictor = server.predictions.predictor
    if item.model_hash is None:
        raise not_predicted(identity)
    if predictor is not None and not 1 <= k <= server.predictions.gates():
        raise NotThere(
            f"the model has {server.predictions.gates()} attention gates",
            where=f"{identity}, gate {k}",
            remedy="See model.gates of GET /api/v1/about",
        )
    if predictor is not None and item.model_hash != predictor.model.hash:
        raise WrongStatus(
            "its prediction is another model's",
            where=identity,
            remedy="Start the server with that model to see its attention",
        )
    found = await asyncio.wrap_future(
        server.predictions.predict_once(lambda: server.store.frame(identity), attention=True)
    )
    maps: dict[str, Any] = found.attention or {}
    if not server.settings.read_only:
        await in_thread(lambda: server.store.save_attention(identity, maps))
    return images.fraction_png(maps[f"attention_{k}"])


def not_predicted(identity: str) -> NotThere:
    """The refusal where the model has not seen an item yet."""
    return NotThere("the model has not seen it yet", where=identity, remedy="Ask POST .../predict, and wait")


def _of_model(server: Server, identity: str) -> str:
    return f"{identity}-{server.store.item(identity).model_hash}"
