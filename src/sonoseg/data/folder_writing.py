"""Writing folders: one process at a time, and every failure in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sonoseg.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows has none; there two runs at once are not told apart
    fcntl = None  # type: ignore[assignment]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn whatever the system refuses inside the block into an OutputError that names `folder`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot be written: {error.strerror or error}",
            where=error.filename or folder,
            remedy="Free some space, or choose a folder you may write to",
        ) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold `folder` against other runs of ours; a run that is killed lets go of it.

    Raises OutputError where another run holds it, or its parent cannot be written.
    """
    lock = folder.with_name(f".{folder.name}.lock")
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OutputError(
                    "another run is writing this folder", where=folder, remedy="Wait until it has ended"
                ) from error
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
