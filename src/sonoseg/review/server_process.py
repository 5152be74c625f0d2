"""Run the review server: its address, who may reach it, its certificate, and the process until a signal.

with ReviewServer(Settings(folder=Path("reviews"))) as server:
    server.run()
"""

from __future__ import annotations

import ipaddress
import signal
import socket
import ssl
import threading
import warnings
import webbrowser
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sonoseg.errors import OutputError, SonosegWarning, UsageError

if TYPE_CHECKING:
    from types import TracebackType

    from fastapi import FastAPI

    from sonoseg.review.settings import Settings
    from sonoseg.review.store import Store

LOOPBACK = ("localhost", "127.0.0.1", "::1")

MIN_TOKEN = 16
"""Fewest characters of a token."""


class ReviewServer:
    """A review server that listens at its address; a context manager.

    settings: its `hosts` are set from the address. host, port: to listen on; 0 is any free port.
    certfile, keyfile: for HTTPS, PEM.
    address: of the page. login: the address that also sets the token's cookie. store: the state.

    Raises UsageError for an address, token or certificate that cannot be used, ModelError for a wrong model,
    OutputError for a state folder that cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        host: str = "127.0.0.1",
        port: int = 8765,
        certfile: Path | None = None,
        keyfile: Path | None = None,
    ) -> None:
        from sonoseg.model.model import Model
        from sonoseg.review.app import create_app

        check_access(host, settings.token)
        check_certificate(certfile, keyfile)
        if settings.pacs is not None:
            check_node(settings.pacs)
        self.settings = settings.model_copy(update={"hosts": allowed_hosts(host, settings.token)})
        self._certfile, self._keyfile = certfile, keyfile
        self._listening = listen(host, port)
        try:
            Model.load(settings.model)  # reported at once; its engine starts beside the first requests
            self.app = create_app(self.settings)
        except BaseException:
            self._listening.close()
            raise
        self.store: Store = self.app.state.server.store
        self.address = address_of(self._listening, host, secure=certfile is not None)
        self.login = login_of(self.address, settings.token)

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM; see `run`. Raises OutputError."""
        run(self.app, self._listening, certfile=self._certfile, keyfile=self._keyfile)

    def __enter__(self) -> ReviewServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.store.close()
        self._listening.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. Raises UsageError for an unknown name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"'{host}' is not an address", where="--host", remedy="Give 127.0.0.1 or 0.0.0.0"
        ) from error
    return all(ipaddress.ip_address(str(one[4][0]).split("%")[0]).is_loopback for one in found)


def allowed_hosts(host: str, token: str | None) -> tuple[str, ...]:
    """The host names that a server without a token on this machine answers to; () for any.

    Without a token, this keeps web pages of other sites from reaching the server by a name of theirs.
    """
    return (*LOOPBACK, host) if token is None and is_loopback(host) else ()


def check_access(host: str, token: str | None) -> None:
    """Check that a server others can reach has a token, and that the token is usable. Raises UsageError."""
    if token is None:
        if not is_loopback(host):
            raise UsageError(
                f"{host} can be reached from other machines, and there is no token",
                where="--host",
                remedy="Give --token new, which generates one, or set SONOSEG_TOKEN",
            )
        return
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            "the token has spaces or characters beyond ASCII",
            where="--token",
            remedy="Use letters and digits",
        )
    if len(token) < MIN_TOKEN:
        raise UsageError(
            f"the token has {len(token)} characters",
            where="--token",
            remedy=f"Give at least {MIN_TOKEN}, or --token new, which generates one",
        )


def check_certificate(certfile: Path | None, keyfile: Path | None) -> None:
    """Check that a certificate and its key belong together, or that neither is given. Raises UsageError."""
    if certfile is None:
        if keyfile is not None:
            raise UsageError("a key without a certificate", where="--keyfile", remedy="Give --certfile too")
        return
    try:
        # An encrypted key would ask for a password on the terminal: an empty one is refused by ssl instead.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile, password=lambda: "")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise UsageError(
            f"the certificate or its key cannot be used: {error}",
            where=certfile,
            remedy="Give PEM files that belong together, the key without a password",
        ) from error


def check_node(folder: Path) -> None:
    """Check that the queue in a node's state folder can be read; warn where no node has used it yet.

    Raises UsageError where `folder` is a file, OutputError for a queue of another version.
    """
    from sonoseg.pacs.queue_rows import DATABASE, QueueReader

    if (folder / DATABASE).is_file():
        QueueReader(folder).close()
    elif folder.exists() and not folder.is_dir():
        raise UsageError("not a folder", where=folder, remedy="Give the --state of `sonoseg pacs serve`")
    else:
        warnings.warn(f"no node has used {folder} yet", SonosegWarning, stacklevel=2)


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket. Raises UsageError where the address is in use or not of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"cannot listen: {reason}", where=f"{host}, port {port}", remedy="Choose another --port"
        ) from error


def address_of(listening: socket.socket, host: str, *, secure: bool) -> str:
    """The URL of the server for a browser."""
    port = listening.getsockname()[1]
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    return f"{'https' if secure else 'http'}://{f'[{name}]' if ':' in name else name}:{port}/"


def login_of(address: str, token: str | None) -> str:
    """The URL that sets the token's cookie, or `address` without a token."""
    return address if token is None else f"{address}login?token={quote(token, safe='')}"


def open_browser(address: str) -> None:
    """Open the page in the browser, in a thread; the socket listens already, so the request waits."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def run(
    app: FastAPI, listening: socket.socket, *, certfile: Path | None = None, keyfile: Path | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; running requests get some seconds to end. Raises OutputError."""
    from sonoseg.review.connection_limits import LimitedServer

    server = LimitedServer(
        app,
        log_level="warning",
        access_log=False,  # it would contain the token of /login; the metrics count requests
        server_header=False,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
        timeout_graceful_shutdown=10,
        lifespan="on",
    )
    # uvicorn stops on these signals, then raises them again for the previous handler, which must ignore them.
    signals: Iterable[signal.Signals] = (signal.SIGINT, signal.SIGTERM)
    former = {number: signal.signal(number, lambda *_: None) for number in signals}
    try:
        with suppress(KeyboardInterrupt), warnings.catch_warnings():
            # What is uncertain about an image is shown with it; each reading of its file would log it again.
            warnings.simplefilter("ignore", SonosegWarning)
            server.run(sockets=[listening])
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if not server.started:
        raise OutputError("the server could not start", remedy="See the messages above")
