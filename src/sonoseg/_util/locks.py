"""Locks between processes: an exclusive lock on a file, which the system releases when its holder ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from sonoseg._util.files import cannot_write
from sonoseg.errors import OutputError

PAUSE = 0.05
"""Seconds between two attempts at a lock that another process holds."""


@contextmanager
def locked(
    path: Path,
    problem: str,
    remedy: str,
    patience: float = 0.0,
    *,
    where: Path | None = None,
    remove: bool = False,
) -> Iterator[int]:
    """Hold an exclusive lock on the file `path`, which is created with its folder where it is missing.

    The file is empty and means nothing by itself: only the system's lock on it counts (flock, or LockFileEx
    on Windows). It ends with the block, or with the process, even one that is killed; the file stays, unless
    `remove` is set.

    Yields the open file's descriptor. Processes that inherit it share the lock: it lasts as long as any of
    them.

    problem, remedy: of the error where another process holds the lock. patience: seconds to wait before that.
    where: what the error names; `path`'s folder where None.
    Raises OutputError where the lock is held or its file cannot be created.
    """
    end = time.monotonic() + patience
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError as error:
            raise cannot_write(path, error) from error
        with file:
            if lock_file(file):
                # A holder that removed the file left a lock on no name: take the new one's.
                if os.fstat(file.fileno()).st_nlink == 0:
                    continue
                try:
                    yield file.fileno()
                finally:
                    if remove:
                        with suppress(OSError):  # Windows removes no open file
                            path.unlink()
                return
        if time.monotonic() >= end:
            raise OutputError(problem, where=where or path.parent, remedy=remedy)
        time.sleep(PAUSE)


def lock_file(file: IO[Any]) -> bool:
    """Lock an open file exclusively, until it is closed; False where another process holds it.

    On a file system without locks nobody is kept out, and the answer is True.
    """
    from filelock import lock_descriptor  # not at the top: its import takes a tenth of a prediction's start

    try:
        return lock_descriptor(file.fileno(), blocking=False)
    except OSError:
        return True


def is_locked(path: Path) -> bool | None:
    """Whether a process holds the lock on `path`; None where that cannot be determined.

    Takes the lock for a moment: a process that starts in that moment waits, given some patience.
    """
    for attempt in range(3):  # another caller of this function may hold it
        try:
            with path.open("rb") as file:
                if lock_file(file):
                    return False
        except FileNotFoundError:
            return False
        except OSError:
            return None
        if attempt < 2:
            time.sleep(PAUSE / 5)
    return True
