"""Settings of a review server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sonoseg._util.validation import StrictModel

MIB = 1 << 20


class ServerLimits(StrictModel):
    """Limits, checked before work is done; shown by GET /api/v1/about.

    max_bytes: of one file. max_body: of one request, all its files together. max_files: of one request.
    max_pixels: of one image or frame, by its header. max_frames: of one clip.
    queue_length: images that may wait for the model; beyond it requests get 503 with Retry-After.
    """

    max_bytes: Annotated[int, Field(ge=1024)] = 64 * MIB
    max_body: Annotated[int, Field(ge=1024)] = 256 * MIB
    max_files: Annotated[int, Field(ge=1)] = 1000
    max_pixels: Annotated[int, Field(ge=256)] = 16_000_000
    max_frames: Annotated[int, Field(ge=1)] = 1000
    queue_length: Annotated[int, Field(ge=1)] = 64


class Settings(StrictModel):
    """A server's settings.

    folder: the state folder; created unless it exists.
    read_only: every change is refused (403); nothing is predicted for the work list.
    token: required of every request but /health and /ready; None for none.
    hosts: accepted names in the Host header, without port; () for any. Without a token this keeps web pages
        of other sites from reaching a server on this machine (DNS rebinding).
    model, runtime, precision, threads: as Predictor takes them.
    batch: images per run of the network.
    pacs: the state folder of `sonoseg pacs serve`, whose queue is shown; None for none.
    busy_seconds: seconds that a change waits for a locked ledger before it fails (503).
    """

    folder: Path
    read_only: bool = False
    token: Annotated[str, Field(min_length=1)] | None = None
    hosts: tuple[str, ...] = ()
    pacs: Path | None = None
    model: Path | None = None
    runtime: str = "auto"
    precision: str = "auto"
    threads: Annotated[int, Field(ge=1)] | None = None
    batch: Annotated[int, Field(ge=1)] = 8
    busy_seconds: Annotated[float, Field(ge=0)] = 5.0
    limits: ServerLimits = ServerLimits()
