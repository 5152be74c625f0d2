"""Files into the store: what was sent, what the command line names, the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sonoseg import samples
from sonoseg.errors import InputError, MissingExtra, SonosegError
from sonoseg.imaging.calibration import Origin, Spacing
from sonoseg.server.items import Item
from sonoseg.server.settings import Limits
from sonoseg.server.store import Store
from sonoseg.server.uploads import Arrived, arrive, look


@dataclass(frozen=True)
class Refused:
    """A file that was not taken: its name, what was found, what to do."""

    name: str
    found: str
    remedy: str | None


@dataclass
class Took:
    """What became of some files."""

    items: list[Item] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def take_in(
    store: Store,
    files: Iterable[Arrived],
    limits: Limits,
    spacing: Spacing | None = None,
    origin: Origin = "given",
) -> Took:
    """Look at files and take those that are pictures into the store.

    Raises what concerns no single file: Full, Busy. Those taken before it stay.
    """
    took = Took()
    for file in files:
        try:
            picture = look(file, limits, spacing=spacing, origin=origin)
        except (InputError, MissingExtra) as error:
            took.refused.append(Refused(file.name, error.found, error.remedy))
            continue
        took.items += store.add(picture)
    return took


def take_paths(
    store: Store,
    paths: Sequence[Path],
    limits: Limits,
    spacing: Spacing | None = None,
    *,
    each: Callable[[], None] = lambda: None,
) -> Took:
    """Copy files of this machine into the store. each: called after each of them."""
    took = Took()
    for path, found in zip(paths, arrive(paths, store.folder / "incoming", limits), strict=True):
        if isinstance(found, SonosegError):
            if not isinstance(found, InputError):
                raise found
            took.refused.append(Refused(path.name, found.found, found.remedy))
        else:
            try:
                more = take_in(store, [found], limits, spacing)
            finally:
                found.path.unlink(missing_ok=True)
            took.items += more.items
            took.refused += more.refused
        each()
    return took


def take_samples(store: Store, limits: Limits) -> Took:
    """Take in the sample scans of the package, with the spacing of their table."""
    took = Took()
    for path, frame in zip(samples.paths(), samples.frames(), strict=True):
        for found in arrive([path], store.folder / "incoming", limits):
            if isinstance(found, SonosegError):
                raise found
            more = take_in(store, [found], limits, frame.spacing, "table")
            found.path.unlink(missing_ok=True)
            took.items += more.items
            took.refused += more.refused
    return took
