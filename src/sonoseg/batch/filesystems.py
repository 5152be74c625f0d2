"""Files by name: local paths, and URLs that fsspec opens."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sonoseg._util.files import sha256_file
from sonoseg._util.packages import missing_extra
from sonoseg._util.text import first_line
from sonoseg.errors import InputError, MissingExtra, SonosegError, UsageError
from sonoseg.image.size_limits import check_file


def is_url(name: str) -> bool:
    """Return whether a name is a URL for fsspec ("s3://bucket/scans"), not a local path."""
    scheme, sign, _ = name.partition("://")
    return bool(sign) and scheme.isascii() and scheme.replace("+", "").replace("-", "").isalnum()


def filesystem(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it.

    Raises MissingExtra without fsspec or the package for the URL's protocol, UsageError for an unknown
    protocol.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise missing_extra("fsspec", "scale") from error
    try:
        found, path = url_to_fs(url)
    except ImportError as error:
        raise MissingExtra(
            f"this address needs a package that is not installed ({first_line(error)})",
            where=url[:200],
            remedy="Install it with pip: s3fs for s3://, gcsfs for gs://, adlfs for abfs://",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"unknown protocol ({first_line(error)})",
            where=url[:200],
            remedy="Give a path, or an address such as s3://bucket/scans",
        ) from error
    except Exception as error:  # each store has errors of its own
        raise _unreachable(url, error) from error
    return found, str(path)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turn a store's exceptions in the block into InputErrors about `url`."""
    try:
        yield
    except SonosegError:
        raise
    except FileNotFoundError as error:
        raise InputError("no such file or folder", where=url, remedy="Check the address") from error
    except PermissionError as error:
        remedy = "Ask for permission to read it, or set the store's credentials"
        raise InputError("permission denied", where=url, remedy=remedy) from error
    except Exception as error:  # each store has errors of its own
        raise _unreachable(url, error) from error


class LocalCopy(NamedTuple):
    """A file on this machine. sha256: of its content, 64 hexadecimal digits."""

    path: Path
    sha256: str


def fetch(name: str, base: Path, folder: Path) -> LocalCopy:
    """Copy a file to this machine if necessary, and hash it.

    name: a path, relative to `base` unless absolute, which is only hashed; or a URL, which is copied to
    `folder` under a unique name. Raises InputError.
    """
    if not is_url(name):
        path = base / name
        check_file(path)
        with reaching(name):
            return LocalCopy(path, sha256_file(path))
    store, inside = filesystem(name)
    digest = hashlib.sha256()
    handle, copy = tempfile.mkstemp(suffix=PurePosixPath(inside).suffix[:20], dir=folder)
    with reaching(name), os.fdopen(handle, "wb") as target, store.open(inside, "rb") as source:
        shutil.copyfileobj(source, _HashingFile(target, digest), 1 << 20)
    return LocalCopy(Path(copy), digest.hexdigest())


def head(name: str, length: int = 512) -> bytes:
    """Return the first bytes of a remote file. Raises InputError."""
    store, inside = filesystem(name)
    with reaching(name):
        return bytes(store.read_block(inside, 0, length))


class _HashingFile:
    """Writes to a file and updates a hash."""

    def __init__(self, file: Any, digest: Any) -> None:
        self._file, self._digest = file, digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return int(self._file.write(data))


def _unreachable(url: str, error: Exception) -> InputError:
    return InputError(
        f"cannot be reached ({first_line(error)})",
        where=url[:200],
        remedy="Check the address, the network and the store's credentials",
    )
