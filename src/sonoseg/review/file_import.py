"""Import files into the store: uploads, files of this machine, the samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sonoseg import samples
from sonoseg.errors import InputError, MissingExtra, SonosegError
from sonoseg.image.calibration import Origin, Spacing
from sonoseg.inputs.file_search import search_root
from sonoseg.review.file_inspection import inspect
from sonoseg.review.form_upload import Upload, copy_files
from sonoseg.review.hand_calibration import calibrate_added
from sonoseg.review.http_errors import Stale, WrongStatus
from sonoseg.review.item_store import StoredImage
from sonoseg.review.items import Item
from sonoseg.review.settings import ServerLimits
from sonoseg.review.store import Store


@dataclass(frozen=True)
class RejectedUpload:
    """A refused file: its name, what is wrong, what to do."""

    name: str
    found: str
    remedy: str | None


@dataclass
class ImportResult:
    """The items of the imported files, and the refused files."""

    items: list[Item] = field(default_factory=list)
    refused: list[RejectedUpload] = field(default_factory=list)


def import_uploads(
    store: Store,
    files: Iterable[Upload],
    limits: ServerLimits,
    spacing: Spacing | None = None,
    origin: Origin = "given",
) -> ImportResult:
    """Inspect uploads and add those that are images to the store.

    Raises OutputError and LedgerBusy, which concern no single file; files added before stay.
    """
    result = ImportResult()
    for file in files:
        try:
            image = inspect(file, limits, spacing=spacing, origin=origin)
        except (InputError, MissingExtra) as error:
            result.refused.append(RejectedUpload(file.name, error.found, error.remedy))
            continue
        items = _with_spacing(store, store.add(image), image, result)
        result.items += calibrate_added(store, items)
    return result


def refuse_links(
    images: Sequence[Path], asked: Sequence[str | Path]
) -> tuple[list[Path], list[RejectedUpload]]:
    """Separate links to files outside of the searched folders, which the server must not publish.

    images: as found for the files, folders and globs `asked`. A link that is asked for by its name is kept.
    """
    roots = [search_root(path).resolve() for path in asked]
    named = {Path(path) for path in asked}
    kept: list[Path] = []
    refused: list[RejectedUpload] = []
    for image in images:
        target = image.resolve()
        if image in named or any(target.is_relative_to(root) for root in roots):
            kept.append(image)
        else:
            refused.append(
                RejectedUpload(image.name, "a link out of the folder", "Name the file that it leads to")
            )
    return kept, refused


def _with_spacing(store: Store, items: list[Item], image: StoredImage, result: ImportResult) -> list[Item]:
    """Apply a given spacing also to a file that was present before, or list why it has none."""
    if image.spacing is None or image.origin != "given":
        return items
    try:
        return [
            item if item.spacing == image.spacing else store.set_spacing(item.id, image.spacing, image.origin)
            for item in items
        ]
    except (WrongStatus, Stale) as error:
        found = f"the given pixel spacing does not take effect: {error.found}"
        result.refused.append(RejectedUpload(image.name, found, error.remedy))
        return items


def import_paths(
    store: Store,
    paths: Sequence[Path],
    limits: ServerLimits,
    spacing: Spacing | None = None,
    *,
    each: Callable[[], None] = lambda: None,
) -> ImportResult:
    """Copy files of this machine into the store. each: called after each file."""
    result = ImportResult()
    for path, found in zip(paths, copy_files(paths, store.folder / "incoming", limits), strict=True):
        if isinstance(found, SonosegError):
            if not isinstance(found, InputError):
                raise found
            result.refused.append(RejectedUpload(path.name, found.found, found.remedy))
        else:
            try:
                more = import_uploads(store, [found], limits, spacing)
            finally:
                found.path.unlink(missing_ok=True)
            result.items += more.items
            result.refused += more.refused
        each()
    return result


def import_samples(store: Store, limits: ServerLimits) -> ImportResult:
    """Add the sample scans of the package, with the spacing of their table."""
    result = ImportResult()
    for path, frame in zip(samples.paths(), samples.frames(), strict=True):
        for found in copy_files([path], store.folder / "incoming", limits):
            if isinstance(found, SonosegError):
                raise found
            more = import_uploads(store, [found], limits, frame.spacing, "table")
            found.path.unlink(missing_ok=True)
            result.items += more.items
            result.refused += more.refused
    return result
