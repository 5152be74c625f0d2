"""A record: what a reader knows of one image before its pixels are read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from sonoseg._util.csv_tables import decimal
from sonoseg.errors import DatasetError
from sonoseg.image import calibration
from sonoseg.image.calibration import Spacing

LABELS = ("benign", "malignant", "normal", "unknown")

PROVENANCE = ("reader", "signed_at", "drawn_by", "revision", "model_hash", "assessment")
"""Provenance of a signed mask; see `Signed` in signed_masks.py."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Record:
    """One image of a set.

    id: "set/stem", unique in a prepared set; it is also the image's path in one, without the suffix.
    set: the set's short name.
    image: the image as published.
    masks: its masks, whose union is used; empty where none was found.
    label: one of LABELS.
    group: kept together by a split, unique across sets ("busi:G001"): the patient where the set
        names one, else the group of duplicates.
    patient: the set's patient id, "" where unknown.
    duplicates: the group of duplicates that this image belongs to, "" where it has none.
    objection: why a published list excludes the image, "" where it does not.
    marks: marks drawn on the image ("measurement text"), "" where none are known.
    spacing: mm per pixel, None where the set gives none.
    folds: the set's official folds, number of folds -> the image's fold, from 1 as published.
    unusable: a fault of the published set that excludes this image, "" for nearly all.
    provenance: where its mask comes from, by the names of PROVENANCE; {} for a published set.
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
    unusable: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSource:
    """A set as found on disk.

    name: the set's short name, the first part of every id.
    kind: the reader that read it: a name of the catalogue, "folder" or "csv".
    folder: the folder that holds the published layout.
    records: its images, in natural order.
    unmatched_masks: masks that belong to no record.
    ignored: what of the folder is not read, as messages.
    about: further entries for the description of a prepared set.
    """

    name: str
    kind: str
    folder: Path
    records: tuple[Record, ...]
    unmatched_masks: tuple[Path, ...] = ()
    ignored: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def check_ids(ids: Iterable[str], where: Path) -> None:
    """Check that each id is a path that stays within a prepared set and fits in a line of its table.

    where: the folder, for the error. Raises DatasetError.
    """
    for name in ids:
        if not _usable(name):
            raise DatasetError(
                f"the id {name!r} is not usable as a file name", where=where, remedy="Rename the image's file"
            )


def _usable(name: str) -> bool:
    parts = re.split(r"[/\\]", name)
    absolute = not parts[0] or PureWindowsPath(name).drive
    return not (absolute or ".." in parts or re.search(r"[\x00-\x1f\x7f\x85\u2028\u2029]", name))


@dataclass(frozen=True)
class IdFault:
    """Why images cannot be named in a prepared set. ids: theirs. text: what is wrong. remedy: what to do."""

    ids: tuple[str, ...]
    text: str
    remedy: str


def id_faults(sources: Sequence[DataSource]) -> list[IdFault]:
    """Find ids that cannot name files, and images that share one; preparing refuses both."""
    ids = [record.id for source in sources for record in source.records]
    faults = [
        IdFault((name,), f"the id {name!r} is not usable as a file name", "Rename the image's file")
        for name in ids
        if not _usable(name)
    ]
    images: dict[str, list[Record]] = {}
    for source in sources:
        for record in source.records:
            images.setdefault(record.id.lower(), []).append(record)
    for records in images.values():
        if len(records) > 1:
            files = dict.fromkeys(record.image for record in records)
            names = ", ".join(path.name for path in files)
            faults.append(
                IdFault(
                    tuple(record.id for record in records),
                    f"several images have the id '{records[0].id.lower()}' (case and suffix are ignored): "
                    + names,
                    "List each image once"
                    if len(files) == 1
                    else "Rename the files so that their names differ",
                )
            )
    return faults


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts "benign (2)" before "benign (10)"."""
    return tuple(
        (0, int(part), "") if part.isdigit() and part.isascii() else (1, 0, part)
        for part in re.split(r"([0-9]+)", text)
        if part
    )


def image_files_in(folder: Path) -> list[Path]:
    """The images in `folder`, hidden files left out, in natural order."""
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    return sorted(images, key=lambda path: natural_key(path.name))


def files_below(folder: Path) -> list[Path]:
    """All files in `folder` and below it, hidden files and folders left out, in natural order."""
    files = [
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts) and path.is_file()
    ]
    return sorted(files, key=lambda path: natural_key(path.relative_to(folder).as_posix()))


def folders_near(folder: Path, depth: int = 2, most: int = 200) -> Iterator[Path]:
    """`folder` and the folders below it, nearest first; an unpacked archive may nest its layout."""
    level, seen = [folder], 0
    for step in range(depth + 1):
        yield from level
        seen += len(level)
        if step == depth or seen > most:
            return
        level = [
            child
            for parent in level
            if parent.is_dir()
            for child in sorted(parent.iterdir())
            if child.is_dir()
            and not child.name.startswith((".", "__MACOSX"))
            and os.access(child, os.R_OK | os.X_OK)
        ]


def parse_label(text: str, where: str | Path) -> str:
    """Parse a class name to one of LABELS; "" means unknown. Raises DatasetError."""
    label = text.strip().lower() or "unknown"
    if label not in LABELS:
        raise DatasetError(f"unknown class '{text}'", where=where, remedy=f"Use one of: {', '.join(LABELS)}")
    return label


def parse_spacing(row: str, column: str, where: str | Path) -> Spacing | None:
    """Spacing in mm per pixel from two table cells, None where both are empty. Raises DatasetError."""
    if not row.strip() and not column.strip():
        return None
    try:
        return calibration.parse_spacing(f"{decimal(row)},{decimal(column)}")
    except ValueError:
        raise DatasetError(
            f"'{row}', '{column}' is not a pixel spacing: {calibration.SPACING_RANGE}",
            where=where,
            remedy="Give two such numbers, or leave both cells empty",
        ) from None
