"""The node's ears: C-STORE and C-ECHO as an acceptor of associations (PS3.4, annex B; PS3.7, 9.1)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sonoseg.errors import InputError, OutputError, UsageError
from sonoseg.pacs.audit import Audit
from sonoseg.pacs.node_settings import NodeSettings
from sonoseg.pacs.presentation_contexts import taken
from sonoseg.pacs.queue import ReceivedInstance, Spool
from sonoseg.pacs.tls import accepting

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
"""Refused: the sender is to try again later (PS3.4, table B.2-1)."""
OTHER_CLASS = 0xA900
"""The data set does not match the SOP class."""
INVALID_INSTANCE = 0x0117
"""The SOP Instance UID is none (PS3.7, C.5.6)."""

PDU = 1 << 17
"""Bytes that a sender may put into one PDU: fewer of them than by default, and so less waiting."""

HANDSHAKE = 15.0
"""Seconds that a caller has for TLS."""


class Receiver:
    """Listens, and puts what comes into the spool before it says so.

    arrived: called after an instance was taken in, for those who wait for work.
    Raises UsageError where the address cannot be listened on or a TLS file is wrong.
    """

    def __init__(
        self, settings: NodeSettings, spool: Spool, audit: Audit, arrived: Callable[[], None] = lambda: None
    ) -> None:
        self._settings, self._spool, self._audit, self._arrived = settings, spool, audit, arrived
        self._server = self._listen()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="sonoseg-receive", daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to accept associations."""
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        """Take no more associations; those that are there may end what they are about, then they are aborted.

        patience: seconds that they have. What was accepted is on disk, whether or not its answer went out.
        """
        if self._thread.is_alive():
            self._server.shutdown()
        else:
            self._server.server_close()
        there = self._server.active_associations
        for association in there:
            association.join(patience / len(there))
            if association.is_alive():
                with suppress(Exception):  # it may end by itself meanwhile
                    association.abort()

    def _listen(self) -> ThreadedAssociationServer:
        from pynetdicom import AE, _config, evt

        # Nothing of a message is put into words, which quicker is, and keeps names out of every log.
        _config.LOG_HANDLER_LEVEL = "none"
        settings = self._settings
        entity = AE(settings.ae)
        entity.maximum_pdu_size = PDU
        entity.maximum_associations = settings.limits.associations
        entity.network_timeout = settings.limits.idle
        entity.require_called_aet = settings.called
        entity.require_calling_aet = settings.allowed
        context = None if settings.tls is None else accepting(settings.tls)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_PDU_RECV, self._measure),
        ]
        try:
            server = _server_class()(
                entity,
                (settings.host, settings.port),
                settings.ae,
                taken(),
                ssl_context=context,
                evt_handlers=handlers,
            )
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"cannot listen there: {reason}",
                where=f"{settings.host}, port {settings.port}",
                remedy="Choose another host or port",
            ) from error
        entity._servers.append(server)
        return server

    def _store(self, event: Event) -> int:
        """Answer one C-STORE request; see the codes above."""
        request: Any = event.request
        uid, sop_class = str(request.AffectedSOPInstanceUID or ""), str(request.AffectedSOPClassUID or "")
        sender, host = _peer(event.assoc)
        if sop_class != str(event.context.abstract_syntax):
            self._refused(uid, sender, host, OTHER_CLASS)
            return OTHER_CLASS
        arrived = ReceivedInstance(uid, sop_class, str(event.context.transfer_syntax), sender, host)
        try:
            acceptance = self._spool.accept(arrived, event.encoded_dataset())
        except InputError:
            self._refused(uid, sender, host, INVALID_INSTANCE)
            return INVALID_INSTANCE
        except (OutputError, MemoryError):
            self._refused(uid, sender, host, OUT_OF_RESOURCES)
            return OUT_OF_RESOURCES
        self._audit.note("received", instance=uid, sender=sender, host=host, was=acceptance.value)
        self._arrived()
        return SUCCESS

    def _refused(self, uid: str, sender: str, host: str, status: int) -> None:
        self._audit.note("refused", instance=uid[:64], sender=sender, host=host, status=f"0x{status:04X}")

    def _accepted(self, event: Event) -> None:
        sender, host = _peer(event.assoc)
        self._audit.note("association", sender=sender, host=host)

    def _rejected(self, event: Event) -> None:
        sender, host = _peer(event.assoc)
        called = event.assoc.requestor.primitive
        self._audit.note(
            "association-refused",
            sender=sender,
            host=host,
            called=None if called is None else str(called.called_ae_title).strip(),
        )

    def _measure(self, event: Event) -> None:
        """End the association of a sender whose instance outgrows the limit: it would fill the memory."""
        message = event.assoc.dimse.message
        data = None if message is None else message.data_set
        if data is not None and data.tell() > self._settings.limits.max_bytes:
            sender, host = _peer(event.assoc)
            self._audit.note("association-refused", sender=sender, host=host, bytes=data.tell())
            event.assoc.dimse.message = None
            threading.Thread(target=event.assoc.abort, daemon=True).start()


def _peer(association: Association) -> tuple[str, str]:
    """The calling AE title and the host."""
    requestor = association.requestor
    primitive: Any = requestor.primitive
    title = primitive.calling_ae_title if primitive is not None else requestor.ae_title
    return str(title or "").strip(), str(requestor.address or "")


def _server_class() -> type[ThreadedAssociationServer]:
    """pynetdicom's server, but for TLS: a caller that never ends its handshake keeps nobody else out.

    pynetdicom 3.0 does the handshake in the thread that accepts, without a limit of time.
    """
    from pynetdicom.transport import ThreadedAssociationServer

    class Server(ThreadedAssociationServer):
        request_queue_size = 64
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, Any]:
            assert self.socket is not None
            return self.socket.accept()

        def finish_request(self, request: Any, client_address: Any) -> None:
            if self.ssl_context is not None:
                request.settimeout(HANDSHAKE)
                request = self.ssl_context.wrap_socket(request, server_side=True)
                request.settimeout(None)
            super().finish_request(request, client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing: a caller who speaks no TLS, or hangs up, is no fault of ours."""

    return Server
