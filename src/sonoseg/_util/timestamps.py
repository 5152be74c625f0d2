"""Time stamps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal


def utc_now(timespec: Literal["seconds", "milliseconds"] = "seconds") -> str:
    """Return the present time in UTC as ISO 8601, for example 2026-01-31T12:00:00+00:00."""
    return datetime.now(UTC).isoformat(timespec=timespec)
