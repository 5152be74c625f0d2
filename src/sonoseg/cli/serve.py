"""`sonoseg serve`: the review page and its HTTP API, on this machine or for a ward."""

from __future__ import annotations

import ipaddress
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.choices import PrecisionChoice, RuntimeChoice
from sonoseg.cli.common import err, out
from sonoseg.errors import OutputError, UsageError

if TYPE_CHECKING:
    from sonoseg.image.frame import Spacing
    from sonoseg.review.settings import Settings
    from sonoseg.review.store import Store

LOOPBACK = ("localhost", "127.0.0.1", "::1")
LEAST_TOKEN = 16


def serve(
    paths: Annotated[
        list[str] | None,
        typer.Argument(help="Images, folders (with all below them), or globs to begin with."),
    ] = None,
    state: Annotated[
        Path, typer.Option("--state", help="The folder that keeps images, masks, reviews and the log.")
    ] = Path("sonoseg-reviews"),
    host: Annotated[
        str, typer.Option(help="The address to listen on; beyond this machine a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is any that is free.")] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SONOSEG_TOKEN", show_envvar=True, help="What each request must carry; new: make one up."
        ),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse whatever would change the state.")
    ] = False,
    pacs: Annotated[
        Path | None,
        typer.Option(help="The state folder of `sonoseg pacs serve`: the page /pacs shows its queue."),
    ] = None,
    certfile: Annotated[
        Path | None, typer.Option(help="A certificate (PEM, with its chain): the server speaks HTTPS.")
    ] = None,
    keyfile: Annotated[
        Path | None, typer.Option(help="Its key, where the certificate's file has none.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="A model folder or training run; the shipped model by default."),
    ] = None,
    runtime: Annotated[
        RuntimeChoice, typer.Option(help="What runs the network: the fastest installed one by default.")
    ] = RuntimeChoice.auto,
    precision: Annotated[
        PrecisionChoice,
        typer.Option(help="What it computes in: the fastest that the card allows by default."),
    ] = PrecisionChoice.auto,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of the network; the runtime's choice by default.")
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(
            help="Millimetres per pixel of PATHS, one number or ROW,COLUMN; before what a file says."
        ),
    ] = None,
    max_bytes: Annotated[int, typer.Option(min=1024, help="Bytes of one file.")] = 64 << 20,
    max_pixels: Annotated[int, typer.Option(min=256, help="Pixels of one image or frame.")] = 16_000_000,
    max_frames: Annotated[int, typer.Option(min=1, help="Frames of one clip.")] = 1000,
    queue: Annotated[
        int, typer.Option(min=1, help="Images that may wait for the model; beyond it requests are put off.")
    ] = 64,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say only the address and what went wrong.")
    ] = False,
) -> None:
    """Open the review page: see what the model found, correct, measure, sign.

    Everything is kept in the folder of --state as it happens; start again with the same folder to go on.
    Stop with Ctrl-C.
    """
    require("server", "fastapi", "uvicorn", "python_multipart", "prometheus_client")
    import secrets

    if token == "new":
        token = secrets.token_urlsafe(24)
    local = is_loopback(host)
    _check(host, token, local=local, read_only=read_only, paths=paths or [])
    check_certificate(certfile, keyfile)
    if pacs is not None:
        _check_node(pacs)
    from sonoseg.cli.predict import parse_spacing
    from sonoseg.cli.warnings_display import plain_warnings
    from sonoseg.review.app import create_app
    from sonoseg.review.settings import ServerLimits, Settings

    given = None if spacing is None else parse_spacing(spacing)
    listening = listen(host, port)
    with listening, plain_warnings():
        settings = Settings(
            folder=state,
            read_only=read_only,
            token=token,
            hosts=(*LOOPBACK, host) if local and token is None else (),
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
        _check_model(settings)
        app = create_app(settings)
        store = app.state.server.store
        try:
            if paths:
                _take(store, paths, settings, given, quiet=quiet)
            address = address_of(listening, host, secure=certfile is not None)
            _tell(address, token, state, pacs, quiet=quiet)
            if browser:
                _open(login_of(address, token))
            _run(app, listening, certfile, keyfile)
        finally:
            store.close()
    if not quiet:
        err.print(f"Stopped. Everything is in {escape(str(state))}", soft_wrap=True)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there. Raises UsageError for an unknown name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"'{host}' is no address", where="--host", remedy="Give 127.0.0.1 or 0.0.0.0"
        ) from error
    return all(ipaddress.ip_address(str(one[4][0]).split("%")[0]).is_loopback for one in found)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises UsageError where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen there: {reason}", where=f"{host}, port {port}", remedy="Choose another --port"
        ) from error


def address_of(listening: socket.socket, host: str, *, secure: bool) -> str:
    """What a browser is to be told."""
    port = listening.getsockname()[1]
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"{'https' if secure else 'http'}://{f'[{name}]' if ':' in name else name}:{port}/"


def login_of(address: str, token: str | None) -> str:
    """The address that shows the token once, or the plain one."""
    from urllib.parse import quote

    return address if token is None else f"{address}login?token={quote(token, safe='')}"


def check_certificate(certfile: Path | None, keyfile: Path | None) -> None:
    """Raise UsageError unless the two belong together and can be read, or neither is given."""
    import ssl

    if certfile is None:
        if keyfile is not None:
            raise UsageError("a key without a certificate", where="--keyfile", remedy="Give --certfile too")
        return
    try:
        # A password cannot be asked for: none fits, and ssl says so.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile, password=lambda: "")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise UsageError(
            f"this certificate, or its key, cannot be used ({error})",
            where=certfile,
            remedy="Give PEM files that belong together, the key without a password",
        ) from error


def _check(host: str, token: str | None, *, local: bool, read_only: bool, paths: list[str]) -> None:
    if not local and token is None:
        raise UsageError(
            f"{host} can be reached from other machines, and there is no token",
            where="--host",
            remedy="Give --token new, which makes one up, or your own in SONOSEG_TOKEN",
        )
    if token is not None and (not token.isascii() or not token.isprintable() or " " in token):
        raise UsageError(
            "a token with spaces or letters beyond ASCII", where="--token", remedy="Use letters and digits"
        )
    if token is not None and len(token) < LEAST_TOKEN:
        raise UsageError(
            f"a token of {len(token)} characters",
            where="--token",
            remedy=f"Give at least {LEAST_TOKEN}, or --token new, which makes one up",
        )
    if read_only and paths:
        raise UsageError(
            "images to take in, and --read-only", where="PATHS", remedy="Leave one of the two out"
        )


def _check_node(folder: Path) -> None:
    """Raise OutputError where this sonoseg does not read that queue; one that is not there yet may come."""
    from sonoseg.pacs.queue_rows import DATABASE, Rows

    if (folder / DATABASE).is_file():
        Rows(folder).close()
    elif folder.exists() and not folder.is_dir():
        raise UsageError("no folder", where=folder, remedy="Name the --state of `sonoseg pacs serve`")
    else:
        err.print(f"[yellow]No node has worked in {escape(str(folder))} yet[/]", soft_wrap=True)


def _check_model(settings: Settings) -> None:
    """Say at once what is wrong with the model; its engine starts beside the first requests."""
    from sonoseg.model.model import Model

    if settings.runtime == "openvino":
        require("openvino", "openvino")
    elif settings.runtime == "torch":
        require("train", "torch")
    Model.load(settings.model)


def _take(
    store: Store, paths: list[str], settings: Settings, spacing: Spacing | None, *, quiet: bool
) -> None:
    from sonoseg.cli.warnings_display import LateBar
    from sonoseg.inputs.file_search import find_images
    from sonoseg.review.intake import take_paths

    images = find_images(paths, skip=[store.folder])
    with LateBar("Taking in", len(images), shown=not quiet) as bar:
        took = take_paths(store, images, settings.limits, spacing, each=bar.advance)
    for one in took.refused:
        err.print(f"[yellow]refused:[/] {escape(one.name)}: {escape(one.found)}", soft_wrap=True)
    if not took.items:
        raise OutputError(
            f"none of the {len(images):,} files can be used", remedy="Name images, or leave PATHS out"
        )


def _tell(address: str, token: str | None, state: Path, pacs: Path | None, *, quiet: bool) -> None:
    from sonoseg import RESEARCH_ONLY

    out.print(f"The review page is at {escape(address)}", soft_wrap=True)
    if pacs is not None:
        out.print(f"The node's queue is at {escape(address)}pacs", soft_wrap=True)
    if token is not None:
        out.print(f"The first time, open {escape(login_of(address, token))}", soft_wrap=True)
    if not quiet:
        out.print(f"Everything is kept in {escape(str(state))}. Stop with Ctrl-C.", soft_wrap=True)
        out.print(RESEARCH_ONLY, style="bold")
    out.file.flush()  # somebody may read it from a pipe


def _open(address: str) -> None:
    import threading
    import webbrowser

    # The socket listens already; the answer comes as soon as the server runs.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _run(app: object, listening: socket.socket, certfile: Path | None, keyfile: Path | None) -> None:
    """Serve until SIGINT or SIGTERM; requests in hand are finished, for some seconds."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app,  # type: ignore[arg-type]
            log_level="warning",
            access_log=False,  # it would keep the token of /login, and the metrics count requests
            server_header=False,
            ssl_certfile=certfile,
            ssl_keyfile=keyfile,
            timeout_graceful_shutdown=10,
            lifespan="on",
        )
    )
    # uvicorn stops on these, and then sends them again to whoever handled them before: that is nobody.
    former = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if not server.started:
        raise OutputError("the server could not start", remedy="See what is said above")
