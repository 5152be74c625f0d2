"""Lists the images that paths and URLs name, sorted, one at a time: memory is that of one folder."""

from __future__ import annotations

import glob
import heapq
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sonoseg.batch.filesystems import filesystem, head, is_url, reaching
from sonoseg.dicom.reading.detection import is_dicom, looks_like_dicom
from sonoseg.errors import InputError, SonosegError, SonosegWarning
from sonoseg.inputs.file_search import DICOMDIR, SUFFIXES

Key = tuple[str, ...]


class _Item(NamedTuple):
    """A file. key: the parts of its absolute path, by which the listing is sorted."""

    key: Key
    name: str


def list_files(paths: Iterable[str | Path], *, skip: Sequence[str | Path] = ()) -> Iterator[str]:
    """Yield the images that `paths` name, sorted by the parts of their paths, each once; URLs as URLs.

    The rules are those of inputs.file_search.find_images, for local paths and for fsspec's stores: a named
    file is taken whatever its extension; folders are searched recursively and globs expanded, for files with
    an image's extension, and those without one that are DICOM by content; hidden ones and links to folders
    are skipped.

    skip: local folders to leave out.
    Warns (SonosegWarning) of a sub-folder that cannot be listed.
    Raises, when the first name is requested, InputError where a path does not exist, cannot be listed, or
    yields no image; MissingExtra and UsageError as filesystem().
    """
    names = [str(path) for path in paths]
    left_out = frozenset(_absolute(folder) for folder in skip)
    streams = [_remote(name) if is_url(name) else _local(name, left_out) for name in names]
    last: Key | None = None
    for item in heapq.merge(*streams, key=lambda item: item.key):
        if item.key != last:
            last = item.key
            yield item.name
    if last is None:
        raise InputError(
            "no image found",
            where=", ".join(names) or None,
            remedy=f"Give image files, or folders with some ({', '.join(sorted(SUFFIXES))})",
        )


def _local(name: str, skip: frozenset[Path]) -> Iterator[_Item]:
    path = Path(name)
    try:
        if path.is_dir():
            yield from _walk_local(path, _absolute(path).parts, skip, first=True)
        elif path.exists():
            yield _Item(_absolute(path).parts, str(path))
        elif glob.has_magic(name):
            yield from _glob_local(path, skip)
        else:
            raise InputError("no such file or folder", where=path, remedy="Check the path")
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be accessed: {getattr(error, 'strerror', None) or error}",
            where=name[:200],
            remedy="Check the path, and that you may read its folder",
        ) from error


def _walk_local(folder: Path, key: Key, skip: frozenset[Path], *, first: bool) -> Iterator[_Item]:
    try:
        with os.scandir(folder) as entries:
            # Links to folders are not followed, so a loop cannot catch us.
            listed = sorted(
                (entry.name, entry.is_dir(follow_symlinks=False), entry.is_dir())
                for entry in entries
                if not entry.name.startswith(".")
            )
    except OSError as error:
        if first:
            raise InputError(
                f"this folder cannot be listed: {error.strerror}",
                where=folder,
                remedy="Ask for permission to read it",
            ) from error
        warnings.warn(
            f"{folder}: this folder cannot be listed and is left out: {error.strerror}",
            SonosegWarning,
            stacklevel=2,
        )
        return
    for name, is_folder, leads_to_folder in listed:
        path, inner = folder / name, (*key, name)
        if leads_to_folder:
            if is_folder and Path(*inner) not in skip:
                yield from _walk_local(path, inner, skip, first=False)
        elif _wanted(name, lambda path=path: path.is_file() and is_dicom(path)):  # type: ignore[misc]
            yield _Item(inner, str(path))


def _glob_local(pattern: Path, skip: frozenset[Path]) -> Iterator[_Item]:
    found: dict[Key, str] = {}
    # glob, and not Path.glob: it passes over hidden folders, and takes absolute patterns
    for name in glob.iglob(str(pattern), recursive=True):  # noqa: PTH207
        match = Path(name)
        key = _absolute(match).parts
        if any(Path(*key).is_relative_to(folder) for folder in skip):
            continue
        if match.is_dir():
            if "**" not in pattern.parts:  # with ** the files inside match by themselves
                found |= dict(_walk_local(match, key, skip, first=True))
        elif _wanted(match.name, lambda match=match: match.is_file() and is_dicom(match)):  # type: ignore[misc]
            found[key] = name
    yield from map(_Item._make, sorted(found.items()))


def _remote(url: str) -> Iterator[_Item]:
    store, root = filesystem(url)
    with reaching(url):
        if glob.has_magic(root) and not store.exists(root):
            found = store.glob(root, detail=True)
            for item in sorted(
                _item(store, path) for path, entry in found.items() if entry["type"] == "file"
            ):
                if _is_remote_image(item):
                    yield item
        elif store.info(root)["type"] == "directory":
            yield from _walk_remote(store, root)
        else:
            yield _item(store, root)


def _walk_remote(store: Any, folder: str) -> Iterator[_Item]:
    listed = {
        PurePosixPath(entry["name"].rstrip("/")).name: entry["type"]
        for entry in store.ls(folder, detail=True)
        if entry["name"].rstrip("/") != folder.rstrip("/")  # some stores list the folder in itself
    }
    # fsspec caches listings, which are not needed again.
    store.invalidate_cache(folder)
    for name in sorted(listed):
        path = f"{folder.rstrip('/')}/{name}"
        if name.startswith("."):
            continue
        if listed[name] == "directory":
            yield from _walk_remote(store, path)
        elif _is_remote_image(item := _item(store, path)):
            yield item


def _item(store: Any, path: str) -> _Item:
    url = str(store.unstrip_protocol(path))
    return _Item(tuple(url.split("/")), url)


def _is_remote_image(item: _Item) -> bool:
    return _wanted(item.key[-1], lambda: _is_remote_dicom(item.name))


def _is_remote_dicom(url: str) -> bool:
    try:
        return looks_like_dicom(head(url))
    except SonosegError:
        return False


def _wanted(name: str, dicom_inside: Callable[[], bool]) -> bool:
    """Return whether to list a file. dicom_inside: reads the file, where its name does not decide."""
    suffix = PurePosixPath(name).suffix
    if name.startswith("."):
        return False
    if suffix.lower() in SUFFIXES:
        return True
    return (not suffix or suffix[1:].isdigit()) and name.upper() != DICOMDIR and dicom_inside()


def _absolute(path: str | Path) -> Path:
    return Path(os.path.normpath(Path(path).absolute()))  # unlike resolve(), links keep their names
