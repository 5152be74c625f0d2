"""What the results of each image are called: no two alike, sub-folders kept."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from sonoseg.inputs.file_search import search_root
from sonoseg.inputs.frame_list import FrameRef


def result_names(images: Sequence[Path], asked: Iterable[str | Path]) -> dict[Path, str]:
    """Name the results of each image: its path below the searched folders' common parent, without ending.

    Images that differ only in their ending, in upper and lower case or in Unicode's form (which some
    systems take for one name) keep the ending too ("scan-png"), and a number where that does not suffice.

    images: files as find_images gives them for `asked`, the files, folders and globs of the user.
    Returns names with / between folders; never absolute, never with "..".
    """
    roots = [search_root(path) for path in asked]
    try:
        base = Path(os.path.commonpath(roots))
    except ValueError:  # Windows: on several drives
        base = Path()
    places = {image: _below(Path(os.path.normpath(image.absolute())), base) for image in images}
    plain = {image: place.with_suffix("") if place.stem else place for image, place in places.items()}
    count = Counter(_key(place) for place in plain.values())
    names: dict[Path, str] = {}
    taken: set[str] = {key for key, n in count.items() if n == 1}
    for image, place in plain.items():
        if count[_key(place)] == 1:
            names[image] = str(place)
            continue
        ending = places[image].suffix.lstrip(".")
        wanted = place.with_name(f"{place.name}-{ending}") if ending else place
        free, number = wanted, 2
        while _key(free) in taken:
            free, number = wanted.with_name(f"{wanted.name}-{number}"), number + 1
        taken.add(_key(free))
        names[image] = str(free)
    return names


def frame_names(frames: Iterable[FrameRef], names: Mapping[Path, str]) -> dict[FrameRef, str]:
    """Name the results of each frame: as its file, and one of a clip with its number from 0 ("clip_f0012").

    names: of the files, as result_names gives them. Where a file has such a name already, "-2" stands behind.
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


def printable(text: str | Path) -> str:
    """A path as text that can be written as UTF-8: what is none in a file's name becomes U+FFFD."""
    return os.fsencode(str(text)).decode("utf-8", "replace")


def _below(path: Path, base: Path) -> PurePosixPath:
    inside = path.relative_to(base) if path.is_relative_to(base) else path.relative_to(path.anchor)
    return PurePosixPath(*(printable(part) for part in inside.parts))


def _key(place: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(place)).casefold()
