"""`sonoseg pacs serve`: run the node beside a PACS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from sonoseg._util.packages import require
from sonoseg.cli.common import err, out
from sonoseg.errors import UsageError

if TYPE_CHECKING:
    from sonoseg.pacs.node import Node


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Settings file (TOML): see docs/pacs.md.")
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(help="Destination of the results: AE@HOST:PORT, or the root of DICOMweb, http(s)://..."),
    ] = None,
    ae: Annotated[str | None, typer.Option(help="Our AE title.")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port; 0 is any free one.")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="An AE title that may send; repeatable; '*' is any.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder of received instances until their results are sent.")
    ] = None,
    send_back: Annotated[
        list[str] | None, typer.Option(help="Results to send: seg, sr, capture; repeatable.")
    ] = None,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Blank patient and study attributes in the results.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="A model folder or training run; the shipped model by default."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Our certificate (PEM, with its chain): callers must use TLS.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Its key (PEM), unless the certificate's file contains it.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="Authorities (PEM) that must have signed a caller's certificate.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Requeue failed instances.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the address and errors.")] = False,
) -> None:
    """Receive ultrasound, segment it, and send the results to the archive.

    An instance is on disk before its sender gets a response. A stopped or killed node resumes when it is
    started with the same folder. Options override the settings file. Ctrl-C stops after the current instance.
    """
    require("pacs", "pynetdicom", "dicomweb_client")
    require("dicom", "pydicom", "highdicom")
    from sonoseg.cli.warnings_display import plain_warnings, warn
    from sonoseg.pacs.node import Node
    from sonoseg.pacs.node_settings import load_settings

    if (key or ca) and certificate is None:
        raise UsageError("--key or --ca without --certificate", remedy="Give --certificate too")
    settings = load_settings(
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
        tls=None if certificate is None else {"certificate": certificate, "key": key, "ca": ca},
    )
    with plain_warnings():
        node = Node(settings, report=warn)
        if retry_failed:
            err.print(f"{node.retry_failed():,} failed instances requeued")
        node.run(lambda: _print_start(node, quiet=quiet))
    if not quiet:
        err.print(f"Stopped. The queue is in {escape(str(settings.state))}", soft_wrap=True)


def _print_start(node: Node, *, quiet: bool) -> None:
    from sonoseg import RESEARCH_ONLY
    from sonoseg.pacs.queue_rows import InstanceState

    settings = node.settings
    secure = " with TLS" if settings.tls else ""
    out.print(escape(f"{settings.ae} listens on {settings.host}, port {node.port}{secure}"), soft_wrap=True)
    if not quiet:
        senders = ", ".join(settings.allowed) or "any AE title"
        counts = node.queue.counts()
        waiting = counts[InstanceState.RECEIVED] + counts[InstanceState.SEGMENTED]
        out.print(f"Senders: {escape(senders)}. Archive: {escape(str(settings.archive))}", soft_wrap=True)
        out.print(f"Model: {escape(node.model)}. Queued instances: {waiting:,}", soft_wrap=True)
        out.print(RESEARCH_ONLY, style="bold")
    out.file.flush()  # for readers of a pipe
