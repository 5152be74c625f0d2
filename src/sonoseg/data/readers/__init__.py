"""Readers of data set layouts, one module per layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from sonoseg.data.readers import breast, busbra, busi, busuclm
from sonoseg.data.readers.own_layouts import CsvReader, FolderReader, NeighbourReader, unread_tables
from sonoseg.data.record import DataSource, folders_near
from sonoseg.errors import DatasetError, UsageError


class Reader(Protocol):
    """The interface of a reader; a module with these two functions is one."""

    def find(self, folder: Path) -> Path | None:
        """The root of this layout at `folder` or just inside it, None where it is another layout."""
        ...

    def read(self, folder: Path, name: str = ...) -> DataSource:
        """Read the set found there under the short name `name`."""
        ...


# In the order they are tried: published layouts first, a user's own set last.
READERS: dict[str, Reader] = {
    "busi": busi,
    "bus-bra": busbra,
    "bus-uclm": busuclm,
    "breast": breast,
    "csv": CsvReader(),
    "folder": FolderReader(),
    "neighbours": NeighbourReader(),
}

OWN = ("csv", "folder", "neighbours")
"""The readers of a user's own set."""


def read_source(path: str | Path, kind: str | None = None, name: str | None = None) -> DataSource:
    """Read the set at `path`.

    kind: a key of READERS, or None to detect it by the layout. name: the set's short name; the kind's own
    by default. Raises DatasetError where nothing is there, no layout fits or several sets lie there,
    UsageError for an unknown kind.
    """
    folder = Path(path).expanduser()
    if kind is not None and kind not in READERS:
        raise UsageError(f"unknown kind of set '{kind}'", remedy=f"Choose one of: {', '.join(READERS)}")
    try:
        if not folder.exists():
            raise DatasetError(
                "no such file or folder", where=folder, remedy="Give the folder that holds the set"
            )
        found = _find(folder, kind)
        if found is not None:
            key, root = found
            source = READERS[key].read(root) if name is None else READERS[key].read(root, name)
            if source.records:
                unread = unread_tables(folder, root) if key in OWN and folder.is_dir() else []
                return replace(source, ignored=(*source.ignored, *unread))
        unread = unread_tables(folder, folder) if folder.is_dir() else []
    except OSError as error:
        raise DatasetError(
            f"cannot be read ({error.strerror or error})", where=folder, remedy="Check its permissions"
        ) from error
    layout = f"the layout of '{kind}' was not found" if kind else "no layout that sonoseg knows was found"
    raise DatasetError(
        "; ".join((f"{layout}, or it holds no images", *unread)),
        where=folder,
        remedy="See docs/data.md for the layouts, or write a CSV with the columns image,mask",
    )


def _find(folder: Path, kind: str | None) -> tuple[str, Path] | None:
    keys = [kind] if kind else list(READERS)
    found = [
        (key, root) for key in keys if key not in OWN and (root := READERS[key].find(folder)) is not None
    ]
    if len({root for _, root in found}) > 1:
        raise DatasetError(
            f"several sets in one folder ({', '.join(f'{key} in {root.name}' for key, root in found)})",
            where=folder,
            remedy="Name one of their folders, or join them with +",
        )
    return found[0] if found else _find_own(folder, [key for key in keys if key in OWN])


def _find_own(folder: Path, keys: list[str]) -> tuple[str, Path] | None:
    """A user's own set in `folder`, or in the one folder below it that holds one."""
    # The search for neighbours goes below the folder itself.
    below = [key for key in keys if key != "neighbours"]
    for places, tried in (([folder], keys), (folders_near(folder), below)):
        found: dict[Path, tuple[str, Path]] = {}
        for place in places:
            for key in tried:
                if not any(place.is_relative_to(other) for other in found):
                    root = READERS[key].find(place)
                    found |= {} if root is None else {place: (key, root)}
        if len(found) > 1:
            raise DatasetError(
                f"several sets below one folder: {', '.join(str(p.relative_to(folder)) for p in found)}",
                where=folder,
                remedy=f"Join them: {'+'.join(map(str, found))}",
            )
        if found:
            return next(iter(found.values()))
    return None


def read_sources(words: Sequence[str], kind: str | None = None) -> list[DataSource]:
    """Read several sets: each argument is PATH, NAME=PATH, or several of these joined with `+`.

    NAME is a kind of READERS, or a name of the user's own for the set. Raises as read_source does, and
    UsageError where two sets would carry one name.
    """
    sources = [_read_word(part, kind) for word in words for part in _parts(word)]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"two sets have the name '{name}'", remedy="Give each a name: first=PATH+second=PATH"
            )
    return sources


def _parts(word: str) -> list[str]:
    # A folder's own name may hold a plus sign.
    return [word] if Path(word).exists() else [part for part in word.split("+") if part]


def _read_word(word: str, kind: str | None) -> DataSource:
    if Path(word).exists() or "=" not in word:
        return read_source(word, kind)
    name, path = word.split("=", 1)
    if name in READERS:
        return read_source(path, name, name)
    return read_source(path, kind, name)
