"""Lists the images that paths and URLs name, sorted, one at a time: memory is that of one folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from sonoseg.batch.filesystems import filesystem, is_url, reaching
from sonoseg.inputs.file_kinds import HEAD
from sonoseg.inputs.file_search import Entry, Key, LocalStore, Store, search_images


def list_files(paths: Iterable[str | Path], *, skip: Sequence[str | Path] = ()) -> Iterator[str]:
    """Yield the images that `paths` name; URLs as URLs. The rules are those of search_images.

    skip: local folders to leave out.
    Raises as search_images; MissingExtra and UsageError as filesystem().
    """
    return search_images(paths, _store_of, skip=skip)


def _store_of(path: str) -> tuple[Store, str]:
    if not is_url(path):
        return LocalStore(), path
    store, inside = filesystem(path)
    return RemoteStore(store, path), inside


class RemoteStore:
    """The files of one of fsspec's stores. url: as the user gave it, for messages."""

    def __init__(self, store: Any, url: str) -> None:
        self._store, self._url = store, url

    def key(self, path: str) -> Key:
        return tuple(self.name(path).split("/"))

    def name(self, path: str) -> str:
        return str(self._store.unstrip_protocol(path))

    def absolute(self, path: str) -> str:
        return path

    def parent(self, path: str) -> str:
        return path.rpartition("/")[0]

    def join(self, folder: str, name: str) -> str:
        return f"{folder.rstrip('/')}/{name}"

    def is_folder(self, path: str) -> bool:
        with reaching(self._url):
            try:
                return bool(self._store.info(path)["type"] == "directory")
            except FileNotFoundError:
                return False

    def exists(self, path: str) -> bool:
        with reaching(self._url):
            return bool(self._store.exists(path))

    def scan(self, folder: str) -> list[Entry]:
        with reaching(self.name(folder)):
            listed = self._store.ls(folder, detail=True)
            # fsspec caches listings, which are not needed again.
            self._store.invalidate_cache(folder)
        return [
            Entry(PurePosixPath(one["name"].rstrip("/")).name, one["type"] == "directory")
            for one in listed
            if one["name"].rstrip("/") != folder.rstrip("/")  # some stores list the folder in itself
        ]

    def glob(self, pattern: str) -> Iterator[tuple[str, bool]]:
        with reaching(self._url):
            found = self._store.glob(pattern, detail=True)
        fixed = len(pattern.partition("*")[0].rpartition("/")[0])
        for path, entry in found.items():
            if "/." not in path[fixed:]:
                yield path, entry["type"] == "directory"

    def heads(self, paths: Sequence[str]) -> Iterator[bytes | None]:
        with reaching(self._url):
            count = len(paths)
            # Concurrently, where the store can.
            heads = self._store.cat_ranges(list(paths), [0] * count, [HEAD] * count, on_error="return")
        for head in heads:
            yield head if isinstance(head, bytes) else None
