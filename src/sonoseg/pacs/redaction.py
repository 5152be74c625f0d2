"""Redaction of the reasons in the queue, for pages that must not name a patient."""

from __future__ import annotations

import re

_ATTEMPTS = re.compile(r"; tried \d+ times$")


def redact(reason: str | None) -> str | None:
    """Return the reason of a row without text of the archive or of another library's exception.

    Such text may quote an object and name a patient; it follows the second colon. The number of attempts is
    kept. The complete reason is in reason.json in the state folder.
    """
    if reason is None:
        return None
    attempts = _ATTEMPTS.search(reason)
    rest = reason[: attempts.start()] if attempts else reason
    return ": ".join(rest.split(": ")[:2]) + (attempts[0] if attempts else "")
