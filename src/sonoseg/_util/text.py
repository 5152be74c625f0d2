"""Text for messages and files."""

from __future__ import annotations

import os
from pathlib import Path

LONGEST = 300
"""Characters of another library's message that ours repeat."""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, without a final full stop, at most LONGEST characters.

    The name of its type where the message is empty.
    """
    lines = str(error).strip().splitlines()
    return lines[0][:LONGEST].rstrip(". ") if lines else type(error).__name__


def printable(text: str | Path) -> str:
    """Return a path as text that can be written as UTF-8: undecodable bytes of a file name become U+FFFD."""
    return os.fsencode(str(text)).decode("utf-8", "replace")
