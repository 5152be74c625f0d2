"""Limits of the DICOM upper layer (PS3.8 section 9): connections, and the length and duration of each PDU.

pynetdicom 3.0 counts every connection as an association, reads as many bytes as a peer announces, waits for
them without end, and measures its timeouts with the system's clock. Here a connection becomes an association
when its request is complete, the length of a PDU is checked before its content is read, and a PDU that does
not arrive in time aborts its association. Importing this module requires pynetdicom.
"""

from __future__ import annotations

import math
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pynetdicom import AE, evt
from pynetdicom.timer import Timer
from pynetdicom.transport import (
    AddressInformation,
    AssociationSocket,
    RequestHandler,
    ThreadedAssociationServer,
)

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

    from sonoseg.pacs.node_settings import NodeLimits

MAX_ASSOCIATE = 1 << 16
"""Bytes of an A-ASSOCIATE-RQ, -AC or -RJ: 128 presentation contexts with their transfer syntaxes."""

HEADER = struct.Struct(">BxI")
"""PDU type and length (PS3.8 9.3.1)."""

A_ASSOCIATE_RQ, P_DATA_TF = 0x01, 0x04

MAX_LENGTHS = {0x01: MAX_ASSOCIATE, 0x02: MAX_ASSOCIATE, 0x03: 4, 0x05: 4, 0x06: 4, 0x07: 4}
"""PDU type -> largest length; that of P-DATA-TF is negotiated (PS3.8 9.3.2 to 9.3.8, D.1)."""

ABORT = struct.pack(">BxI2x2B", 0x07, 4, 2, 6)
"""An A-ABORT PDU of the service provider: invalid PDU parameter value (PS3.8 9.3.8)."""

TOO_MANY = "too many connections without an association"


class PduRefusedError(Exception):
    """A peer's PDU is not read any further; the text is the reason."""


def check_header(header: bytes | bytearray, max_p_data: int) -> int:
    """Return the length that a PDU announces. Raises PduRefusedError if it is too long, or of no known type.

    max_p_data: bytes of a P-DATA-TF PDU after its header, as negotiated.
    """
    kind, length = HEADER.unpack(header)
    largest = max_p_data if kind == P_DATA_TF else MAX_LENGTHS.get(kind)
    if largest is None:
        raise PduRefusedError(f"unknown PDU type 0x{kind:02X}")
    if length > largest:
        raise PduRefusedError(f"PDU of type 0x{kind:02X} announces {length} bytes, at most {largest} allowed")
    return int(length)


def read_request(connection: socket.socket, deadline: float) -> bytes:
    """Read the A-ASSOCIATE-RQ PDU, the first of a connection; b"" if the peer closes before it is complete.

    deadline: by the monotonic clock. Raises PduRefusedError if it is late, too long or another PDU.
    """
    data = bytearray()
    expected = HEADER.size
    while len(data) < expected:
        left = deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            part = connection.recv(expected - len(data))
        except TimeoutError:
            raise PduRefusedError("no complete association request in time") from None
        if not part:
            return b""
        data += part
        if len(data) == HEADER.size:
            if data[0] != A_ASSOCIATE_RQ:
                raise PduRefusedError(f"the first PDU is of type 0x{data[0]:02X}, not an association request")
            expected += check_header(data, 0)
    return bytes(data)


class PduSocket(AssociationSocket):
    """The socket of one association: it never blocks while it reads, and has a PDU only when it is complete.

    timeout: seconds for a PDU from its first byte to its last, and for a peer to take what we send.
    max_bytes: of a message (command and data set). received: a PDU that was read before.
    refused: called with the reason when the association is aborted because of a PDU.
    """

    def __init__(
        self,
        association: Association,
        *,
        timeout: float,
        max_bytes: int,
        connection: socket.socket | None = None,
        address: AddressInformation | None = None,
        received: bytes = b"",
        refused: Callable[[str], None] = lambda reason: None,
    ) -> None:
        super().__init__(association, connection, address)
        self.refusal: str | None = None
        self._timeout, self._max_bytes, self._refused = timeout, max_bytes, refused
        self._buffer = bytearray(received)
        self._expected: int | None = len(received) or None  # with the header; None until that is complete
        self._deadline = math.inf
        self._ended = False
        association.dul.artim_timer = MonotonicTimer(association.acse_timeout)
        association.dul._idle_timer = MonotonicTimer(association.network_timeout)

    @property
    def ready(self) -> bool:
        """Return whether a PDU is complete, or the connection has ended."""
        association = self.assoc
        if association.dul.state_machine.current_state == "Sta13":
            return False  # the association is over: close, whatever the peer still sends
        if not self._complete and not self._ended:
            if association.dimse.msg_queue.qsize():
                return False  # the peer waits until its last message was handled
            if super().ready:
                self._fill()
            if self._buffer and not self._complete and time.monotonic() > self._deadline:
                self._abort(f"PDU is incomplete after {self._timeout:g} s")
        return self._complete or self._ended

    def recv(self, nr_bytes: int) -> bytearray:
        """Return bytes of the complete PDU; none if the connection has ended."""
        data = self._buffer[:nr_bytes]
        del self._buffer[:nr_bytes]
        if not self._buffer:
            self._expected = None
        return data

    def send(self, bytestream: bytes) -> None:
        """Send bytes; the connection ends if the peer does not take them in time."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.settimeout(self._timeout)
        super().send(bytestream)

    @property
    def _complete(self) -> bool:
        return self._expected is not None and len(self._buffer) == self._expected

    def _fill(self) -> None:
        """Read what is there of the next PDU."""
        assert self.socket is not None
        try:
            self.socket.settimeout(0)
            while not self._complete:
                part = self.socket.recv(min((self._expected or HEADER.size) - len(self._buffer), 1 << 16))
                if not part:
                    self._end()
                    return
                if not self._buffer:
                    self._deadline = time.monotonic() + self._timeout
                self._buffer += part
                if len(self._buffer) == HEADER.size:
                    self._expected = HEADER.size + self._checked_length()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except PduRefusedError as error:
            self._abort(str(error))
        except OSError:
            self._end()

    def _checked_length(self) -> int:
        association = self.assoc
        ours = association.acceptor if association.is_acceptor else association.requestor
        length = check_header(self._buffer, ours.maximum_length or 0)
        message = association.dimse.message
        if self._buffer[0] == P_DATA_TF and message is not None:
            parts = (message.encoded_command_set, message.data_set)
            if sum(part.tell() for part in parts if part is not None) + length > self._max_bytes:
                raise PduRefusedError(f"message of more than {self._max_bytes} bytes")
        return length

    def _abort(self, reason: str) -> None:
        self.refusal = reason
        if self.socket is not None:
            with suppress(OSError):
                self.socket.send(ABORT)
        self._end()
        self._refused(reason)

    def _end(self) -> None:
        self._buffer.clear()
        self._ended = True


class MonotonicTimer(Timer):
    """pynetdicom's timer, which a change of the system's clock neither stops nor ends."""

    def start(self) -> None:
        """Start, or start again."""
        self._start_time, self._end_time = time.monotonic(), None

    def stop(self) -> None:
        """Stop."""
        self._end_time = time.monotonic()

    @property
    def remaining(self) -> float:
        """Return the seconds left; 1 if the timer never expires."""
        if self.timeout is None:
            return 1
        if self._start_time is None:
            return self.timeout
        end = time.monotonic() if self._end_time is None else self._end_time
        return self.timeout - (end - self._start_time)


class LimitedRequestor(AE):
    """An application entity whose requested associations use a PduSocket.

    timeout, max_bytes: of PduSocket.
    """

    def __init__(self, ae_title: str, *, timeout: float, max_bytes: int) -> None:
        super().__init__(ae_title)
        self._pdu_timeout, self._max_bytes = timeout, max_bytes
        self.acse_timeout = self.dimse_timeout = self.network_timeout = timeout

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[ssl.SSLContext, str] | None
    ) -> PduSocket:
        made = PduSocket(assoc, timeout=self._pdu_timeout, max_bytes=self._max_bytes, address=address)
        made.tls_args = tls_args
        return made


class LimitedServer(ThreadedAssociationServer):
    """An association server that keeps NodeLimits.

    A connection without an association takes the place of none. Where an address has too many of them, or all
    addresses together, the oldest one of the address is closed: peers that send their request are served.

    refused: called with the host and the reason if a connection is closed before it has an association.
    aborted: called with the association and the reason if a PDU aborts it. Raises OSError if the address
    cannot be listened on.
    """

    request_queue_size = 64
    daemon_threads = True

    def __init__(
        self,
        entity: AE,
        address: tuple[str, int],
        contexts: list[PresentationContext],
        limits: NodeLimits,
        *,
        tls: ssl.SSLContext | None = None,
        handlers: list[Any] | None = None,
        refused: Callable[[str, str], None] = lambda host, reason: None,
        aborted: Callable[[Association, str], None] = lambda association, reason: None,
    ) -> None:
        self.limits, self.refused, self.aborted = limits, refused, aborted
        self._lock = threading.Lock()
        self._waiting: dict[socket.socket, str] = {}
        self._admitted: list[Association] = []
        entity.network_timeout = limits.idle
        entity.maximum_associations = sys.maxsize  # pynetdicom counts rejected ones too; see _admit
        everything: list[Any] = [(evt.EVT_REQUESTED, self._admit), *(handlers or [])]
        super().__init__(entity, address, entity.ae_title, contexts, tls, everything)
        entity._servers.append(self)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; the TLS handshake is left to its own thread."""
        assert self.socket is not None
        try:
            return self.socket.accept()
        except OSError as error:  # without a free file descriptor the connection would be tried at once again
            self.refused("", f"connections cannot be accepted: {error.strerror or error}")
            time.sleep(0.1)
            raise

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Read the association request of a connection, and start the association."""
        if self.ssl_context is not None:
            request = self.ssl_context.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        host = str(client_address[0])
        received = b""
        try:
            with self._unassociated(request, host):
                deadline = time.monotonic() + self.limits.request_timeout
                if self.ssl_context is not None:
                    request.settimeout(self.limits.request_timeout)
                    request.do_handshake()
                received = read_request(request, deadline)
        except PduRefusedError as error:
            with suppress(OSError):
                request.send(ABORT)
            self.refused(host, str(error))
        finally:
            if not received:
                self.shutdown_request(request)
        if received:
            _AssociationHandler(request, client_address, self, received)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore callers without TLS, and closed connections."""

    def server_close(self) -> None:
        """Close the server and the connections without an association."""
        super().server_close()
        with self._lock:
            for connection in self._waiting:
                _disconnect(connection)

    @contextmanager
    def _unassociated(self, connection: socket.socket, host: str) -> Iterator[None]:
        """Count a connection that has no association yet; closes the oldest one if there are too many."""
        with self._lock:
            crowded = self._crowded_host(host)
            if crowded is not None:
                oldest = next(one for one, its in self._waiting.items() if its == crowded)
                del self._waiting[oldest]
                _disconnect(oldest)
            self._waiting[connection] = host
        if crowded is not None:
            self.refused(crowded, TOO_MANY)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.pop(connection, None)

    def _crowded_host(self, host: str) -> str | None:
        """Return the host that has to give up a connection for one more of `host`; None if none has to."""
        counts = Counter(self._waiting.values())
        if counts[host] >= self.limits.connections_per_address:
            return host
        if counts.total() >= self.limits.connections:
            return counts.most_common(1)[0][0]
        return None

    def _admit(self, event: Event) -> None:
        """Reject an association above the limit, when it is requested."""
        association = event.assoc
        with self._lock:
            self._admitted = [one for one in self._admitted if _is_active(one)]
            admitted = len(self._admitted) < self.limits.associations
            if admitted:
                self._admitted.append(association)
        if not admitted:
            association.acse.send_reject(0x02, 0x03, 0x02)  # transient: local limit exceeded (PS3.8 9.3.4)
            evt.trigger(association, evt.EVT_REJECTED, {})
            association.kill()


class _AssociationHandler(RequestHandler):
    """Starts the association of a connection whose request was read."""

    server: LimitedServer

    def __init__(self, request: Any, client_address: Any, server: LimitedServer, received: bytes) -> None:
        self._received = received
        super().__init__(request, client_address, server)

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.event_queue.get_nowait()  # the new connection, which our socket indicates again
        server = self.server
        association.dul.socket = PduSocket(
            association,
            timeout=server.limits.pdu_timeout,
            max_bytes=server.limits.max_bytes,
            connection=self.request,
            received=self._received,
            refused=lambda reason: server.aborted(association, reason),
        )
        return association


def _is_active(association: Association) -> bool:
    ended = association.is_rejected or association.is_aborted or association.is_released
    return association.is_alive() and not ended


def _disconnect(connection: socket.socket) -> None:
    """End a connection that another thread reads: its read returns."""
    with suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not SSLSocket's, which changes its state
