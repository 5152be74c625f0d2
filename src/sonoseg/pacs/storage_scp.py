"""Storage SCP and Verification SCP of the node (PS3.4 annexes A and B)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sonoseg.errors import InputError, OutputError, UsageError
from sonoseg.pacs.association import MAX_PDU
from sonoseg.pacs.audit import Audit
from sonoseg.pacs.node_settings import NodeSettings
from sonoseg.pacs.presentation_contexts import accepted_contexts
from sonoseg.pacs.queue import Acceptance, InstanceQueue, ReceivedInstance
from sonoseg.pacs.status_codes import (
    DIFFERENT_CONTENT,
    INVALID_INSTANCE,
    OUT_OF_RESOURCES,
    SOP_CLASS_MISMATCH,
    SUCCESS,
)
from sonoseg.pacs.tls import server_context

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom.association import Association
    from pynetdicom.events import Event

    from sonoseg.pacs.transport import LimitedServer


CONFLICT_COMMENT = "other content of this UID is in progress: send it again later"
"""The Error Comment (0000,0902) of DIFFERENT_CONTENT: at most 64 characters (LO)."""


class StorageScp:
    """Accepts associations and adds received instances to the queue before it responds.

    received: called after an instance was added. Raises UsageError if the address cannot be listened on or a
    TLS file cannot be used.
    """

    def __init__(
        self,
        settings: NodeSettings,
        queue: InstanceQueue,
        audit: Audit,
        received: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._queue, self._audit, self._received = settings, queue, audit, received
        self._server = self._listen()
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="sonoseg-receive", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Start to accept associations."""
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        """Accept no more associations, and abort the open ones after `patience` seconds.

        Accepted instances are on disk, whether or not their response was sent.
        """
        if self._thread.is_alive():
            self._server.shutdown()
        else:
            self._server.server_close()
        active = self._server.active_associations
        for association in active:
            association.join(patience / len(active))
            if association.is_alive():
                with suppress(Exception):  # it may end meanwhile
                    association.abort()

    def _listen(self) -> LimitedServer:
        from pynetdicom import AE, _config, evt

        from sonoseg.pacs.transport import LimitedServer

        # Messages are not formatted for logs: faster, and keeps patients' names out of them.
        _config.LOG_HANDLER_LEVEL = "none"
        settings = self._settings
        entity = AE(settings.ae)
        entity.maximum_pdu_size = MAX_PDU
        entity.require_called_aet = settings.require_called_ae
        entity.require_calling_aet = settings.allowed
        context = None if settings.tls is None else server_context(settings.tls)
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_REJECTED, self._rejected),
        ]
        try:
            return LimitedServer(
                entity,
                (settings.host, settings.port),
                accepted_contexts(),
                settings.limits,
                tls=context,
                handlers=handlers,
                refused=self._connection_refused,
                aborted=self._aborted,
            )
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(
                f"cannot listen: {reason}",
                where=f"{settings.host}, port {settings.port}",
                remedy="Choose another host or port",
            ) from error

    def _store(self, event: Event) -> int | Dataset:
        """Handle one C-STORE request and return the status of its response."""
        request: Any = event.request
        uid, sop_class = str(request.AffectedSOPInstanceUID or ""), str(request.AffectedSOPClassUID or "")
        sender, host = _peer(event.assoc)
        if sop_class != str(event.context.abstract_syntax):
            return self._refuse(uid, sender, host, SOP_CLASS_MISMATCH)
        instance = ReceivedInstance(uid, sop_class, str(event.context.transfer_syntax), sender, host)
        try:
            acceptance = self._queue.accept(instance, event.encoded_dataset())
        except InputError:
            return self._refuse(uid, sender, host, INVALID_INSTANCE)
        except (OutputError, MemoryError):
            return self._refuse(uid, sender, host, OUT_OF_RESOURCES)
        if acceptance is Acceptance.CONFLICT:
            return _response(self._refuse(uid, sender, host, DIFFERENT_CONTENT), CONFLICT_COMMENT)
        self._audit.note("received", instance=uid, sender=sender, host=host, acceptance=acceptance.value)
        self._received()
        return SUCCESS

    def _refuse(self, uid: str, sender: str, host: str, status: int) -> int:
        self._audit.note("refused", instance=uid[:64], sender=sender, host=host, status=f"0x{status:04X}")
        return status

    def _accepted(self, event: Event) -> None:
        sender, host = _peer(event.assoc)
        self._audit.note("association", sender=sender, host=host)

    def _rejected(self, event: Event) -> None:
        sender, host = _peer(event.assoc)
        called = event.assoc.requestor.primitive
        self._audit.note_repeated(
            "association-refused",
            sender=sender,
            host=host,
            called=None if called is None else str(called.called_ae_title).strip(),
        )

    def _connection_refused(self, host: str, reason: str) -> None:
        self._audit.note_repeated("connection-refused", host=host, reason=reason)

    def _aborted(self, association: Association, reason: str) -> None:
        sender, host = _peer(association)
        self._audit.note_repeated("association-aborted", sender=sender, host=host, reason=reason)


def _response(status: int, comment: str) -> Dataset:
    """Return the status elements of a C-STORE response (PS3.7 9.3.1.2) with an Error Comment."""
    from pydicom.dataset import Dataset

    response = Dataset()
    response.Status, response.ErrorComment = status, comment
    return response


def _peer(association: Association) -> tuple[str, str]:
    """Return the calling AE title and the host."""
    requestor = association.requestor
    primitive: Any = requestor.primitive
    title = primitive.calling_ae_title if primitive is not None else requestor.ae_title
    return str(title or "").strip(), str(requestor.address or "")
