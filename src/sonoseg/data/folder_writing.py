"""Writing folders: one process at a time, and system errors as OutputError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sonoseg._util.files import cannot_write
from sonoseg._util.locks import locked


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn whatever the system refuses inside the block into an OutputError that names `folder`."""
    try:
        yield
    except OSError as error:
        raise cannot_write(Path(error.filename or folder), error) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock `folder` against other runs of ours; a run that is killed releases it.

    Raises OutputError where another run holds it, or its parent cannot be written.
    """
    lock = folder.with_name(f".{folder.name}.lock")
    busy = ("another run is writing this folder", "Wait until it has ended")
    with locked(lock, *busy, where=folder, remove=True):
        yield
