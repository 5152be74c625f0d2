"""The names of each image's results: unique, with the sub-folders of the images."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath

from sonoseg._util.text import printable
from sonoseg.inputs.file_search import search_root
from sonoseg.inputs.frame_list import FrameRef

MAX_PART, MAX_NAME = 180, 1000
"""Bytes of a file's or folder's name, and of a result's whole name. File systems allow 255 bytes in a part
and 1,024 (macOS) or 4,096 in a path; what is left is for the endings of results and for their folder."""


def result_names(images: Sequence[Path], searched: Iterable[str | Path]) -> dict[Path, str]:
    """Name the results of each image: its path below the searched folders' common parent, without suffix.

    Images that differ only in their suffix, in case or in Unicode normalisation (one name on some systems)
    keep the suffix ("scan-png"), and get a number where that does not suffice. Names longer than MAX_PART or
    MAX_NAME are shortened, and end in a hash of what they were.

    images: files found by `find_images`. searched: the files, folders and globs that it searched.
    Returns names with / between folders; never absolute, never with "..".
    """
    roots = [search_root(path) for path in searched]
    try:
        base = Path(os.path.commonpath(roots))
    except ValueError:  # Windows: on several drives
        base = Path()
    paths = {image: _below(Path(os.path.normpath(image.absolute())), base) for image in images}
    plain = {image: _fitting(path.with_suffix("") if path.stem else path) for image, path in paths.items()}
    count = Counter(_key(path) for path in plain.values())
    names: dict[Path, str] = {}
    taken: set[str] = {key for key, n in count.items() if n == 1}
    for image, path in plain.items():
        if count[_key(path)] == 1:
            names[image] = str(path)
            continue
        suffix = paths[image].suffix.lstrip(".")
        wanted = _fitting(path.with_name(f"{path.name}-{suffix}")) if suffix else path
        free, number = wanted, 2
        while _key(free) in taken:
            free, number = wanted.with_name(f"{wanted.name}-{number}"), number + 1
        taken.add(_key(free))
        names[image] = str(free)
    return names


def frame_names(frames: Iterable[FrameRef], names: Mapping[Path, str]) -> dict[FrameRef, str]:
    """Name the results of each frame: as its file; those of a clip with the number from 0 ("clip_f0012").

    names: of the files, from `result_names`. Where a file has such a name already, "-2" is appended.
    """
    taken = {_key(PurePosixPath(name)) for name in names.values()}
    found: dict[FrameRef, str] = {}
    for frame in frames:
        name = names[frame.path]
        if frame.index is not None:
            wanted = name = f"{name}_f{frame.index:04}"
            number = 2
            while _key(PurePosixPath(name)) in taken:
                name, number = f"{wanted}-{number}", number + 1
            taken.add(_key(PurePosixPath(name)))
        found[frame] = name
    return found


def _below(path: Path, base: Path) -> PurePosixPath:
    inside = path.relative_to(base) if path.is_relative_to(base) else path.relative_to(path.anchor)
    return PurePosixPath(*(printable(part) for part in inside.parts))


def _fitting(path: PurePosixPath) -> PurePosixPath:
    """Shorten a path that is too long, and its parts that are, or that this system cannot write."""
    fitting = PurePosixPath(*(_fitting_part(part) for part in path.parts))
    if len(str(fitting).encode()) <= MAX_NAME:
        return fitting
    return PurePosixPath(_hashed(path.name, str(path)))


def _fitting_part(part: str) -> str:
    try:
        os.fsencode(part)
    except UnicodeEncodeError:  # the locale C without UTF-8
        return _hashed(part.encode("ascii", "replace").decode().replace("?", "_"), part)
    return part if len(part.encode()) <= MAX_PART else _hashed(part, part)


def _hashed(part: str, whole: str) -> str:
    """Cut a name to MAX_PART bytes that end in eight digits of the SHA-256 of `whole`."""
    digits = sha256(whole.encode()).hexdigest()[:8]
    return f"{part.encode()[: MAX_PART - 9].decode(errors='ignore')}-{digits}"


def _key(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()
