"""TLS where peers call us: our certificate, and who may call (PS3.15, B.12: TLS 1.2 and later, BCP 195)."""

from __future__ import annotations

import ssl
from pathlib import Path

from sonoseg._util.validation import StrictModel
from sonoseg.errors import UsageError

REMEDY = "Give PEM files that belong together, the key without a password"


class NodeTls(StrictModel):
    """What the node shows, and what it asks to see. All are PEM files.

    certificate: our own, with its chain. key: its key; None where the certificate's file holds it too.
    ca: the authorities that must have signed a caller's certificate; None asks callers for none.
    """

    certificate: Path
    key: Path | None = None
    ca: Path | None = None


def accepting(tls: NodeTls) -> ssl.SSLContext:
    """The context to accept associations with. Raises UsageError where a file is not what it should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A password cannot be asked for: none fits, and ssl says so.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise UsageError(
            f"this certificate, or its key, cannot be used ({error})", where=tls.certificate, remedy=REMEDY
        ) from error
    if tls.ca is not None:
        try:
            context.load_verify_locations(tls.ca)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"these authorities cannot be used ({error})", where=tls.ca, remedy="Give a PEM file"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context
