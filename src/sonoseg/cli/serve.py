"""`sonoseg serve`: the review page and its HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.choices import PrecisionChoice, RuntimeChoice
from sonoseg.cli.common import err
from sonoseg.cli.options import ModelFolder, PixelSpacing, Precision, Quiet, Runtime
from sonoseg.errors import UsageError


def serve(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Images, folders (recursive) or globs to add.")
    ] = None,
    state: Annotated[
        Path, typer.Option("--state", help="The folder for images, masks, reviews and the log.")
    ] = Path("sonoseg-reviews"),
    host: Annotated[
        str, typer.Option(help="The address to listen on; a token is required beyond this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any free one.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SONOSEG_TOKEN", show_envvar=True, help="Required of each request; new: generate one."
        ),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Refuse every change of the state.")] = False,
    pacs: Annotated[
        Path | None, typer.Option(help="The state folder of `sonoseg pacs serve`: /pacs shows its queue.")
    ] = None,
    certfile: Annotated[
        Path | None, typer.Option(help="A certificate (PEM, with its chain) for HTTPS.")
    ] = None,
    keyfile: Annotated[Path | None, typer.Option(help="Its key, unless the certificate file has it.")] = None,
    model: ModelFolder = None,
    runtime: Runtime = RuntimeChoice.auto,
    precision: Precision = PrecisionChoice.auto,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of the network.")] = None,
    spacing: PixelSpacing = None,
    max_bytes: Annotated[int, typer.Option(min=1024, help="Bytes of one file.")] = 64 << 20,
    max_pixels: Annotated[int, typer.Option(min=256, help="Pixels of one image or frame.")] = 16_000_000,
    max_frames: Annotated[int, typer.Option(min=1, help="Frames of one clip.")] = 1000,
    queue: Annotated[int, typer.Option(min=1, help="Images that may wait for the model.")] = 64,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    quiet: Quiet = False,
) -> None:
    """Serve the review page: look at predictions, correct, measure, sign.

    All changes are stored in the folder of --state at once; start again with the same folder to continue.
    Stop with Ctrl-C.
    """
    require("server", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    import secrets

    from sonoseg.cli.options import parse_spacing
    from sonoseg.cli.serve_output import add_files, print_address
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.review.server_process import ReviewServer, open_browser
    from sonoseg.review.settings import ServerLimits, Settings

    if read_only and paths:
        raise UsageError("PATHS with --read-only", where="PATHS", remedy="Leave one of the two out")
    given = None if spacing is None else parse_spacing(spacing)
    if given is not None and not paths:
        raise UsageError(
            "it takes no effect without PATHS",
            where="--spacing",
            remedy="Name the files again that it is for, or calibrate on the page",
        )
    extra = {"openvino": ("openvino", "openvino"), "torch": ("train", "torch")}.get(runtime.value)
    if extra is not None:
        require(*extra)
    settings = Settings(
        folder=state,
        read_only=read_only,
        token=secrets.token_urlsafe(24) if token == "new" else token,
        pacs=pacs,
        model=model,
        runtime=runtime.value,
        precision=precision.value,
        threads=threads,
        limits=ServerLimits(
            max_bytes=max_bytes,
            max_body=max(max_bytes + (1 << 20), 256 << 20),
            max_pixels=max_pixels,
            max_frames=max_frames,
            queue_length=queue,
        ),
    )
    with (
        plain_warnings(),
        ReviewServer(settings, host=host, port=port, certfile=certfile, keyfile=keyfile) as server,
    ):
        if paths:
            add_files(server, paths, given, quiet=quiet)
        print_address(server, quiet=quiet)
        if browser:
            open_browser(server.login)
        server.run()
    if not quiet:
        err.print(f"Stopped. The state is in {escape(str(state))}", soft_wrap=True)
