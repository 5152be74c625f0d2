"""The attacks of attacks.py on the DICOM node: connections, PDUs, AE titles, instances, kills and clocks."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config, build_context
from pynetdicom.association import Association

import attack_services as services
from attack_services import Outcome, Service, mebibytes, until

VERIFICATION = "1.2.840.10008.1.1"
PUSHED = 200 << 20
"""Bytes sent behind a PDU header that announces more."""
ASSOCIATE_DEADLINE = 15.0
"""Seconds after which a node must have closed a connection without an association."""
FUZZED = 200
KILLS = 7


class NodeAttacks:
    """Attacks on one tree's node, with an Orthanc server as its PACS. parts: helpers of the tests."""

    def __init__(self, source: Path, folder: Path, orthanc: Any, parts: Any) -> None:
        self.source, self.folder, self.orthanc, self.parts = source, folder, orthanc, parts

    @contextlib.contextmanager
    def node(self, name: str, limits: str = "") -> Iterator[Service]:
        """A node with a folder of its own."""
        one = services.node(self.source, self.folder / name, self.orthanc.dimse, limits=limits)
        try:
            yield one
        finally:
            if one.alive():
                one.kill()

    def silent_connections(self) -> Outcome:
        """Open and close 16 connections without a byte, then associate as an allowed sender."""
        with self.node("silent") as node:
            for _ in range(16):
                services.connect(node.port).close()
            return _accepted_after(node, 16)

    def half_requests(self) -> Outcome:
        """Keep 16 connections with the start of an association request, then associate."""
        with (
            self.node("half") as node,
            open_connections(node, 16, struct.pack(">BBI", 1, 0, 300) + bytes(20)),
        ):
            return _accepted_after(node, 16)

    def many_connections(self) -> Outcome:
        """Keep 300 connections of one address without a byte, then associate."""
        with self.node("many") as node, open_connections(node, 300, b""):
            return _accepted_after(node, 300)

    def slow_requests(self) -> Outcome:
        """Send an association request a byte a second on 8 connections; the node must close them."""
        with self.node("slow") as node, open_connections(node, 8, b"") as connections:
            request = struct.pack(">BBI", 1, 0, 300) + bytes(300)
            began, closed = time.monotonic(), set[int]()
            while time.monotonic() - began < ASSOCIATE_DEADLINE:
                octet = request[int(time.monotonic() - began)]
                for number, one in enumerate(connections):
                    if closed_by_peer(one, bytes([octet])):
                        closed.add(number)
                time.sleep(1)
            return Outcome(8, len(closed), f"closed within {ASSOCIATE_DEADLINE:.0f} s")

    def announced_length(self) -> Outcome:
        """Announce 0xFFFFFFFF bytes in the first PDU on 4 connections, and send 200 MiB on each."""
        with self.node("announced", "max_bytes = 1048576") as node:
            until(lambda: _echo(node) is not None, 30)
            before = node.peak()
            threads = [
                threading.Thread(
                    target=_push, args=(services.connect(node.port), struct.pack(">BBI", 1, 0, 0xFFFFFFFF))
                )
                for _ in range(4)
            ]
            for one in threads:
                one.start()
            for one in threads:
                one.join()
            grown = node.peak() - before
            return Outcome(4, 4 if grown < PUSHED // 4 else 0, f"peak memory {mebibytes(grown)}")

    def oversize_data(self) -> Outcome:
        """Announce 1,000 MiB in one P-DATA PDU on an accepted association, and send 200 MiB."""
        with self.node("oversize", "max_bytes = 1048576") as node:
            association = _associate(node)
            if association is None:
                return Outcome(1, 0, "no association")
            before = node.peak()
            raw = association.dul.socket.socket
            assert raw is not None
            _push(raw, struct.pack(">BBI", 4, 0, 1000 << 20))
            time.sleep(1)
            grown = node.peak() - before
            association.abort()
            return Outcome(1, int(grown < PUSHED // 4), f"peak memory {mebibytes(grown)}")

    def ae_titles(self) -> Outcome:
        """Associate under 20 AE titles that are not allowed, and call 20 wrong ones."""
        with self.node("titles") as node:
            refused = 0
            for number in range(20):
                refused += _associate(node, calling=f"STRANGER{number}") is None
                refused += _associate(node, called=f"OTHER{number}") is None
            return Outcome(40, refused)

    def other_content(self) -> Outcome:
        """Send an instance, and another image under its SOP Instance UID; the answer must not be success."""
        with self.node("content") as node:
            first = self.parts.write_phantom(self.folder / "first.dcm", 901, study="content")
            other = self.parts.write_phantom(self.folder / "other.dcm", 902, study="content")
            dataset = dcmread(other)
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = dcmread(
                first
            ).SOPInstanceUID
            dataset.save_as(other)
            statuses = [store(node, path) for path in (first, first, other)]
            said = ", ".join("none" if one is None else f"0x{one:04X}" for one in statuses)
            return Outcome(
                1, int(statuses[:2] == [0, 0] and statuses[2] not in (0, None)), f"statuses {said}"
            )

    def fuzzed_instances(self) -> Outcome:
        """Store 200 instances with damaged data sets; each must be answered, the next sender accepted."""
        chance, answers = random.Random(0), Counter[str]()
        path = self.parts.write_phantom(self.folder / "sound.dcm", 903, study="fuzz")
        sound, uid = path.read_bytes(), str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        _config.STORE_SEND_CHUNKED_DATASET = True  # sends the bytes as they are
        with self.node("fuzz") as node:
            held = 0
            for number in range(FUZZED):
                path = self.folder / "fuzzed.dcm"
                own = sound.replace(uid.encode(), f"{uid[:-3]}{number + 100}".encode())
                path.write_bytes(damage(own, chance, number))
                status = store(node, path)
                answers["none" if status is None else f"0x{status:04X}"] += 1
                held += status is not None and node.alive()
            after = _echo(node)
            said = ", ".join(f"{name} {count}" for name, count in answers.most_common())
            return Outcome(FUZZED, held if after is not None else 0, f"answers: {said}")

    def kills(self) -> Outcome:
        """Kill the node 7 times while 4 senders send 56 instances (pacs_kills.py)."""
        result = self.folder / "kills.json"
        line = [sys.executable, str(Path(__file__).with_name("pacs_kills.py")), "--way", "dimse"]
        line += ["--instances", "56", "--kills", str(KILLS), "--ahead", "20", "--patience", "900"]
        line += ["--json", str(result)]
        subprocess.run(
            line, env=services.environment(self.source), capture_output=True, timeout=1200, check=False
        )
        if not result.is_file():
            return Outcome(KILLS, 0, "the run did not end")
        one = json.loads(result.read_text("utf-8"))["ways"]["dimse"]
        there = one["archive"]
        sound = one["accepted"] == one["instances"] and not (there["double"] or there["missing"])
        done = len(one["kills"])
        return Outcome(
            done,
            done if sound else 0,
            f"{one['accepted']} of {one['instances']} accepted, {there['missing']} missing, "
            f"{there['double']} double",
        )

    def clock(self) -> Outcome:
        """Start a node whose queue waits for a time 30 days ahead, as after a clock that was set back."""
        path = self.parts.write_phantom(self.folder / "clock.dcm", 904, study="clock")
        uid = str(dcmread(path).SOPInstanceUID)
        self.orthanc.stop()
        with self.node("clock") as node:
            store(node, path)
            database = self.folder / "clock" / "state" / "queue.sqlite"
            until(lambda: _row(database, uid)[0] == "segmented" and _row(database, uid)[1] > 0, 60)
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("UPDATE instances SET next_at = ?", (time.time() + 30 * 86400,))
        self.orthanc.start()
        again = services.node(self.source, self.folder / "clock", self.orthanc.dimse, retry="max_delay = 20")
        try:
            seconds = until(lambda: _row(database, uid)[0] == "sent", 60)
        finally:
            again.kill()
        return Outcome(1, int(seconds is not None), "not sent within 60 s" if seconds is None else "sent")


def _accepted_after(node: Service, tried: int) -> Outcome:
    """Associate until it succeeds, at most 40 s; held: the first attempt did."""
    seconds = until(lambda: _echo(node) is not None, 40, step=0.5)
    if seconds is None:
        return Outcome(tried, 0, "an allowed sender was refused for more than 40 s")
    return Outcome(
        tried, tried if seconds < 0.5 else 0, f"an allowed sender was accepted after {seconds:.1f} s"
    )


@contextlib.contextmanager
def open_connections(node: Service, number: int, start: bytes) -> Iterator[list[socket.socket]]:
    """Connections that have sent some bytes and stay open."""
    connections = list[socket.socket]()
    for _ in range(number):
        try:
            connections.append(services.connect(node.port))
            connections[-1].sendall(start)
        except OSError:  # refused, as it may be
            pass
    try:
        time.sleep(0.5)
        yield connections
    finally:
        for one in connections:
            one.close()


def closed_by_peer(connection: socket.socket, octet: bytes) -> bool:
    """Whether the other side has closed a connection; sends a byte on it."""
    try:
        connection.sendall(octet)
        connection.setblocking(False)
        return connection.recv(64) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.setblocking(True)


def _push(connection: socket.socket, header: bytes) -> None:
    """Send a PDU header and PUSHED bytes, until the other side closes."""
    with contextlib.suppress(OSError):
        connection.settimeout(10)
        connection.sendall(header)
        chunk = bytes(1 << 20)
        for _ in range(PUSHED // len(chunk)):
            connection.sendall(chunk)
        time.sleep(2)
    connection.close()


def _associate(
    node: Service,
    *,
    calling: str = services.SENDER_TITLE,
    called: str = services.NODE_TITLE,
    path: Path | None = None,
) -> Association | None:
    """An established association; None where it is refused."""
    entity = AE(calling)
    entity.connection_timeout = entity.acse_timeout = 5
    context = build_context(VERIFICATION)
    if path is not None:
        meta = read_file_meta_info(path)
        context = build_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", node.port, contexts=[context], ae_title=called)
    return association if association.is_established else None


def _echo(node: Service) -> int | None:
    """The status of a C-ECHO of an allowed sender; None where there is none."""
    association = _associate(node)
    if association is None:
        return None
    status = association.send_c_echo().get("Status")
    association.release()
    return None if status is None else int(status)


def store(node: Service, path: Path) -> int | None:
    """The status of a C-STORE; None without a response."""
    association = _associate(node, path=path)
    if association is None:
        return None
    try:
        status = association.send_c_store(path).get("Status")
    except (RuntimeError, ValueError):
        status = None
    if association.is_established:
        association.release()
    return None if status is None else int(status)


def damage(sound: bytes, chance: random.Random, number: int) -> bytes:
    """Damage a file behind its File Meta Information: bytes flipped, cut or doubled."""
    start = 132 + 12 + struct.unpack("<I", sound[140:144])[0]
    head, body = sound[:start], bytearray(sound[start:])
    kind = number % 3
    if kind == 0:
        for _ in range(chance.choice((1, 4, 16, 64))):
            body[chance.randrange(min(len(body), 4096))] = chance.randrange(256)
    elif kind == 1:
        del body[chance.randrange(len(body)) :]
    else:
        at = chance.randrange(min(len(body), 4096))
        body[at:at] = body[at : at + chance.choice((1, 2, 8, 64))]
    return head + bytes(body)


def _row(database: Path, uid: str) -> tuple[str, int]:
    """State and attempts of an instance in the node's queue."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT state, attempts FROM instances WHERE uid = ?", (uid,)).fetchall()
    return (str(rows[0][0]), int(rows[0][1])) if rows else ("absent", 0)
