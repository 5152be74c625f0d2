"""TLS settings and contexts of both sides (PS3.15 B.12: TLS 1.2 and later, BCP 195)."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import model_validator

from sonoseg._util.validation import StrictModel
from sonoseg.errors import UsageError


class PeerTls(StrictModel):
    """TLS of a DIMSE peer that we connect to. All files are PEM.

    ca: trusted authorities; None takes those of the system.
    certificate, key: our own, if the peer requests them.
    name: the name in the peer's certificate, if it is not the host's.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> PeerTls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self


class NodeTls(StrictModel):
    """TLS of the node, which peers connect to. All files are PEM.

    certificate: our own, with its chain. key: its key; None if the file of the certificate contains it.
    ca: the authorities that must have signed a caller's certificate; None requests no certificate.
    """

    certificate: Path
    key: Path | None = None
    ca: Path | None = None


def client_context(tls: PeerTls) -> ssl.SSLContext:
    """Return the context to open connections with; it checks the peer's certificate and name.

    Raises UsageError if a file cannot be read.
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


def server_context(tls: NodeTls) -> ssl.SSLContext:
    """Return the context to accept connections with. Raises UsageError if a file cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a terminal no password can be asked for: ssl refuses an encrypted key.
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise UsageError(
            f"certificate or key cannot be used: {error}",
            where=tls.certificate,
            remedy="Give PEM files that belong together, the key without a password",
        ) from error
    if tls.ca is not None:
        try:
            context.load_verify_locations(tls.ca)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"authorities cannot be used: {error}", where=tls.ca, remedy="Give a PEM file"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context
