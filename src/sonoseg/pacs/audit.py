"""Who sent what, and what became of it: JSON lines that are only added to.

Instances, AE titles, addresses and users are named; a patient, a study's text, or a pixel never.
"""

from __future__ import annotations

import getpass
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from sonoseg._util.timestamps import utc_now

Event = Literal[
    "started",
    "stopped",
    "association",
    "association-refused",
    "received",
    "refused",
    "segmented",
    "sent",
    "put-off",
    "given-up",
    "again",
]


class Audit:
    """The log of one node.

    path: of the file, made where it is not there. Each line is one write at its end, opened anew: whoever
    rotates logs may move the file away at any time.
    trouble: told, once until a line is written again, that lines cannot be written. The work does not stop
    for it: what it would have told is in the queue too, until it is sent.
    """

    def __init__(self, path: Path, trouble: Callable[[str], None] = lambda text: None) -> None:
        self.path = path
        self._trouble = trouble
        self._lock = threading.Lock()
        self._failing = False

    def note(self, event: Event, **details: str | int | float | list[str] | None) -> None:
        """Add one line: when, what, and the details that are not None."""
        line: dict[str, object] = {"at": utc_now("milliseconds"), "event": event}
        line |= {key: value for key, value in details.items() if value is not None}
        data = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        with self._lock:
            try:
                self._append(data)
                self._failing = False
            except OSError as error:
                if not self._failing:
                    self._trouble(f"{self.path}: the audit log cannot be written: {error.strerror or error}")
                self._failing = True

    def _append(self, data: bytes) -> None:
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            if os.lseek(handle, 0, os.SEEK_END) and _last(handle) != b"\n":
                data = b"\n" + data  # a line that a full disk or a killed node cut short ends here
            os.write(handle, data)
        finally:
            os.close(handle)


def _last(handle: int) -> bytes:
    os.lseek(handle, -1, os.SEEK_END)
    return os.read(handle, 1)


def user() -> str:
    """Whom the node runs as."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name, as in containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
