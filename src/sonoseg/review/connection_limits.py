"""Limits of the server's connections: how many, of one address and of all, and how slow they may be.

uvicorn limits running requests, but neither connections without one, nor their time. Here the listening
socket registers each connection that it accepts, the protocol reports what it is doing, and the server closes
those that are too many or too slow: the oldest without a request first.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from fastapi import FastAPI

log = logging.getLogger(__name__)

BURST = 64
"""The most connections that are accepted before others are served."""

RESERVED_FILES = 256
"""File descriptors left to the model, the state folder and uploads."""

LOG_SECONDS = 60.0
"""Closed connections and failed accepts are logged at most once in this time."""


@dataclass(frozen=True)
class ConnectionLimits:
    """What is allowed to connections. Times in seconds.

    connections: of all addresses; at most what the limit of open files leaves. per_address: of one address; a
    proxy counts as one. header_timeout: from the connection, or the last response, to the end of a request's
    header, TLS handshake included. body_timeout: the time in which at least `body_bytes` more of a request's
    body must arrive, or its end. write_timeout: the time in which a client must take some of a response.
    """

    connections: int = 256
    per_address: int = 64
    header_timeout: float = 10.0
    body_timeout: float = 20.0
    body_bytes: int = 16 << 10
    write_timeout: float = 60.0


class Phase(Enum):
    """What a connection is doing: waiting for a request's header, receiving its body, or responding."""

    HEADER = "header"
    BODY = "body"
    RESPONSE = "response"


@dataclass(eq=False)
class _Connection:
    socket: socket.socket
    host: str
    since: float
    phase: Phase = Phase.HEADER
    received: int = 0
    protocol: LimitedProtocol | None = None
    unsent: int = 0

    def begin(self, phase: Phase, now: float) -> None:
        """Enter a phase, or restart the time of this one."""
        self.phase, self.since, self.received = phase, now, 0


class Connections:
    """The open connections of a server. Used in the thread of its event loop alone."""

    def __init__(self, limits: ConnectionLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits, self.clock = limits, clock
        self._total = min(limits.connections, max(BURST, (_open_files() - RESERVED_FILES - BURST) // 2))
        self._open: dict[tuple[Any, ...], _Connection] = {}
        self._log = _Throttle()

    def __len__(self) -> int:
        self._forget_closed()
        return len(self._open)

    def accepted(self, connection: socket.socket, address: tuple[Any, ...]) -> None:
        """Register a connection, and close the oldest without a request where there are too many."""
        self._forget_closed()
        one = self._open[address] = _Connection(connection, _host(str(address[0])), self.clock())
        same = [other for other in self._open.values() if other.host == one.host]
        if len(same) > self.limits.per_address:
            self._close_oldest(same, f"more than {self.limits.per_address} of one address")
        elif len(self._open) > self._total:
            self._close_oldest(list(self._open.values()), f"more than {self._total}")

    def find(self, address: tuple[Any, ...]) -> _Connection | None:
        """The connection of a peer's address and port."""
        return self._open.get(address)

    def close_overdue(self) -> None:
        """Close the connections that are slower than the limits."""
        now, limits = self.clock(), self.limits
        self._forget_closed()
        for one in list(self._open.values()):
            elapsed = now - one.since
            if one.phase is Phase.HEADER and elapsed > limits.header_timeout:
                self._close(one, f"no request within {limits.header_timeout:g} s")
            elif one.phase is Phase.BODY:
                if one.received >= limits.body_bytes or (one.protocol and one.protocol.flow.read_paused):
                    one.begin(Phase.BODY, now)
                elif elapsed > limits.body_timeout:
                    self._close(one, f"less than {limits.body_bytes} bytes in {limits.body_timeout:g} s")
            elif one.phase is Phase.RESPONSE and one.protocol:
                unsent = one.protocol.transport.get_write_buffer_size()
                if not unsent or unsent < one.unsent:
                    one.begin(Phase.RESPONSE, now)
                elif elapsed > limits.write_timeout:
                    self._close(one, f"nothing of a response taken in {limits.write_timeout:g} s")
                one.unsent = unsent

    def _forget_closed(self) -> None:
        for address in [address for address, one in self._open.items() if one.socket.fileno() < 0]:
            del self._open[address]

    def _close_oldest(self, candidates: list[_Connection], reason: str) -> None:
        """Close the oldest connection without a request; the newest, where each has one."""
        idle = [one for one in candidates if one.phase is Phase.HEADER]
        self._close(min(idle or candidates[-1:], key=lambda one: one.since), reason)

    def _close(self, one: _Connection, reason: str) -> None:
        self._open = {address: other for address, other in self._open.items() if other is not one}
        self._log.warning(f"connection closed: {reason}")
        if one.protocol is not None:
            one.protocol.transport.abort()
            return
        with suppress(OSError):
            one.socket.shutdown(socket.SHUT_RDWR)  # in the TLS handshake, or not yet served


class LimitedSocket(socket.socket):
    """A listening socket that registers what it accepts."""

    connections: Connections

    @classmethod
    def of(cls, listening: socket.socket, connections: Connections) -> LimitedSocket:
        """Take over a listening socket; `listening` is closed."""
        one = cls(listening.family, listening.type, listening.proto, fileno=listening.detach())
        one.connections = connections
        return one

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`."""
        connection, address = super().accept()
        self.connections.accepted(connection, address)
        return connection, address


class LimitedProtocol(H11Protocol):
    """uvicorn's protocol on h11, which reports to `Connections` what its connection is doing."""

    def __init__(self, connections_of: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections_of
        self._entry: _Connection | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._entry = self._connections.find(transport.get_extra_info("peername"))
        if self._entry is not None:
            self._entry.protocol = self

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._update_phase()
        if self._entry is not None and self._entry.phase is not Phase.HEADER:
            self._entry.received += len(data)

    def on_response_complete(self) -> None:
        if self._entry is not None:
            self._entry.begin(Phase.HEADER, self._connections.clock())
        super().on_response_complete()
        self._update_phase()  # the next request may have been received already (pipelining)

    def _update_phase(self) -> None:
        entry, cycle = self._entry, self.cycle
        if entry is None or cycle is None or cycle.response_complete:
            return
        phase = Phase.BODY if cycle.more_body else Phase.RESPONSE
        if entry.phase is not phase:
            entry.begin(phase, self._connections.clock())


class LimitedServer(uvicorn.Server):
    """A uvicorn server whose connections have limits."""

    def __init__(self, app: FastAPI, limits: ConnectionLimits | None = None, **options: Any) -> None:
        self.limited = Connections(limits or ConnectionLimits())
        protocol: Any = partial(LimitedProtocol, self.limited)
        super().__init__(uvicorn.Config(app, http=protocol, ws="none", backlog=BURST, **options))
        self._log = _Throttle()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, with errors of accepting connections logged at most once a minute."""
        asyncio.get_running_loop().set_exception_handler(self._report)
        await super().startup([LimitedSocket.of(one, self.limited) for one in sockets or ()])

    async def on_tick(self, counter: int) -> bool:
        """As uvicorn's, ten times a second."""
        self.limited.close_overdue()
        return await super().on_tick(counter)

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "socket.accept()" in str(context.get("message", "")):
            self._log.warning(f"connections cannot be accepted: {context.get('exception')}")
        else:
            loop.default_exception_handler(context)


@dataclass
class _Throttle:
    """Logs a message at most once in LOG_SECONDS, with the number of those left out."""

    last: float = -LOG_SECONDS
    omitted: int = field(default=0)

    def warning(self, text: str) -> None:
        now = time.monotonic()
        if now - self.last < LOG_SECONDS:
            self.omitted += 1
            return
        log.warning("%s%s", text, f" (and {self.omitted:,} earlier)" if self.omitted else "")
        self.last, self.omitted = now, 0


def _host(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits that one client may have."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def _open_files() -> int:
    """The limit of open files of this process."""
    try:
        import resource
    except ImportError:  # Windows has none
        return 1 << 16
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 16 if soft == resource.RLIM_INFINITY else soft
