"""The FastAPI application: the parts of one server, its routes and middleware."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware import Middleware

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.inference.predictor import Predictor
from sonoseg.review import (
    routes_export,
    routes_items,
    routes_masks,
    routes_pacs,
    routes_predict,
    routes_reading,
    routes_root,
)
from sonoseg.review.error_responses import add_handlers
from sonoseg.review.predictions import Predictions
from sonoseg.review.prometheus import API, Metrics, RequestMetrics
from sonoseg.review.request_context import Server, mask_bytes
from sonoseg.review.security import AccessControl, BodyLimit, SecurityHeaders, Token
from sonoseg.review.settings import ServerLimits, Settings
from sonoseg.review.store import Store

MAX_JSON = 1 << 20
"""Bytes of a request without an image."""


def create_app(settings: Settings, predictor: Predictor | None = None) -> FastAPI:
    """Create the application, for uvicorn or a test client. It predicts during its lifespan.

    predictor: a loaded model; None loads the model of the settings in the background, and /ready reports when
    it is loaded.

    Raises OutputError where the state folder cannot be opened or another server uses it.
    """
    metrics = Metrics()
    store = Store(
        settings.folder,
        read_only=settings.read_only,
        exclusive=not settings.read_only,
        wait=settings.busy_seconds,
    )
    token = None if settings.token is None else Token(settings.token)
    scratch = tempfile.TemporaryDirectory(prefix="sonoseg-server-")
    server = Server(
        settings, store, Predictions(store, settings, metrics), metrics, token, Path(scratch.name)
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        from anyio.to_thread import run_sync

        async with AsyncExitStack() as stack:
            stack.callback(scratch.cleanup)
            stack.callback(store.close)
            server.predictions.start(predictor)
            stack.push_async_callback(run_sync, server.predictions.close)
            yield

    app = FastAPI(
        title="sonoseg",
        summary="Review of lesions in breast ultrasound.",
        description=RESEARCH_ONLY,
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # its page loads scripts from other hosts
        redoc_url=None,
        lifespan=lifespan,
        middleware=[
            Middleware(RequestMetrics, metrics=metrics),
            Middleware(SecurityHeaders),
            Middleware(AccessControl, token=token, hosts=settings.hosts),
            Middleware(BodyLimit, limit=lambda method, path: body_limit(settings.limits, path)),
        ],
        separate_input_output_schemas=False,
    )
    app.state.server = server
    add_handlers(app)
    for routes in (routes_items, routes_masks, routes_reading, routes_predict, routes_export, routes_pacs):
        app.include_router(routes.router, prefix=API)
    app.include_router(routes_pacs.page)
    app.include_router(routes_root.router)
    app.mount("/page", routes_root.PageFiles(directory=routes_root.PAGE), name="page")
    return app


def body_limit(limits: ServerLimits, path: str) -> int:
    """The largest accepted body of a request to this path, bytes."""
    if path in (f"{API}/items", f"{API}/predict"):
        return limits.max_body
    if path.endswith(("/mask", "/measure")):
        return mask_bytes(limits.max_pixels, 1)
    return MAX_JSON
