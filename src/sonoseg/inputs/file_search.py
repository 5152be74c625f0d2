"""Which images a user means by a list of files, folders and globs."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sonoseg.dicom.reading.detection import is_dicom
from sonoseg.errors import InputError, SonosegWarning

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".pgm", ".ppm", ".pnm"}
    | {".dcm", ".dicom", ".ima"}
)
"""The endings by which images in a folder are known. A file that is named itself may have any ending."""

DICOMDIR = "DICOMDIR"
"""The table of contents of a DICOM medium (PS3.10, 8.6): no image, and it has no ending."""


def find_images(paths: Iterable[str | Path], *, skip: Sequence[str | Path] = ()) -> list[Path]:
    """List the images meant by `paths`, sorted by path, each once.

    A file is taken whatever its extension; reading it shows whether it is an image. A folder is searched
    with all its sub-folders, a glob (`scans/**/*.png`) is expanded; both give files with an extension
    of images, and those without one whose content is DICOM, but no hidden ones. Links to folders are
    not followed, because they may form a loop.

    skip: folders to leave out, such as the one that results are written to.
    Warns (SonosegWarning) of a sub-folder that cannot be listed.
    Raises InputError where a path does not exist, a folder cannot be listed, or no image is found.
    """
    asked = [Path(path) for path in paths]
    left_out = tuple(_absolute(folder) for folder in skip)
    found: dict[Path, Path] = {}
    for path in asked:
        try:
            for image in _expand(path, left_out):
                found.setdefault(_absolute(image), image)
        except OSError as error:
            raise InputError(
                f"cannot be looked at: {error.strerror or error}",
                where=str(path)[:200],
                remedy="Check the path, and that you may read its folder",
            ) from error
    if not found:
        raise InputError(
            "no image found",
            where=", ".join(map(str, asked)) or None,
            remedy=f"Give image files, or folders with some ({', '.join(sorted(SUFFIXES))})",
        )
    return sorted(found.values(), key=lambda image: image.parts)


def search_root(path: str | Path) -> Path:
    """The folder that `path` searches: itself, a file's parent, or a glob's part before the first wildcard.

    Absolute, without following links. Results keep their sub-folders below the roots' common parent.
    """
    path = Path(path)
    if not path.exists() and glob.has_magic(str(path)):
        fixed = []
        for part in path.parts[:-1]:
            if glob.has_magic(part):
                break
            fixed.append(part)
        path = Path(*fixed)
    elif not path.is_dir():
        path = path.parent
    return _absolute(path)


def _expand(path: Path, skip: tuple[Path, ...]) -> Iterator[Path]:
    if path.is_dir():
        yield from _walk(path, skip)
    elif path.exists():
        yield path
    elif glob.has_magic(str(path)):
        # glob, and not Path.glob: it passes over hidden folders, and takes absolute patterns
        for name in glob.iglob(str(path), recursive=True):  # noqa: PTH207
            match = Path(name)
            if match.is_dir():
                if "**" not in path.parts:  # with ** the files inside match by themselves
                    yield from _walk(match, skip)
            elif _wanted(match) and not _inside(match, skip):
                yield match
    else:
        raise InputError("no such file or folder", where=path, remedy="Check the path")


def _walk(folder: Path, skip: tuple[Path, ...]) -> Iterator[Path]:
    def refused(error: OSError) -> None:
        at = Path(error.filename or folder)
        if at == folder:
            raise InputError(
                f"this folder cannot be listed: {error.strerror}",
                where=folder,
                remedy="Ask for permission to read it",
            ) from error
        warnings.warn(
            f"{at}: this folder cannot be listed and is left out: {error.strerror}",
            SonosegWarning,
            stacklevel=2,
        )

    for base, folders, names in os.walk(folder, onerror=refused):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not _inside(Path(base, name), skip)
        )
        for name in sorted(names):
            if _wanted(Path(base, name)) and not _inside(Path(base, name), skip):
                yield Path(base, name)


def _wanted(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    return path.suffix.lower() in SUFFIXES or (_without_ending(path) and is_dicom(path))


def _without_ending(path: Path) -> bool:
    """Scanners and media name DICOM files by numbers: "IM0001", or UIDs with dots ("1.2.840.113619.2")."""
    if path.name.upper() == DICOMDIR or not path.is_file():  # a pipe would hang whoever looks into it
        return False
    return not path.suffix or path.suffix[1:].isdigit()


def _inside(path: Path, folders: tuple[Path, ...]) -> bool:
    absolute = _absolute(path)
    return any(absolute.is_relative_to(folder) for folder in folders)


def _absolute(path: str | Path) -> Path:
    return Path(os.path.normpath(Path(path).absolute()))  # unlike resolve(), links keep their names
