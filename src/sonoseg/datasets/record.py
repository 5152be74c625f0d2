"""A record: what a reader knows of one image before any pixel is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sonoseg.imaging.frame import Spacing

LABELS = ("benign", "malignant", "normal", "unknown")

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Record:
    """One image of a set.

    id: "set/stem", unique in a prepared set; it is also the image's path in one, without the suffix.
    set: the set's short name.
    image: the picture as published.
    masks: its masks, to be joined; empty where none was found.
    label: one of LABELS.
    group: what a split keeps together, unique across sets ("busi:G001"): the patient where the set
        names one, else the group of duplicates.
    patient: the set's patient id, "" where unknown.
    duplicates: the group of copies of one scan that this image belongs to, "" where it has no copy.
    objection: why a published list would leave the image out, "" where it would not.
    marks: what is drawn on the image ("measurement text"), "" where nothing is known to be.
    spacing: mm per pixel, None where the set gives none.
    folds: the set's official folds, number of folds -> the image's fold, from 1 as published.
    rescale_masks: the set's masks are known to differ in size from their images; bring them to it.
    """

    id: str
    set: str
    image: Path
    masks: tuple[Path, ...] = ()
    label: str = "unknown"
    group: str = ""
    patient: str = ""
    duplicates: str = ""
    objection: str = ""
    marks: str = ""
    spacing: Spacing | None = None
    folds: dict[int, int] = field(default_factory=dict)
    rescale_masks: bool = False


@dataclass(frozen=True)
class Source:
    """A set as found on disk.

    name: the set's short name, the first part of every id.
    kind: the reader that read it: a name of the catalogue, "folder", "csv" or "prepared".
    folder: the folder that holds the published layout.
    records: its images, in natural order.
    strays: pictures that belong to no record (a mask without its image, for example).
    """

    name: str
    kind: str
    folder: Path
    records: tuple[Record, ...]
    strays: tuple[Path, ...] = ()


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts "benign (2)" before "benign (10)"."""
    return tuple(
        (0, int(part), "") if part.isdigit() and part.isascii() else (1, 0, part)
        for part in re.split(r"([0-9]+)", text)
        if part
    )


def pictures_in(folder: Path, *, deep: bool = False) -> list[Path]:
    """The pictures in `folder` (and below it with `deep`), hidden files left out, in natural order."""
    found: Iterable[Path] = folder.rglob("*") if deep else folder.iterdir()
    pictures = [
        path
        for path in found
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    ]
    return sorted(pictures, key=lambda path: natural(path.relative_to(folder).as_posix()))
