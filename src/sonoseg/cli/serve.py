"""`sonoseg serve`: the review page and its HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.choices import PrecisionChoice, RuntimeChoice
from sonoseg.cli.common import err, out
from sonoseg.cli.options import ModelFolder, PixelSpacing, Precision, Quiet, Runtime
from sonoseg.errors import OutputError, UsageError

if TYPE_CHECKING:
    from sonoseg.image.calibration import Spacing
    from sonoseg.review.settings import Settings
    from sonoseg.review.store import Store


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
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.model.model import Model
    from sonoseg.review import server_process as process
    from sonoseg.review.app import create_app
    from sonoseg.review.settings import ServerLimits, Settings

    token = secrets.token_urlsafe(24) if token == "new" else token
    process.check_access(host, token)
    process.check_certificate(certfile, keyfile)
    if read_only and paths:
        raise UsageError("PATHS with --read-only", where="PATHS", remedy="Leave one of the two out")
    if pacs is not None:
        process.check_node(pacs)
    given = None if spacing is None else parse_spacing(spacing)
    if given is not None and not paths:
        raise UsageError(
            "it takes no effect without PATHS",
            where="--spacing",
            remedy="Name the files again that it is for, or calibrate on the page",
        )
    with process.listen(host, port) as listening, plain_warnings():
        settings = Settings(
            folder=state,
            read_only=read_only,
            token=token,
            hosts=process.allowed_hosts(host, token),
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
        extra = {"openvino": ("openvino", "openvino"), "torch": ("train", "torch")}.get(runtime.value)
        if extra is not None:
            require(*extra)
        Model.load(model)  # a wrong model is reported at once; its engine starts beside the first requests
        app = create_app(settings)
        store = app.state.server.store
        try:
            if paths:
                _add(store, paths, settings, given, quiet=quiet)
            address = process.address_of(listening, host, secure=certfile is not None)
            _print_address(address, process.login_of(address, token), state, pacs, quiet=quiet)
            if browser:
                process.open_browser(process.login_of(address, token))
            process.run(app, listening, certfile=certfile, keyfile=keyfile)
        finally:
            store.close()
    if not quiet:
        err.print(f"Stopped. The state is in {escape(str(state))}", soft_wrap=True)


def _add(store: Store, paths: list[str], settings: Settings, spacing: Spacing | None, *, quiet: bool) -> None:
    from sonoseg.cli.warnings_display import LateBar, plain_warnings
    from sonoseg.inputs.file_search import find_images
    from sonoseg.review.file_import import import_paths, refuse_links

    with plain_warnings():  # shown now, not when the server stops
        images = find_images(paths, skip=[store.folder])
    inside, links = refuse_links(images, paths)
    with LateBar("Adding images", len(inside), shown=not quiet) as bar:
        took = import_paths(store, inside, settings.limits, spacing, each=bar.advance)
    for one in (*links, *took.refused):
        err.print(f"[yellow]refused:[/] {escape(one.name)}: {escape(one.found)}", soft_wrap=True)
    if not took.items:
        raise OutputError(
            f"none of the {len(images):,} files can be used", remedy="Name images, or leave PATHS out"
        )


def _print_address(address: str, login: str, state: Path, pacs: Path | None, *, quiet: bool) -> None:
    from sonoseg import RESEARCH_ONLY

    out.print(f"Review page: {escape(address)}", soft_wrap=True)
    if pacs is not None:
        out.print(f"Queue of the node: {escape(address)}pacs", soft_wrap=True)
    if login != address:
        out.print(f"Log in once at {escape(login)}", soft_wrap=True)
    if not quiet:
        out.print(f"The state is stored in {escape(str(state))}. Stop with Ctrl-C.", soft_wrap=True)
        out.print(RESEARCH_ONLY, style="bold")
    out.file.flush()  # a program may read it from a pipe
