"""Files by name, wherever they lie: paths of this machine, and URLs that fsspec opens."""

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
    """Whether a name is a URL for fsspec ("s3://bucket/scans"), and no path of this machine."""
    scheme, sign, _ = name.partition("://")
    return bool(sign) and scheme.isascii() and scheme.replace("+", "").replace("-", "").isalnum()


def filesystem(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it.

    Raises MissingExtra without fsspec or the package that speaks the URL's protocol, UsageError for a
    protocol that nobody speaks.
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
            f"an address of no known kind ({first_line(error)})",
            where=url[:200],
            remedy="Give a path, or an address such as s3://bucket/scans",
        ) from error
    except Exception as error:  # each store has errors of its own
        raise _unreachable(url, error) from error
    return found, str(path)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Word what a store says within as an InputError about `url`."""
    try:
        yield
    except SonosegError:
        raise
    except FileNotFoundError as error:
        raise InputError("no such file or folder", where=url, remedy="Check the address") from error
    except PermissionError as error:
        remedy = "Ask for permission to read it, or set the store's credentials"
        raise InputError("you may not read this", where=url, remedy=remedy) from error
    except Exception as error:  # each store has errors of its own
        raise _unreachable(url, error) from error


class Here(NamedTuple):
    """A file that can be read by its path. sha256: of its bytes, 64 hexadecimal digits."""

    path: Path
    sha256: str


def fetch(name: str, base: Path, folder: Path) -> Here:
    """Bring a file to this machine, and hash it.

    name: a path, relative to `base` where it is not absolute, which is only hashed; or a URL, which is copied
    to `folder` under a name of its own. Raises InputError.
    """
    if not is_url(name):
        path = base / name
        check_file(path)
        with reaching(name):
            return Here(path, sha256_file(path))
    store, inside = filesystem(name)
    digest = hashlib.sha256()
    handle, copy = tempfile.mkstemp(suffix=PurePosixPath(inside).suffix[:20], dir=folder)
    with reaching(name), os.fdopen(handle, "wb") as here, store.open(inside, "rb") as there:
        shutil.copyfileobj(there, _Both(here, digest), 1 << 20)
    return Here(Path(copy), digest.hexdigest())


def head(name: str, length: int = 512) -> bytes:
    """The first bytes of what a URL names. Raises InputError."""
    store, inside = filesystem(name)
    with reaching(name):
        return bytes(store.read_block(inside, 0, length))


class _Both:
    """Writes to a file and into a hash."""

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
