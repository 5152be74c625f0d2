"""Files of the state folder: on the disk, whole, before anybody is told that they are saved."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from sonoseg._util.files import atomic_path, remove_leftovers
from sonoseg._util.files import sync_folder as sync_folder
from sonoseg.errors import OutputError
from sonoseg.review.database import full
from sonoseg.review.http_errors import Full

FULL = (errno.ENOSPC, errno.EDQUOT)


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all, and wait until the disk has it.

    Raises Full where no space is left, OutputError for another reason; then the former file is as it was.
    """
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except OutputError as error:
        raise refused(error) from error


def refused(error: OutputError) -> OutputError | Full:
    """The refusal for a full disk, where that was the cause; else the error itself."""
    cause = error.__cause__
    return full() if isinstance(cause, OSError) and cause.errno in FULL else error


def tidy(folder: Path) -> None:
    """Remove what a killed process left in a state folder. Only while nobody else writes there."""
    for part in ("originals", "incoming", "thumbnails"):
        remove_leftovers(folder / part)
    for part in ("masks", "predictions"):
        if (folder / part).is_dir():
            for inner in (folder / part).iterdir():
                remove_leftovers(inner)
    incoming = folder / "incoming"
    if incoming.is_dir():
        for path in incoming.iterdir():
            path.unlink(missing_ok=True)
