"""Audit log of the node: JSON lines, append-only.

Lines contain instances, AE titles, addresses and users; never a patient, a text of a study, or pixels.
"""

from __future__ import annotations

import getpass
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

from sonoseg._util.timestamps import utc_now

Event = Literal[
    "started",
    "stopped",
    "association",
    "association-refused",
    "association-aborted",
    "connection-refused",
    "received",
    "refused",
    "segmented",
    "sent",
    "retry",
    "failed",
    "requeued",
]


LINES_PER_MINUTE = 10
"""Lines of one event and host in a minute, of events that anyone who reaches the port can cause."""
MAX_HOSTS = 1024
"""Hosts whose lines are counted at the same time."""


class Audit:
    """The audit log of one node.

    path: of the file, created if needed. The file is opened for each line, so log rotation may move it away
        at any time.
    report: called with a message, once until a line is written again, when lines cannot be written. The node
        continues: the queue contains the same events until an instance is sent.
    """

    def __init__(self, path: Path, report: Callable[[str], None] = lambda text: None) -> None:
        self.path = path
        self._report = report
        self._lock = threading.Lock()
        self._failing = False
        self._repeated: dict[tuple[Event, str], _MinuteCount] = {}

    def note_repeated(self, event: Event, *, host: str, **details: str | int | float | None) -> None:
        """Append one line of an event that any peer can cause, at most LINES_PER_MINUTE per host.

        The first line after omitted ones has their number in `omitted`.
        """
        with self._lock:
            now = monotonic()
            count = self._repeated.get((event, host))
            if count is None or now - count.since >= 60:
                if len(self._repeated) >= MAX_HOSTS:
                    self._repeated.clear()
                omitted = 0 if count is None else max(0, count.lines - LINES_PER_MINUTE)
                count = self._repeated[event, host] = _MinuteCount(now)
            else:
                omitted = 0
            count.lines += 1
            if count.lines > LINES_PER_MINUTE:
                return
        self.note(event, host=host, **details, omitted=omitted or None)

    def note(self, event: Event, **details: str | int | float | list[str] | None) -> None:
        """Append one line: time, event, and the details that are not None."""
        line: dict[str, object] = {"at": utc_now("milliseconds"), "event": event}
        line |= {key: value for key, value in details.items() if value is not None}
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            try:
                self._append(data)
                self._failing = False
            except OSError as error:
                if not self._failing:
                    self._report(f"{self.path}: audit log cannot be written: {error.strerror or error}")
                self._failing = True

    def _append(self, data: bytes) -> None:
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            if os.lseek(handle, 0, os.SEEK_END) and _last_byte(handle) != b"\n":
                data = b"\n" + data  # the last line was truncated by a full disk or a killed node
            os.write(handle, data)
        finally:
            os.close(handle)


@dataclass
class _MinuteCount:
    """Lines of one event and host since a time of the monotonic clock."""

    since: float
    lines: int = 0


def _last_byte(handle: int) -> bytes:
    os.lseek(handle, -1, os.SEEK_END)
    return os.read(handle, 1)


def user() -> str:
    """Return the user that the node runs as."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user ID without a name, as in containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
