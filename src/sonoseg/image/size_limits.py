"""Checks of an image file before it is decoded: kind of file, size."""

from __future__ import annotations

from pathlib import Path

from sonoseg._util.text import first_line
from sonoseg.errors import InputError

MIN_SIDE = 16
"""Smallest side of an image in pixels: a lesion in a smaller one would be a few pixels."""

MAX_PIXELS = 64_000_000
"""Most pixels of an image (8,000 x 8,000). Larger ones are refused by their header, before decoding."""


def check_file(path: Path) -> None:
    """Raise InputError unless `path` is a regular, readable file that is not empty."""
    try:
        if path.is_dir():
            raise InputError(
                "this is a folder, where one image is required", where=path, remedy="Give a file in it"
            )
        if not path.exists():
            raise InputError("the file does not exist", where=path, remedy="Check the path")
        if not path.is_file():  # reading a pipe would block, a device would never end
            raise InputError("this is not a regular file", where=path, remedy="Copy the image to a file")
        if path.stat().st_size == 0:
            raise InputError("the file is empty (0 bytes)", where=path, remedy="Export or copy it again")
    except PermissionError as error:
        raise not_permitted(path) from error
    except (OSError, ValueError) as error:  # a name too long for the system, or with a null byte
        raise InputError(
            f"the file cannot be opened ({first_line(error)})", where=path, remedy="Check the path"
        ) from error


def not_permitted(path: Path) -> InputError:
    """Return the error for a file without read permission."""
    return InputError("no permission to read the file", where=path, remedy="Ask for permission to read it")
