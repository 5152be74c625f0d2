"""One association (PS3.8) with an archive, opened and closed; why it failed, in words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sonoseg.errors import PacsError, UsageError
from sonoseg.pacs.address import DimseAddress, PeerTls

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

# SOP classes of the services that we use (PS3.4 A.4, C.6.2.3), which pynetdicom names in a way that no type
# checker follows.
VERIFICATION = "1.2.840.10008.1.1"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))

LARGEST_PDU = 1 << 17  # as most archives take it: fewer, longer pieces than the library's 16 KiB
MOST_CONTEXTS = 128  # PS3.8 section 9.3.2.2: their ids are the odd numbers to 255


@contextmanager
def associate(
    address: DimseAddress,
    contexts: Sequence[PresentationContext],
    *,
    roles: Sequence[Any] = (),
    handlers: Sequence[tuple[Any, Callable[..., Any]]] = (),
) -> Iterator[Association]:
    """An association with at least one accepted context, released at the end; aborted after an exception.

    roles: SCP/SCU role selections (PS3.7 D.3.3.4). Raises PacsError where there is none.
    """
    from pynetdicom import AE

    entity = AE(ae_title=address.our_ae)
    entity.acse_timeout = address.timeout
    entity.dimse_timeout = address.timeout
    entity.network_timeout = address.timeout
    entity.connection_timeout = address.connect_timeout
    tls = None if address.tls is None else (client_context(address.tls), address.tls.name or address.host)
    try:
        association = entity.associate(
            address.host,
            address.port,
            contexts=list(contexts),
            ae_title=address.ae,
            max_pdu=LARGEST_PDU,
            ext_neg=list(roles),
            tls_args=tls,
            evt_handlers=list(handlers),
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise PacsError(f"cannot be reached: {error}", where=str(address), remedy=_REACH) from error
    if not association.is_established:
        raise _why(address, association)
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    if association.is_established:
        association.release()


def client_context(tls: PeerTls) -> ssl.SSLContext:
    """The TLS settings of our side: TLS 1.2 or later, the peer's certificate and name checked (BCP 195).

    Raises UsageError where a file cannot be read.
    """
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=tls.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"TLS: {error.strerror or error}",
            where=", ".join(str(path) for path in (tls.ca, tls.certificate, tls.key) if path),
            remedy="Give PEM files: the authority's certificate, and our certificate with its key",
        ) from error
    return context


_REACH = "Check host and port, that it runs, and the firewall between"


def _why(address: DimseAddress, association: Association) -> PacsError:
    where = str(address)
    if association.is_rejected:
        answer = association.acceptor.primitive
        reason = getattr(answer, "reason_str", "") or "no reason given"
        return PacsError(
            f"rejects the association: {reason}",
            where=where,
            remedy=f"Check its AE title, and that it knows ours ({address.our_ae}) with our host",
        )
    if association.rejected_contexts and not association.accepted_contexts:
        return PacsError(
            "accepts none of what we propose",
            where=where,
            remedy=f"Allow {address.our_ae} this service and these transfer syntaxes in the archive",
        )
    problem = _connection_problem(address)
    if problem is not None:
        return PacsError(f"cannot be reached: {problem}", where=where, remedy=_REACH)
    return PacsError(
        "takes the connection but not the association",
        where=where,
        remedy=f"Check TLS on both sides, its AE title, and that it knows ours ({address.our_ae})",
    )


def _connection_problem(address: DimseAddress) -> str | None:
    """pynetdicom logs why a connection failed but does not say it: ask the socket itself."""
    try:
        with socket.create_connection((address.host, address.port), address.connect_timeout) as plain:
            if address.tls is not None:
                name = address.tls.name or address.host
                with client_context(address.tls).wrap_socket(plain, server_hostname=name):
                    pass
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted: {error.verify_message}"
    except ssl.SSLError as error:
        return f"TLS: {error.reason or error}"
    except OSError as error:
        return error.strerror or str(error)
    return None
