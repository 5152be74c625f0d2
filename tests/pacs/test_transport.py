"""Attacks on the node's port: half-open connections, PDUs of any length, senders that drip or flood."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sonoseg.errors import PacsError
from sonoseg.pacs.address import DimseAddress
from sonoseg.pacs.client import open_archive

StartScp = Callable[..., Any]
Send = Callable[..., list[int | None]]
Connect = Callable[..., socket.socket]

HALF_OPEN = struct.pack(">BBI", 1, 0, 300) + bytes(20)
"""The first bytes of an A-ASSOCIATE-RQ of 300 bytes."""
ABORT = struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 2, 6)
USER_ABORT = struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Open a TCP connection to a port of this machine, send bytes, and keep it open until the test ends."""
    opened: list[socket.socket] = []

    def make(port: int, data: bytes = b"") -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=20))
        opened[-1].sendall(data)
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def read_until_closed(connection: socket.socket) -> bytes:
    """What the peer sends until it closes; the socket's timeout fails the test."""
    data = b""
    with suppress(ConnectionError):
        while part := connection.recv(4096):
            data += part
    return data


def sent_bytes(connection: socket.socket, data: bytes, times: int) -> int:
    """Send data many times, and return how many bytes the peer took before it closed."""
    sent = 0
    with suppress(ConnectionError):
        for _ in range(times):
            connection.sendall(data)
            sent += len(data)
    return sent


def associate_request(called: str = "SONOSEG") -> bytes:
    """An A-ASSOCIATE-RQ PDU for Verification (PS3.8 9.3.2)."""
    from pynetdicom import build_context
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        MaximumLengthNotification,
    )

    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "SCANNER", called
    context = build_context("1.2.840.10008.1.1")
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 16384, "1.2.3"
    primitive.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def echo_request() -> bytes:
    """A C-ECHO request as a P-DATA-TF PDU (PS3.7 9.3.5)."""
    from pynetdicom.dimse_messages import C_ECHO_RQ
    from pynetdicom.dimse_primitives import C_ECHO
    from pynetdicom.pdu import P_DATA_TF

    primitive = C_ECHO()
    primitive.MessageID, primitive.AffectedSOPClassUID = 1, "1.2.840.10008.1.1"
    message = C_ECHO_RQ()
    message.primitive_to_message(primitive)
    (fragment,) = message.encode_msg(1, 16384)
    pdu = P_DATA_TF()
    pdu.from_primitive(fragment)
    return bytes(pdu.encode())


def established(connection: socket.socket) -> socket.socket:
    """Associate, and read the A-ASSOCIATE-AC."""
    connection.sendall(associate_request())
    kind, _, length = struct.unpack(">BBI", connection.recv(6, socket.MSG_WAITALL))
    assert kind == 2
    connection.recv(length, socket.MSG_WAITALL)
    return connection


@pytest.mark.parametrize("data", [b"", HALF_OPEN], ids=["silent", "half-open"])
def test_unassociated_connections_do_not_block_a_sender(
    tmp_path: Path,
    start_scp: StartScp,
    connect: Connect,
    sender: Send,
    make_phantom: Callable[..., Path],
    data: bytes,
) -> None:
    scp = start_scp()
    for _ in range(20):
        connect(scp.port, data)
    assert sender(scp.port, [make_phantom(tmp_path / "one.dcm", 1)]) == [0x0000]


def test_port_scan_does_not_block_a_sender(
    tmp_path: Path, start_scp: StartScp, connect: Connect, sender: Send, make_phantom: Callable[..., Path]
) -> None:
    scp = start_scp()
    for _ in range(40):
        connect(scp.port).close()
    assert sender(scp.port, [make_phantom(tmp_path / "one.dcm", 1)]) == [0x0000]


def test_first_pdu_of_any_length_is_not_read(start_scp: StartScp, connect: Connect) -> None:
    scp = start_scp()
    connection = connect(scp.port, struct.pack(">BBI", 1, 0, 0xFFFFFFFF))
    assert sent_bytes(connection, bytes(1 << 20), 200) < 200 << 20


def test_oversize_p_data_aborts_the_association(start_scp: StartScp, connect: Connect) -> None:
    scp = start_scp()
    connection = established(connect(scp.port))
    connection.sendall(struct.pack(">BBI", 4, 0, 200 << 20))
    assert sent_bytes(connection, bytes(1 << 20), 200) < 200 << 20


def test_late_association_request_is_closed_and_recorded(
    start_scp: StartScp, connect: Connect, until: Callable[..., None]
) -> None:
    scp = start_scp(limits={"request_timeout": 0.2})
    for data in (b"", HALF_OPEN):
        read_until_closed(connect(scp.port, data))
    until(lambda: len(scp.events("connection-refused")) == 2)
    refused = scp.events("connection-refused")
    assert [one["reason"] for one in refused] == ["no complete association request in time"] * 2
    assert {one["host"] for one in refused} == {"127.0.0.1"}


def test_request_that_drips_is_closed(start_scp: StartScp, connect: Connect) -> None:
    """Each byte arrives in time, the whole does not."""
    scp = start_scp(limits={"request_timeout": 0.3})
    connection = connect(scp.port, HALF_OPEN)
    connection.settimeout(0.02)
    for _ in range(1000):
        with suppress(TimeoutError):
            if not read_until_closed(connection) or scp.events("connection-refused"):
                break
        with suppress(ConnectionError):
            connection.sendall(b"\0")
    assert scp.events("connection-refused")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (struct.pack(">BBI", 1, 0, 0xFFFFFFFF), "announces 4294967295 bytes, at most 65536"),
        (struct.pack(">BBI", 1, 0, 65537), "announces 65537 bytes"),
        (struct.pack(">BBI", 4, 0, 10), "the first PDU is of type 0x04"),
        (struct.pack(">BBI", 7, 0, 4), "the first PDU is of type 0x07"),
        (b"GET / HTTP/1.1\r\n\r\n", "the first PDU is of type 0x47"),
    ],
)
def test_unusable_first_pdu_is_refused_by_its_header(
    start_scp: StartScp, connect: Connect, until: Callable[..., None], header: bytes, reason: str
) -> None:
    scp = start_scp()
    read_until_closed(connect(scp.port, header))
    until(lambda: scp.events("connection-refused"))
    (refused,) = scp.events("connection-refused")
    assert reason in refused["reason"]
    assert scp.scp._server.active_associations == []


def test_oldest_connection_of_a_crowded_address_is_closed(
    start_scp: StartScp, connect: Connect, until: Callable[..., None]
) -> None:
    scp = start_scp(limits={"connections_per_address": 2})
    first, *others = [connect(scp.port, HALF_OPEN) for _ in range(3)]
    assert read_until_closed(first) == b""
    until(lambda: scp.events("connection-refused"))
    assert scp.events("connection-refused")[0]["reason"] == "too many connections without an association"
    for one in others:
        one.settimeout(0.05)
        with pytest.raises(TimeoutError):
            one.recv(1)


def test_crowd_of_all_addresses(start_scp: StartScp) -> None:
    """Above the total, the address with the most connections gives one up, not the newcomer."""
    server = start_scp(limits={"connections": 4, "connections_per_address": 3}).scp._server
    hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2"]
    server._waiting = {object(): host for host in hosts}
    assert server._crowded_host("10.0.0.3") == "10.0.0.2"
    assert server._crowded_host("10.0.0.2") == "10.0.0.2"
    server._waiting.popitem()
    assert server._crowded_host("10.0.0.3") is None
    server._waiting = {}


def test_limit_of_associations(
    tmp_path: Path,
    start_scp: StartScp,
    connect: Connect,
    sender: Send,
    make_phantom: Callable[..., Path],
    until: Callable[..., None],
) -> None:
    """Rejected and ended associations take the place of none."""
    scp = start_scp(limits={"associations": 1})
    path = make_phantom(tmp_path / "one.dcm", 1)
    strangers = [connect(scp.port, associate_request("ANOTHER") + HALF_OPEN) for _ in range(4)]
    for one in strangers:
        read_until_closed(one)
    first = established(connect(scp.port))
    assert sender(scp.port, [path]) == [None]
    until(lambda: scp.events("association-refused")[-1]["called"] == "SONOSEG")
    first.sendall(struct.pack(">BBIBBBB", 7, 0, 4, 0, 0, 0, 0))
    read_until_closed(first)
    assert sender(scp.port, [path]) == [0x0000]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack(">BBI", 4, 0, (1 << 17) + 1), "announces 131073 bytes, at most 131072"),
        (struct.pack(">BBI", 5, 0, 1 << 20), "announces 1048576 bytes, at most 4"),
        (struct.pack(">BBI", 9, 0, 4), "unknown PDU type 0x09"),
        (struct.pack(">BBI", 4, 0, 1000) + bytes(10), "PDU is incomplete after 0.2 s"),
        (b"\4", "PDU is incomplete after 0.2 s"),
    ],
)
def test_pdu_that_aborts_an_association(
    start_scp: StartScp, connect: Connect, until: Callable[..., None], data: bytes, reason: str
) -> None:
    scp = start_scp(limits={"pdu_timeout": 0.2})
    connection = established(connect(scp.port))
    connection.sendall(data)
    assert read_until_closed(connection) in (b"", ABORT)  # a reset may overtake the A-ABORT
    until(lambda: scp.events("association-aborted"))
    (aborted,) = scp.events("association-aborted")
    assert reason in aborted["reason"]
    assert (aborted["sender"], aborted["host"]) == ("SCANNER", "127.0.0.1")


def test_command_set_without_end_aborts_the_association(
    start_scp: StartScp, connect: Connect, until: Callable[..., None]
) -> None:
    scp = start_scp(limits={"max_bytes": 100_000})
    connection = established(connect(scp.port))
    fragment = struct.pack(">BBIIBB", 4, 0, 10_006, 10_002, 1, 0x01) + bytes(10_000)
    sent_bytes(connection, fragment, 50)
    read_until_closed(connection)
    until(lambda: scp.events("association-aborted"))
    (aborted,) = scp.events("association-aborted")
    assert aborted["reason"] == "message of more than 100000 bytes"


def test_messages_are_not_read_ahead(
    start_scp: StartScp, connect: Connect, until: Callable[..., None]
) -> None:
    """A peer that does not wait for responses waits for its messages to be handled: none is collected."""
    scp = start_scp()
    peer = established(connect(scp.port))
    (association,) = scp.scp._server.active_associations
    association._reactor_checkpoint.clear()
    until(lambda: association._is_paused)
    peer.sendall(echo_request() * 20)
    until(lambda: association.dimse.msg_queue.qsize() == 1)
    until(lambda: not association.dul.socket.ready)
    assert association.dimse.msg_queue.qsize() == 1
    association._reactor_checkpoint.set()
    until(lambda: association.dimse.msg_queue.qsize() == 0 and not association.dul.socket._buffer)


def test_a_silent_association_ends_whatever_the_clock_says(
    start_scp: StartScp, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.time()
    scp = start_scp(limits={"idle": 0.3})
    connection = established(connect(scp.port))
    monkeypatch.setattr(time, "time", lambda: start - 30 * 86_400)
    assert read_until_closed(connection) in (b"", USER_ABORT)


def test_stopping_closes_unassociated_connections(start_scp: StartScp, connect: Connect) -> None:
    scp = start_scp()
    connection = connect(scp.port, HALF_OPEN)
    scp.scp.stop(patience=0.1)
    assert read_until_closed(connection) == b""


# Archives as peers


@contextmanager
def hostile_archive(data: bytes, *, associate: bool) -> Iterator[DimseAddress]:
    """An archive that sends `data` as its response to an association request, or to C-ECHO."""
    from pynetdicom import AE, evt

    def respond(event: Any) -> int:
        event.assoc.dul.socket.socket.sendall(data)
        time.sleep(0.5)
        return 0x0000

    if associate:
        entity = AE("PACS")
        entity.add_supported_context("1.2.840.10008.1.1")
        server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, respond)])
        assert server is not None
        yield DimseAddress(ae="PACS", host="127.0.0.1", port=server.server_address[1], timeout=0.3)
        server.shutdown()
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(data)
                read_until_closed(connection)

        Thread(target=accept, daemon=True).start()
        yield DimseAddress(ae="PACS", host="127.0.0.1", port=listener.getsockname()[1], timeout=0.3)


@pytest.mark.parametrize(
    ("data", "associate", "reason"),
    [
        (struct.pack(">BBI", 2, 0, 0xFFFFFFFF), False, "announces 4294967295 bytes, at most 65536"),
        (struct.pack(">BBI", 2, 0, 1000) + bytes(10), False, "PDU is incomplete after 0.3 s|no association"),
        (struct.pack(">BBI", 4, 0, 200 << 20), True, "announces 209715200 bytes, at most 131072"),
        (struct.pack(">BBI", 4, 0, 1000), True, "PDU is incomplete after 0.3 s|no response to C-ECHO"),
    ],
)
def test_hostile_archive(data: bytes, associate: bool, reason: str) -> None:
    with hostile_archive(data, associate=associate) as address, pytest.raises(PacsError, match=reason):
        open_archive(address).echo()


def test_tls_handshake_that_never_ends_is_closed(
    start_scp: StartScp, connect: Connect, certificates: Any, until: Callable[..., None]
) -> None:
    tls = {"certificate": certificates.server, "key": certificates.server_key}
    scp = start_scp(tls=tls, limits={"request_timeout": 0.2})
    assert read_until_closed(connect(scp.port, bytes.fromhex("16030100"))) == b""
    until(lambda: not scp.scp._server._waiting)


def test_request_over_tls_that_is_late_is_closed(
    start_scp: StartScp, connect: Connect, certificates: Any, until: Callable[..., None]
) -> None:
    tls = {"certificate": certificates.server, "key": certificates.server_key}
    scp = start_scp(tls=tls, limits={"request_timeout": 0.5})
    context = ssl.create_default_context(cafile=certificates.ca)
    with context.wrap_socket(connect(scp.port), server_hostname="localhost") as connection:
        connection.sendall(HALF_OPEN)
        with suppress(ssl.SSLError):
            read_until_closed(connection)
    until(lambda: scp.events("connection-refused"))
