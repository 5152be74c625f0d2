"""One reader a layout, and the way from the words on the command line to sets on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sonoseg.datasets.readers import busbra, busi
from sonoseg.datasets.record import Source
from sonoseg.errors import DatasetError, UsageError


class Reader(Protocol):
    """What a reader module offers."""

    def find(self, folder: Path) -> Path | None: ...

    def read(self, folder: Path, name: str = ...) -> Source: ...


# In the order they are tried: the most telling layout first.
READERS: dict[str, Reader] = {
    "busi": busi,
    "bus-bra": busbra,
}


def read_source(path: str | Path, kind: str | None = None, name: str | None = None) -> Source:
    """Read the set at `path`.

    kind: a key of READERS, or None to tell it by the layout. name: the set's short name; the kind's own
    by default. Raises DatasetError where nothing is there or no layout fits, UsageError for an unknown kind.
    """
    folder = Path(path).expanduser()
    if not folder.exists():
        raise DatasetError("nothing is there", where=folder, remedy="Give the folder that holds the set")
    if kind is not None and kind not in READERS:
        raise UsageError(f"no set is called '{kind}'", remedy=f"Choose one of: {', '.join(READERS)}")
    for key, reader in READERS.items():
        if kind not in (None, key):
            continue
        root = reader.find(folder)
        if root is not None:
            source = reader.read(root) if name is None else reader.read(root, name)
            if not source.records:
                break
            return source
    layout = f"the layout of '{kind}'" if kind else "no layout that sonoseg knows"
    raise DatasetError(
        f"{layout} was not found here" if kind else f"{layout} is here",
        where=folder,
        remedy="See docs/data.md for the layouts, or bring a CSV with the columns image,mask",
    )


def read_sources(words: Sequence[str], kind: str | None = None) -> list[Source]:
    """Read several sets: each word is PATH, NAME=PATH, or some of these joined with `+`.

    NAME is a kind of READERS, or a name of the user's own for the set. Raises as read_source does, and
    UsageError where two sets would carry one name.
    """
    sources = [_read_word(part, kind) for word in words for part in _parts(word)]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"two sets would be called '{name}'", remedy="Name them apart: first=PATH+second=PATH"
            )
    return sources


def _parts(word: str) -> list[str]:
    # A folder's own name may hold a plus sign.
    return [word] if Path(word).exists() else [part for part in word.split("+") if part]


def _read_word(word: str, kind: str | None) -> Source:
    if Path(word).exists() or "=" not in word:
        return read_source(word, kind)
    name, path = word.split("=", 1)
    if name in READERS:
        return read_source(path, name, name)
    return read_source(path, kind, name)
