"""What a server is told when it starts: its folder, its rights, its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sonoseg._util.validation import StrictModel

MIB = 1 << 20


class ServerLimits(StrictModel):
    """What is refused before it costs anything. They are shown by GET /api/v1/about.

    max_bytes: of one file. max_body: of one request, all its files together. max_files: of one request.
    max_pixels: of one image or frame, told by its header. max_frames: of one clip.
    queue_length: images that wait in front of the model; beyond it the answer is 503 with Retry-After.
    """

    max_bytes: Annotated[int, Field(ge=1024)] = 64 * MIB
    max_body: Annotated[int, Field(ge=1024)] = 256 * MIB
    max_files: Annotated[int, Field(ge=1)] = 1000
    max_pixels: Annotated[int, Field(ge=256)] = 16_000_000
    max_frames: Annotated[int, Field(ge=1)] = 1000
    queue_length: Annotated[int, Field(ge=1)] = 64


class Settings(StrictModel):
    """A server's settings.

    folder: the state folder; made where it is not there.
    read_only: whatever would change the state is refused (403); nothing is predicted for the list.
    token: asked of every request but /health and /ready; None asks for none.
    hosts: the names a request may address the server by, without the port; () takes any. Without a token
        this is what keeps other web pages from reaching a server on this machine by a name of theirs.
    model, runtime, precision, threads: as Predictor takes them.
    batch: most images a run of the network.
    pacs: the state folder of `sonoseg pacs serve`, whose queue is shown; None shows none.
    busy_seconds: how long a change waits for a locked database before it gives up (503).
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
