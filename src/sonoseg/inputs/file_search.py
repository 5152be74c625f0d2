"""Which images a user means by a list of files, folders and globs, on disk or in another store."""

from __future__ import annotations

import glob
import heapq
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple, Protocol

from sonoseg.errors import InputError, SonosegWarning
from sonoseg.inputs.file_kinds import HEAD, SUFFIXES, counted_kinds, kind_by_content, named_as_image, skipped
from sonoseg.inputs.mask_matching import looks_like_mask, match_key

RESULT_FOLDERS = ("masks", "overlays", "probability", "attention", "dicom", "labelme", "nrrd")
"""The sub-folders of results. They are not searched for images."""

MASK_COPIES = ("masks", "dicom", "nrrd")
"""Those that hold masks."""

RESULT_FILES = {
    "results.json": b'"sonoseg-results/',
    "measures.json": b'"sonoseg-measures/',
    "journal.sqlite": b"SQLite format 3\0",
}
"""The files by which a folder of results is known, and what their first bytes hold."""

MASK_FOLDERS = frozenset({"mask", "masks", "label", "labels", "labelstr"})
IMAGE_FOLDERS = frozenset({"image", "images", "imagestr", "scans"})
"""Names of folders (in lower case) in which data sets keep masks, and the images beside them."""

RESULT, RESULTS = "file of sonoseg's results", "folder of sonoseg's results"
MASK, LINK = "mask beside its image", "linked folder"
MASKS = "folder of masks beside its images"

CHUNK = 1000
"""Files of which the first bytes are requested at once."""

Key = tuple[str, ...]


class SkippedFiles(SonosegWarning):
    """Files and folders that a search passed over, counted by kind. They are sound, or no images."""


class Entry(NamedTuple):
    """What a folder lists. folder: it is, or leads to, a folder. link: it only leads to one."""

    name: str
    folder: bool = False
    link: bool = False


class FoundFile(NamedTuple):
    """A file. key: the parts of its absolute path, by which files are sorted. name: by which it is opened."""

    key: Key
    name: str


class Store(Protocol):
    """What a search needs of a file system. Paths are the store's own."""

    def key(self, path: str) -> Key:
        """Return the parts of the absolute path."""
        ...

    def name(self, path: str) -> str:
        """Return the name by which a program opens the file."""
        ...

    def absolute(self, path: str) -> str:
        """Return the path from the store's root."""
        ...

    def parent(self, path: str) -> str:
        """Return the folder that holds a file or folder, without looking at the store."""
        ...

    def join(self, folder: str, name: str) -> str:
        """Return the path of what a folder lists."""
        ...

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there. Raises InputError where the store does not say."""
        ...

    def exists(self, path: str) -> bool:
        """Whether anything is there. Raises InputError where the store does not say."""
        ...

    def scan(self, folder: str) -> list[Entry]:
        """List a folder. Raises InputError."""
        ...

    def glob(self, pattern: str) -> Iterable[tuple[str, bool]]:
        """Expand a pattern to paths, each with whether it is a folder, and no hidden ones."""
        ...

    def heads(self, paths: Sequence[str]) -> Iterable[bytes | None]:
        """Read the first HEAD bytes of files; None for one that cannot be read."""
        ...


class LocalStore:
    """The files of this machine."""

    def key(self, path: str) -> Key:
        return _absolute(path).parts

    def name(self, path: str) -> str:
        return path

    def absolute(self, path: str) -> str:
        return str(_absolute(path))

    def parent(self, path: str) -> str:
        return os.path.dirname(path)  # noqa: PTH120

    def join(self, folder: str, name: str) -> str:
        return str(Path(folder, name))

    def is_folder(self, path: str) -> bool:
        return _ask(path, Path.is_dir)

    def exists(self, path: str) -> bool:
        return _ask(path, Path.exists)

    def scan(self, folder: str) -> list[Entry]:
        try:
            with os.scandir(folder) as entries:
                return [
                    Entry(entry.name, entry.is_dir(), not entry.is_dir(follow_symlinks=False))
                    for entry in entries
                ]
        except OSError as error:
            raise InputError(
                f"this folder cannot be listed: {error.strerror}",
                where=folder,
                remedy="Ask for permission to read it",
            ) from error

    def glob(self, pattern: str) -> Iterator[tuple[str, bool]]:
        # glob, and not Path.glob: it passes over hidden folders, and takes absolute patterns
        for path in glob.iglob(pattern, recursive=True):  # noqa: PTH207
            yield path, Path(path).is_dir()

    def heads(self, paths: Sequence[str]) -> Iterator[bytes | None]:
        for path in paths:
            try:
                # A pipe would hang whoever opens it.
                regular = stat.S_ISREG(Path(path).stat().st_mode)
                with open(path if regular else os.devnull, "rb") as file:  # noqa: PTH123
                    yield file.read(HEAD)
            except OSError:
                yield None


def find_images(
    paths: Iterable[str | Path],
    *,
    skip: Sequence[str | Path] = (),
    masks: bool = False,
    objects: bool = False,
) -> list[Path]:
    """List the images meant by `paths`, as `search_images` does, on this machine."""
    local = LocalStore()
    found = search_images(paths, lambda path: (local, path), skip=skip, masks=masks, objects=objects)
    return [Path(name) for name in found]


def search_images(
    paths: Iterable[str | Path],
    store_of: Callable[[str], tuple[Store, str]],
    *,
    skip: Sequence[str | Path] = (),
    masks: bool = False,
    objects: bool = False,
) -> Iterator[str]:
    """Yield the images meant by `paths`, sorted by the parts of their absolute paths, each once.

    A file is taken whatever its extension; reading it shows whether it is an image. A folder is searched
    with all its sub-folders, a glob (`scans/**/*.png`) is expanded; both give files with an extension of
    images, and others whose content is an image or DICOM, but no hidden ones. They give no masks beside their
    images, no results of sonoseg, and no DICOM objects without an image, such as reports.
    Links to folders are not followed, because they may form a loop. A file that cannot be read is taken:
    reading it names the reason. Memory is that of one folder, or of one glob.

    store_of: returns the store of a path, and the path in it.
    skip: local folders to leave out, such as the one that results are written to.
    masks, objects: masks, and DICOM objects without an image and results, are wanted too.
    Warns (SkippedFiles) at the end of what is left out, counted by kind; (SonosegWarning) of a sub-folder
    that cannot be listed, and of named files that are results or masks.
    Raises InputError, when the first name is requested, where a path does not exist, a folder cannot be
    listed, or no image is found.
    """
    asked = [str(path) for path in paths]
    search = _Search(frozenset(_absolute(folder).parts for folder in skip), masks, objects)
    last: Key | None = None
    streams = [search.expand(*store_of(path)) for path in asked]
    for item in heapq.merge(*streams, key=lambda item: item.key):
        if item.key != last:
            last = item.key
            yield item.name
    if named := search.named():
        warnings.warn(
            f"{counted_kinds(named)}: used, because you named them. Leave out those that are not scans",
            SonosegWarning,
            stacklevel=2,
        )
    if last is None:
        brackets = ". In a pattern, write [[] for a bracket" if any("[" in path for path in asked) else ""
        left_out = f": {skipped(search.left_out)}" if search.left_out else ""
        raise InputError(
            f"no image found{left_out}",
            where=", ".join(asked) or None,
            remedy=f"Give image files, or folders with some ({', '.join(sorted(SUFFIXES))}){brackets}",
        )
    if search.left_out:
        warnings.warn(skipped(search.left_out), SkippedFiles, stacklevel=2)


def search_root(path: str | Path) -> Path:
    """The folder that `path` searches: itself, a file's parent, or a glob's part before the first wildcard.

    Absolute, without following links. Results keep their sub-folders below the roots' common parent.
    """
    path = Path(path)
    if path.exists() or not glob.has_magic(str(path)):
        return _absolute(path if path.is_dir() else path.parent)
    return _absolute(_fixed_part(LocalStore(), str(path)))


def _fixed_part(store: Store, pattern: str) -> str:
    """The folder of a glob before its first wildcard."""
    while glob.has_magic(pattern):
        pattern = store.parent(pattern)
    return pattern


class _Search:
    """One search. left_out: the number of files and folders that were left out, by kind."""

    def __init__(self, skip: frozenset[Key], masks: bool, objects: bool) -> None:
        self._skip, self._masks, self._objects = skip, masks, objects
        results = frozenset[str]() if objects else frozenset(RESULT_FOLDERS)
        # Of a whole folder of results the masks are measured once, not their copies in other formats.
        self._result_folders = results.difference(("masks",) if masks else ())
        self._never = results.difference(MASK_COPIES if masks else ())
        self._kinds: dict[Key, str] = {}
        self._named: list[str] = []
        self._named_results: list[str] = []
        self.left_out = Counter[str]()

    def expand(self, store: Store, path: str) -> Iterator[FoundFile]:
        """The files that a path names, sorted. Raises InputError."""
        if store.is_folder(path):
            if self._within_results(store, path):
                self.left_out[RESULTS] += 1
            else:
                yield from self._walk(store, path)
        elif store.exists(path):
            self._named.append(path)
            if self._within_results(store, store.parent(store.absolute(path))):
                self._named_results.append(path)
            yield FoundFile(store.key(path), store.name(path))
        elif glob.has_magic(path):
            yield from self._glob(store, path)
        else:
            raise InputError("no such file or folder", where=store.name(path), remedy="Check the path")

    def named(self) -> Counter[str]:
        """Count, by kind, the files that would be left out, had they not been named."""
        masks = [] if self._masks else _masks_beside(self._named)
        return +Counter({RESULT: len(self._named_results), MASK: len(set(masks) - set(self._named_results))})

    def _walk(self, store: Store, folder: str, *, first: bool = True) -> Iterator[FoundFile]:
        if self._is_skipped(store.key(folder)):
            return
        try:
            entries = store.scan(folder)
        except InputError as error:
            if first:
                raise
            reason = f"{error.where}: {error.found.replace('listed', 'listed and is left out')}"
            warnings.warn(reason, SonosegWarning, stacklevel=2)
            return
        entries = sorted(entry for entry in entries if not entry.name.startswith("."))
        of_results = self._holds_results(store, folder, {entry.name for entry in entries})
        siblings = [entry.name for entry in entries if entry.folder]
        files = [store.join(folder, entry.name) for entry in entries if not entry.folder]
        wanted = self._wanted(store, files)
        for entry in entries:
            path = store.join(folder, entry.name)
            if not entry.folder:
                if path in wanted:
                    yield FoundFile(store.key(path), store.name(path))
            elif not self._is_skipped(store.key(path)):
                kind = self._kind_of_folder(entry, siblings, of_results)
                if kind:
                    self.left_out[kind] += 1
                else:
                    yield from self._walk(store, path, first=False)

    def _glob(self, store: Store, pattern: str) -> Iterator[FoundFile]:
        root = len(store.key(_fixed_part(store, pattern)))
        found: dict[Key, FoundFile] = {}
        files: list[str] = []
        for path, folder in store.glob(pattern):
            if self._is_skipped(store.key(path)) or not self._is_searched(
                store, path if folder else store.parent(path), root
            ):
                continue
            if not folder:
                files.append(path)
            elif "**" not in pattern:  # with ** the files inside match by themselves
                found |= {one.key: one for one in self._walk(store, path, first=False)}
        for path in self._wanted(store, files):
            found[store.key(path)] = FoundFile(store.key(path), store.name(path))
        yield from sorted(found.values())

    def _is_searched(self, store: Store, folder: str, root: int) -> bool:
        """Whether a folder that a glob reaches is searched. root: the parts of the glob's fixed folder."""
        key = store.key(folder)
        if key not in self._kinds:
            kind = RESULTS if self._within_results(store, folder) else ""
            while not kind and len(store.key(folder)) > root:
                name, folder = store.key(folder)[-1], store.parent(folder)
                if name.lower() in MASK_FOLDERS:
                    siblings = [entry.name for entry in store.scan(folder) if entry.folder]
                    kind = self._kind_of_folder(Entry(name, folder=True), siblings, of_results=False)
            self._kinds[key] = kind
            self.left_out.update([kind] if kind else ())
        return not self._kinds[key]

    def _is_skipped(self, key: Key) -> bool:
        return any(key[: len(folder)] == folder for folder in self._skip)

    def _kind_of_folder(self, entry: Entry, siblings: Sequence[str], of_results: bool) -> str:
        """Return the kind of a sub-folder that is not searched, "" for others.

        siblings: it and the folders beside it. of_results: whether they are in a folder of results.
        """
        if entry.link:
            return LINK
        if of_results and entry.name in self._result_folders:
            return RESULTS
        beside = IMAGE_FOLDERS.intersection(name.lower() for name in siblings)
        return MASKS if not self._masks and entry.name.lower() in MASK_FOLDERS and beside else ""

    def _within_results(self, store: Store, folder: str) -> bool:
        """Whether a folder is one of those that sonoseg wrote results into, or lies in one."""
        inner = store.absolute(folder)
        while (parent := store.parent(inner)) != inner:
            if store.key(inner)[-1] in self._never and self._holds_results(store, parent):
                return True
            inner = parent
        return False

    def _holds_results(self, store: Store, folder: str, names: Iterable[str] = RESULT_FILES) -> bool:
        """Whether sonoseg wrote results into a folder. names: of its files, where they are known."""
        there = [name for name in RESULT_FILES if name in names]
        heads = store.heads([store.join(folder, name) for name in there]) if there else ()
        return any(RESULT_FILES[name] in (head or b"")[:200] for name, head in zip(there, heads, strict=True))

    def _wanted(self, store: Store, files: Sequence[str]) -> dict[str, None]:
        """Those of the files of a folder, or of a glob, that are wanted, in their order."""
        visible = [path for path in files if not PurePath(path).name.startswith(".")]
        named = {path: named_as_image(PurePath(path).name) for path in visible}
        undecided = [path for path in visible if named[path] is None]
        for start in range(0, len(undecided), CHUNK):
            paths = undecided[start : start + CHUNK]
            for path, head in zip(paths, store.heads(paths), strict=True):
                name = PurePath(path).name
                kind = (
                    ""
                    if head is None
                    else kind_by_content(name, head, masks=self._masks, objects=self._objects)
                )
                named[path] = kind == ""
                self.left_out.update([kind] if kind else ())
        images = dict.fromkeys(path for path in visible if named[path])
        for path in () if self._masks else _masks_beside(images):
            self.left_out[MASK] += 1
            del images[path]
        return images


def _masks_beside(paths: Iterable[str]) -> list[str]:
    """List those of some files that are named as masks of others in the same folder."""
    files = [PurePath(path) for path in paths]
    images = {(path.parent, match_key(Path(path))) for path in files if not looks_like_mask(Path(path))}
    return [
        str(path)
        for path in files
        if looks_like_mask(Path(path)) and (path.parent, match_key(Path(path))) in images
    ]


def _ask(path: str, question: Callable[[Path], bool]) -> bool:
    """Ask the system about a path. Raises InputError where it does not say."""
    try:
        return question(Path(path))
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be accessed: {getattr(error, 'strerror', None) or error}",
            where=path[:200],
            remedy="Check the path, and that you may read its folder",
        ) from error


def _absolute(path: str | Path) -> Path:
    return Path(os.path.normpath(Path(path).absolute()))  # unlike resolve(), links keep their names
