"""Associations that do not come about say why; TLS is checked on both sides."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sonoseg.errors import PacsError, UsageError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.client import open_archive
from sonoseg.pacs.query import Query
from sonoseg.pacs.tls import PeerTls


def echo(port: int, **more: Any) -> None:
    values = {"ae": "KEEPER", "host": "127.0.0.1", "port": port, "timeout": 10, **more}
    open_archive(DimseAddress(**values)).echo()


def test_ae_titles_unknown_to_orthanc(orthanc: Any) -> None:
    # Orthanc closes the connection behind its answer: on a busy machine the close is seen before the reason.
    told = "Called AE title not recognised|connection accepted, but no association.*its AE title"
    with pytest.raises(PacsError, match=told):
        echo(orthanc.port, ae="ANOTHER")
    echo(orthanc.port, ae="ORTHANC")
    stranger = open_archive(
        DimseAddress(ae="ORTHANC", host="127.0.0.1", port=orthanc.port, our_ae="STRANGER")
    )
    with pytest.raises(PacsError, match=r"ORTHANC@127\.0\.0\.1") as caught:
        list(stranger.find(Query()))
    assert caught.value.remedy is not None


def test_host_name_that_does_not_resolve() -> None:
    with pytest.raises(PacsError, match="cannot be reached"):
        echo(104, host="no-such-host.invalid")


def test_peer_without_dicom() -> None:
    """A listener that sends nothing, and one that sends HTTP."""
    told = pytest.raises(PacsError, match="connection accepted, but no association")
    with socket.create_server(("127.0.0.1", 0)) as mute, told:
        echo(mute.getsockname()[1], timeout=0.5)
    with socket.create_server(("127.0.0.1", 0)) as web:

        def talk() -> None:
            connection, _ = web.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        Thread(target=talk, daemon=True).start()
        with pytest.raises(PacsError, match="connection accepted, but no association: unknown PDU type 0x48"):
            echo(web.getsockname()[1], timeout=2)


def test_service_that_the_archive_does_not_offer(storescp: Any) -> None:
    port, _ = storescp()
    with pytest.raises(PacsError, match="no presentation context accepted"):
        list(open_archive(DimseAddress(ae="KEEPER", host="127.0.0.1", port=port, timeout=10)).find(Query()))


def secure(storescp: Callable[..., tuple[int, Path]], certificates: Any, *, ask: bool = True) -> int:
    return storescp(
        "+tls", certificates.server_key, certificates.server, "+cf", certificates.ca, "-rc" if ask else "-ic"
    )[0]


def test_tls_with_certificates_on_both_sides(storescp: Any, certificates: Any) -> None:
    port = secure(storescp, certificates)
    ours = {"certificate": certificates.client, "key": certificates.client_key}
    echo(port, tls=PeerTls(ca=certificates.ca, **ours))
    with pytest.raises(PacsError):
        echo(port, tls=PeerTls(ca=certificates.ca), timeout=3)  # we show none, and are asked for one


def test_tls_with_untrusted_certificate(storescp: Any, certificates: Any) -> None:
    port = secure(storescp, certificates, ask=False)
    echo(port, tls=PeerTls(ca=certificates.ca))
    with pytest.raises(PacsError, match="certificate is not trusted"):
        echo(port, tls=PeerTls(ca=certificates.stranger))
    with pytest.raises(PacsError, match="certificate is not trusted: Hostname mismatch"):
        echo(port, tls=PeerTls(ca=certificates.ca, name="another.example"))


def test_tls_on_one_side_only(storescp: Any, certificates: Any) -> None:
    with pytest.raises(PacsError):
        echo(secure(storescp, certificates), timeout=2)
    plain, _ = storescp()
    with pytest.raises(PacsError):
        echo(plain, tls=PeerTls(ca=certificates.ca), timeout=2, connect_timeout=2)


def test_unusable_tls_files(certificates: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("not PEM")
    for tls in (
        PeerTls(ca=wrong),
        PeerTls(ca=tmp_path / "absent.pem"),
        PeerTls(certificate=certificates.client, key=certificates.server_key),
    ):
        with pytest.raises(UsageError, match="TLS"):
            echo(1, tls=tls)
