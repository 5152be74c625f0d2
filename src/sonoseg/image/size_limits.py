"""What is refused before an image is decoded: wrong files, and sizes that no image has."""

from __future__ import annotations

from pathlib import Path

from sonoseg._util.text import first_line
from sonoseg.errors import InputError

MIN_SIDE = 16
"""Smallest side of an image in pixels: below it no lesion could be told from a speck."""

MAX_PIXELS = 64_000_000
"""Most pixels of an image (8,000 x 8,000), known from its header: nothing larger is decoded."""


def check_file(path: Path) -> None:
    """Raise InputError unless `path` is a regular file with something in it that may be looked at."""
    try:
        if path.is_dir():
            raise InputError("a folder, where one image is needed", where=path, remedy="Name a file in it")
        if not path.exists():
            raise InputError("no such file", where=path, remedy="Check the path")
        if not path.is_file():  # a pipe would hang us, a device would never end
            raise InputError("not a regular file", where=path, remedy="Copy the image to a file")
        if path.stat().st_size == 0:
            raise InputError("this file is empty (0 bytes)", where=path, remedy="Export or copy it again")
    except PermissionError as error:
        raise not_permitted(path) from error
    except (OSError, ValueError) as error:  # a name too long for the system, or with a null byte
        raise InputError(
            f"cannot be opened ({first_line(error)})", where=path, remedy="Check the path"
        ) from error


def not_permitted(path: Path) -> InputError:
    """The error for a file that may not be read."""
    return InputError("you may not read this file", where=path, remedy="Ask for permission to read it")
