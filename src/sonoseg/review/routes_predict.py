"""The route that predicts one image without storing it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.image.frame import Frame
from sonoseg.inference.segmentation import Segmentation
from sonoseg.lesions.measurement import measure
from sonoseg.results.entries import ImageEntry
from sonoseg.results.schema import ImageResult, ModelIdentity
from sonoseg.results.tables import image_object
from sonoseg.review.error_responses import problems
from sonoseg.review.file_inspection import parse_spacing, read_one
from sonoseg.review.form_upload import Upload, receive
from sonoseg.review.http_errors import Unusable
from sonoseg.review.request_context import Server, ServerPart, in_thread

router = APIRouter()

FILE = {"type": "string", "format": "binary"}


class RunLengths(BaseModel):
    """A mask as run lengths, row by row, alternating from 0."""

    height: int
    width: int
    runs: Annotated[str, Field(description="Unsigned integers of 32 bits, little-endian, in base64.")]

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> RunLengths:
        """The runs of a mask bool (H, W); the first may be of length 0."""
        flat = np.concatenate(([False], mask.ravel()))
        edges = np.flatnonzero(flat[1:] != flat[:-1])
        runs = np.diff(np.concatenate(([0], edges, [mask.size]))).astype("<u4")
        return cls(height=mask.shape[0], width=mask.shape[1], runs=base64.b64encode(runs.tobytes()).decode())


class Predicted(ImageResult):
    """The entry of an image as in results.json, with the model and, on request, the mask."""

    model: ModelIdentity
    threshold: float
    runtime: str
    sonoseg: str
    notice: str
    mask: RunLengths | None


@router.post(
    "/predict",
    responses=problems(400, 403, 404, 413, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "One image: a form with the file in 'files', or its bytes as they are.",
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["files"],
                        "properties": {"files": FILE},
                    }
                },
                "application/octet-stream": {"schema": FILE},
            },
        }
    },
)
async def predict(
    request: Request,
    server: ServerPart,
    name: Annotated[str, Query(max_length=200, description="The name, for a body without a form.")] = (
        "image"
    ),
    spacing: Annotated[
        str, Query(max_length=40, description="Millimetres per pixel: 0.08, or 0.08,0.1 (row, column).")
    ] = "",
    mask: Annotated[bool, Query(description="Include the mask.")] = False,
    frame: Annotated[int | None, Query(ge=0, le=1 << 30, description="The frame of a clip, from 0.")] = None,
) -> Predicted:
    """Predict one image; neither the image nor the result is stored."""
    given = parse_spacing(spacing)
    form = await receive(
        request.stream(),
        request.headers.get("content-type", ""),
        name,
        server.scratch,
        server.settings.limits,
    )
    try:
        if len(form.files) != 1:
            raise Unusable(f"{len(form.files)} files", where="files", remedy="Send one")
        # Read here, since the file is removed before the queue may reach it.
        whole = await in_thread(
            lambda: read_one(form.files[0], server.settings.limits, spacing=given, number=frame)
        )
    finally:
        await in_thread(form.discard)
    found = await asyncio.wrap_future(server.predictions.predict_once(_reader_of(whole)))
    return await in_thread(lambda: _response(server, form.files[0], found, mask=mask))


def _reader_of(frame: Frame) -> Callable[[], Frame]:
    return lambda: frame


def _response(server: Server, arrived: Upload, found: Segmentation, *, mask: bool) -> Predicted:
    predictor = server.predictions.predictor
    assert predictor is not None
    frame = found.frame
    entry = ImageEntry(
        name=frame.name,
        file=arrived.name,
        shape=frame.shape,
        local_spacing=frame.calibration.whole,
        findings=measure(found),
        uncertainty=found.uncertainty,
        frame=frame.index,
        kind=frame.kind,
    )
    return Predicted.model_validate(
        image_object(entry)
        | {
            "model": {"name": predictor.model.card.name, "hash": predictor.model.hash},
            "threshold": found.threshold,
            "runtime": found.runtime,
            "sonoseg": __version__,
            "notice": RESEARCH_ONLY,
            "mask": RunLengths.of(found.mask) if mask else None,
        }
    )
