"""Atomic writes of files, and hashes."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sonoseg.errors import FullDiskError, OutputError

# As mkstemp names them below: a dot, the file's own name, eight letters, its ending.
_TEMPORARY = re.compile(r"\..{1,60}\.[a-z0-9_]{8}(\.[^.]*)?")


def _read_umask() -> int:
    """Read the process's umask, which the system returns only when another is set."""
    mask = os.umask(0o077)  # files of other threads stay private for that moment
    os.umask(mask)
    return mask


# Read once, at import: set at each write it would hold for other threads' files, too.
_UMASK = _read_umask()


@contextmanager
def atomic_path(path: str | Path, *, private: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there when the block ends well, else remove it.

    private: only this user may read the file, and the folders that are created for it.
    Raises OutputError, naming `path`, when the folder cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        if private:
            make_private_folder(path.parent)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:60]}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o600 if private else 0o666 & ~_UMASK)
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents, which only this user may read. Raises OSError."""
    if not folder.is_dir():
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def make_private(folder: Path) -> str:
    """Take a folder and all in it from other users; Windows has no such permissions.

    Returns, as a clause, which access others had to the folder or still have; "" for none.
    """
    if os.name == "nt":
        return ""
    problem = ""
    for base, _, names in os.walk(folder):
        for path in (Path(base), *(Path(base, name) for name in names)):
            with suppress(FileNotFoundError):  # of another process, removed meanwhile
                mode = path.lstat().st_mode
                if stat.S_ISLNK(mode) or not mode & 0o077:
                    continue
                try:
                    path.chmod(mode & 0o700)
                except PermissionError:
                    return f"other users have access to {path.name}, and its permissions cannot be changed"
                if path == folder:
                    problem = "other users had access to this folder; now only its owner has"
    return problem


def atomic_write_bytes(
    path: str | Path, data: bytes, *, durable: bool = False, private: bool = False
) -> None:
    """Write `data` to `path` atomically. Raises OutputError.

    durable: return only when the disk has the data and the name; a power failure does not lose them.
    private: as in `atomic_path`.
    """
    path = Path(path)
    with atomic_path(path, private=private) as temporary, temporary.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    if durable:
        sync_folder(path.parent)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically. Raises OutputError."""
    atomic_write_bytes(path, text.encode())


def remove_leftovers(folder: str | Path) -> None:
    """Remove what `atomic_path` left behind in a folder, not below it, where its process was killed.

    Only while nobody writes there. What cannot be removed is left: it does no harm.
    """
    folder = Path(folder)
    if folder.is_dir():
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name) and path.is_file():
                with suppress(OSError):
                    path.unlink()


def sha256_file(path: str | Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: str | Path) -> None:
    """Flush a folder's entries to disk, where the system supports it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error of what could not be written at `path`."""
    kind = FullDiskError if error.errno in (errno.ENOSPC, errno.EDQUOT) else OutputError
    return kind(
        f"cannot be written: {error.strerror or error}",
        where=path,
        remedy="Free some space, or choose a folder you may write to",
    )
