"""Files into the store: what was sent, what the command line names, the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sonoseg import samples
from sonoseg.errors import InputError, MissingExtra, SonosegError
from sonoseg.image.calibration import Origin, Spacing
from sonoseg.review.items import Item
from sonoseg.review.settings import ServerLimits
from sonoseg.review.store import Store
from sonoseg.review.uploads import Upload, arrive, look


@dataclass(frozen=True)
class RejectedUpload:
    """A file that was not taken: its name, what was found, what to do."""

    name: str
    found: str
    remedy: str | None


@dataclass
class Took:
    """What became of some files."""

    items: list[Item] = field(default_factory=list)
    refused: list[RejectedUpload] = field(default_factory=list)


def take_in(
    store: Store,
    files: Iterable[Upload],
    limits: ServerLimits,
    spacing: Spacing | None = None,
    origin: Origin = "given",
) -> Took:
    """Look at files and take those that are images into the store.

    Raises what concerns no single file: Full, Busy. Those taken before it stay.
    """
    took = Took()
    for file in files:
        try:
            image = look(file, limits, spacing=spacing, origin=origin)
        except (InputError, MissingExtra) as error:
            took.refused.append(RejectedUpload(file.name, error.found, error.remedy))
            continue
        took.items += store.add(image)
    return took


def take_paths(
    store: Store,
    paths: Sequence[Path],
    limits: ServerLimits,
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
            took.refused.append(RejectedUpload(path.name, found.found, found.remedy))
        else:
            try:
                more = take_in(store, [found], limits, spacing)
            finally:
                found.path.unlink(missing_ok=True)
            took.items += more.items
            took.refused += more.refused
        each()
    return took


def take_samples(store: Store, limits: ServerLimits) -> Took:
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
