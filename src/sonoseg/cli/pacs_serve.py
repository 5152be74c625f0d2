"""`sonoseg pacs serve`: the node beside the archive."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out

if TYPE_CHECKING:
    from sonoseg.pacs.node import Node


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings, a TOML file: see docs/pacs.md.")
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(help="Where results go: AE@HOST:PORT, or the root of DICOMweb, http(s)://..."),
    ] = None,
    ae: Annotated[str | None, typer.Option(help="Our AE title.")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 is any that is free.")
    ] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="An AE title that may send; again for more; '*' is everyone.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="The folder that keeps what was received, until it is sent.")
    ] = None,
    send_back: Annotated[
        list[str] | None, typer.Option(help="What is sent back: seg, sr, capture; again for more.")
    ] = None,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Leave the patient and the study out of what is sent back.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="A model folder or training run; the shipped model by default."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Our certificate (PEM, with its chain): callers must speak TLS.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key, where the certificate's file has none.")] = None,
    ca: Annotated[
        Path | None, typer.Option(help="Authorities (PEM) that must have signed a caller's certificate.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Take in hand again what was given up.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say only the address and what went wrong.")
    ] = False,
) -> None:
    """Take ultrasound from the archive or its senders, segment it, and send the results back.

    What was received is on disk before its sender is told so; stopped or killed, start it again with the same
    folder. Options go before the settings file. Stop with Ctrl-C: the instance in hand is finished.
    """
    require("pacs", "pynetdicom", "dicomweb_client")
    require("dicom", "pydicom", "highdicom")
    from sonoseg.cli.warnings_display import plain_warnings, warn
    from sonoseg.errors import UsageError
    from sonoseg.pacs.node import Node
    from sonoseg.pacs.node_settings import load

    if (key or ca) and certificate is None:
        raise UsageError("a key or authorities without a certificate", remedy="Give --certificate too")
    tls: dict[str, Any] | None = None
    if certificate is not None:
        tls = {"certificate": certificate, "key": key, "ca": ca}
    settings = load(
        config,
        archive=archive,
        ae=ae,
        host=host,
        port=port,
        allow=allow or None,
        state=state,
        send_back=send_back or None,
        anonymise=anonymise or None,
        model=model,
        tls=tls,
    )
    with plain_warnings():
        node = Node(settings, tell=warn)
        if again:
            count = node.spool.again()
            node.audit.note("again", instances=count)
            err.print(f"{count:,} instances that were given up are in hand again")
        _run(node, quiet=quiet)
    if not quiet:
        err.print(f"Stopped. What waits is in {escape(str(settings.state))}", soft_wrap=True)


def _run(node: Node, *, quiet: bool) -> None:
    """Work until SIGINT or SIGTERM; a second one ends at once, and loses nothing either."""
    ended = threading.Event()
    former: dict[int, Any] = {}

    def end(number: int, _: object) -> None:
        ended.set()
        signal.signal(number, former[number] or signal.SIG_DFL)

    for each in (signal.SIGINT, signal.SIGTERM):
        former[each] = signal.signal(each, end)
    try:
        node.start()
        _tell(node, quiet=quiet)
        while not ended.wait(3600):
            pass
        node.stop()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _tell(node: Node, *, quiet: bool) -> None:
    from sonoseg import RESEARCH_ONLY
    from sonoseg.pacs.queue_rows import State

    settings = node.settings
    secure = " with TLS" if settings.tls else ""
    place = f"{settings.ae} listens on {settings.host}, port {node.port}{secure}"
    out.print(escape(place), soft_wrap=True)
    if not quiet:
        who = ", ".join(settings.allowed) or "everyone who reaches it"
        counts = node.spool.counts()
        waiting = counts[State.RECEIVED] + counts[State.SEGMENTED]
        out.print(f"May send: {escape(who)}. Results go to {escape(str(settings.archive))}", soft_wrap=True)
        out.print(f"Model: {escape(node.model)}. Waiting from before: {waiting:,}", soft_wrap=True)
        out.print(RESEARCH_ONLY, style="bold")
    out.file.flush()  # somebody may read it from a pipe
