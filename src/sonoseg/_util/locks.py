"""One process at a time: a file's lock that the system lets go when its holder ends, however it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sonoseg.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows: nobody is kept out
    fcntl = None  # type: ignore[assignment]

PAUSE = 0.05
"""Seconds between two looks at a lock that another holds."""


@contextmanager
def locked(path: Path, found: str, remedy: str, patience: float = 0.0) -> Iterator[int]:
    """Hold the lock on `path`, made with its folder where it is not there.

    Gives the open file's number, for processes to inherit: the lock lasts as long as any of them.
    found, remedy: what to say of `path`'s folder where somebody else holds it. patience: seconds to wait
    before that.
    Raises OutputError: it is held, or cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror or error}", where=path) from error
    with file:
        end = time.monotonic() + patience
        while fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= end:
                    raise OutputError(found, where=path.parent, remedy=remedy) from error
            time.sleep(PAUSE)
        yield file.fileno()
