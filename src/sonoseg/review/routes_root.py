"""Routes outside the API: health, readiness, metrics, login, and the page."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.staticfiles import StaticFiles

from sonoseg.review.error_responses import Problem, problems
from sonoseg.review.http_errors import Busy, NoToken, NotThere, Refusal
from sonoseg.review.prometheus import CONTENT_TYPE
from sonoseg.review.request_context import HTML, TEXT, Server, ServerPart

router = APIRouter()

PAGE = Path(str(files("sonoseg.review") / "page"))

LOGGED_IN = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="dark light">
<meta http-equiv="refresh" content="0; url=./"><title>sonoseg review</title>
<p><a href="./">Go to the page</a></p></html>
"""
"""Not a redirect: after a cross-site navigation, browsers do not send the new SameSite cookie with one."""

YEAR = 365 * 24 * 3600

Given = Annotated[str, Field(max_length=1000)]


class Health(BaseModel):
    """The server runs."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """The model is loaded. waiting: submitted images without a result."""

    status: Literal["ready"]
    waiting: int


class Login(BaseModel):
    """The token."""

    model_config = ConfigDict(extra="forbid")

    token: Given


class NotReady(Refusal):
    """The model cannot be loaded."""

    status = 503


@router.get("/health")
async def health() -> Health:
    """Whether the server runs; needs no token."""
    return Health(status="ok")


@router.get("/ready", responses={503: {"model": Problem, "description": "The model is not loaded (yet)."}})
async def ready(server: ServerPart) -> Readiness:
    """Whether the model is loaded; needs no token."""
    if not server.predictions.ready:
        fault = server.predictions.fault
        if fault is not None:
            raise NotReady(f"the model cannot be used: {fault.found}", remedy=fault.remedy)
        raise Busy("the model is being loaded", retry_after=2)
    return Readiness(status="ready", waiting=server.predictions.depth)


@router.get(
    "/metrics",
    response_class=Response,
    responses=TEXT | problems(),
)
def metrics(server: ServerPart) -> Response:
    """Metrics for Prometheus."""
    return Response(server.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


@router.get(
    "/login",
    response_class=Response,
    responses=HTML | {401: {"model": Problem, "description": "The token is wrong."}, 422: {"model": Problem}},
)
async def login(
    request: Request, server: ServerPart, token: Annotated[str, Query(max_length=1000)] = ""
) -> Response:
    """Log in with the token; sets a cookie that scripts cannot read."""
    response = HTMLResponse(LOGGED_IN)
    if token or server.token is None:
        _set_cookie(request, response, server, token)
    return response


@router.post(
    "/login",
    status_code=204,
    responses={
        401: {"model": Problem, "description": "The token is wrong."},
        **{status: problems(400, 403, 413)[status] for status in (400, 403, 413, 421, 422)},
    },
)
async def post_login(request: Request, server: ServerPart, login: Login) -> Response:
    """Log in with the token in the body, so that it is in no log of URLs."""
    response = Response(status_code=204)
    _set_cookie(request, response, server, login.token)
    return response


def _set_cookie(request: Request, response: Response, server: Server, given: str) -> None:
    token = server.token
    if token is None:
        return
    if not token.matches(given):
        raise NoToken("the token is wrong", remedy="Use the token of the server's start")
    response.set_cookie(
        token.cookie_name,
        token.cookie,
        max_age=YEAR,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


@router.get("/", include_in_schema=False)
def page() -> FileResponse:
    """The review page."""
    index = PAGE / "index.html"
    if not index.is_file():
        raise NotThere("the page is missing from this installation", remedy="Install sonoseg again")
    return FileResponse(index, headers={"Cache-Control": "no-cache"})


class PageFiles(StaticFiles):
    """The files of the page; browsers revalidate them at each request."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """The file of a path; none for a path with a null byte, on which older Starlettes fail."""
        return ("", None) if "\0" in path else super().lookup_path(path)

    def file_response(self, *args: object, **options: object) -> Response:
        """The file, or 304 where the browser has it."""
        response = super().file_response(*args, **options)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        if str(args[0]).endswith(".js"):  # some systems map .js to text/plain, which browsers do not run
            response.headers["Content-Type"] = "text/javascript; charset=utf-8"
        return response
