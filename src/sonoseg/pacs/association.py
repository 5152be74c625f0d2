"""An association (PS3.8) with a PACS as requestor, and the reason if it fails."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sonoseg.errors import PacsError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.tls import client_context

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

# SOP classes of the services (PS3.4 A.4, C.6.2.3): pynetdicom defines their names dynamically, which type
# checkers cannot follow.
VERIFICATION = "1.2.840.10008.1.1"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))

MAX_PDU = 1 << 17
"""Bytes of a PDU: most archives accept more than pynetdicom's 16 KiB, and fewer PDUs are faster."""
MAX_MESSAGE = 2 << 30
"""Bytes of a message from an archive: those of an instance, by default, that the node accepts."""
MAX_CONTEXTS = 128
"""Presentation contexts of an association: their ids are the odd numbers to 255 (PS3.8 9.3.2.2)."""


@contextmanager
def associate(
    address: DimseAddress,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[Any] = (),
    handlers: Sequence[tuple[Any, Callable[..., Any]]] = (),
) -> Iterator[Association]:
    """Open an association with at least one accepted context; released at the end, aborted on an exception.

    roles: SCP/SCU role selections (PS3.7 D.3.3.4). Raises PacsError if it fails.
    """
    from sonoseg.pacs.transport import LimitedRequestor

    entity = LimitedRequestor(address.our_ae, timeout=address.timeout, max_bytes=MAX_MESSAGE)
    entity.connection_timeout = address.connect_timeout
    tls = None if address.tls is None else (client_context(address.tls), address.tls.name or address.host)
    try:
        association = entity.associate(
            address.host,
            address.port,
            contexts=list(contexts),
            ae_title=address.ae,
            max_pdu=MAX_PDU,
            ext_neg=list(roles),
            tls_args=tls,
            evt_handlers=list(handlers),
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise PacsError(f"cannot be reached: {error}", where=str(address), remedy=_REACH) from error
    if not association.is_established:
        raise _failure(address, association)
    try:
        yield association
    except PacsError as error:
        association.abort()
        raise _aborted(address, association) or error from error
    except BaseException:
        association.abort()
        raise
    if association.is_established:
        association.release()
    aborted = _aborted(address, association)
    if aborted is not None:
        raise aborted


_REACH = "Check host, port and firewall, and that the archive is running"


def _refusal(association: Association) -> str | None:
    """Return why we aborted an association because of a PDU of the archive; None if we did not."""
    reason: str | None = getattr(association.dul.socket, "refusal", None)
    return reason


def _aborted(address: DimseAddress, association: Association) -> PacsError | None:
    reason = _refusal(association)
    if reason is None:
        return None
    return PacsError(
        f"association aborted: {reason}", where=str(address), remedy="Look into the archive's log"
    )


def _failure(address: DimseAddress, association: Association) -> PacsError:
    where = str(address)
    if association.is_rejected:
        answer = association.acceptor.primitive
        reason = getattr(answer, "reason_str", "") or "no reason given"
        return PacsError(
            f"association rejected: {reason}",
            where=where,
            remedy=f"Check its AE title, and that ours ({address.our_ae}) is configured there with our host",
        )
    if association.rejected_contexts and not association.accepted_contexts:
        return PacsError(
            "no presentation context accepted",
            where=where,
            remedy=f"Allow {address.our_ae} this service and these transfer syntaxes in the archive",
        )
    refusal = _refusal(association)
    problem = None if refusal else _connection_problem(address)
    if problem is not None:
        return PacsError(f"cannot be reached: {problem}", where=where, remedy=_REACH)
    return PacsError(
        "connection accepted, but no association" + (f": {refusal}" if refusal else ""),
        where=where,
        remedy=f"Check TLS on both sides, its AE title, and that ours ({address.our_ae}) is configured there",
    )


def _connection_problem(address: DimseAddress) -> str | None:
    """Return why a connection fails: pynetdicom logs the reason, but does not return it."""
    try:
        with socket.create_connection((address.host, address.port), address.connect_timeout) as plain:
            if address.tls is not None:
                name = address.tls.name or address.host
                with client_context(address.tls).wrap_socket(plain, server_hostname=name):
                    pass
    except ssl.SSLCertVerificationError as error:
        return f"certificate is not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        return f"TLS: {error.reason or error}"
    except OSError as error:
        return error.strerror or str(error)
    return None
