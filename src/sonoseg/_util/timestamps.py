"""Time stamps."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

_START = time.time() - time.monotonic()


def utc_now(timespec: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Return the present time in UTC as ISO 8601, for example 2026-01-31T12:00:00+00:00."""
    return datetime.now(UTC).isoformat(timespec=timespec)


def steady_now() -> float:
    """Return seconds since 1970 that only advance: later changes of the system's clock have no effect."""
    return _START + time.monotonic()
