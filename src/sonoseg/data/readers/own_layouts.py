"""Layouts of a user's own set: a CSV that lists images and masks, or folders images/ and masks/."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sonoseg.data.readers.table_files import read_table
from sonoseg.data.record import (
    PROVENANCE,
    DataSource,
    Record,
    image_files_in,
    natural_key,
    parse_label,
    parse_spacing,
)
from sonoseg.errors import DatasetError

OPTIONAL = ("label", "group", "patient", "spacing_row", "spacing_column", "objection", "marks", "duplicates")


class FolderReader:
    """images/ and masks/ with equal names below them, and an images.csv where more is known.

    images.csv has a column `id`, an image's path below images/ without its ending, and any of OPTIONAL:
    so a prepared set is a user's set too.
    """

    def find(self, folder: Path) -> Path | None:
        """`folder`, where it holds images and masks; None otherwise."""
        return folder if (folder / "images").is_dir() and (folder / "masks").is_dir() else None

    def read(self, folder: Path, name: str | None = None) -> DataSource:
        """Read the pairs. Raises DatasetError where images.csv is wrong."""
        name = name or short_name(folder)
        masks = {_stem(path, folder / "masks"): path for path in image_files_in(folder / "masks", deep=True)}
        table = folder / "images.csv"
        rows = {row["id"]: row for row in read_table(table, "id")} if table.is_file() else {}
        entries = []
        for image in image_files_in(folder / "images", deep=True):
            stem = _stem(image, folder / "images")
            mask = masks.pop(stem, None)
            entries.append((stem, image, () if mask is None else (mask,), rows.get(stem, {})))
        return DataSource(name, "folder", folder, _records(name, entries, table), tuple(masks.values()))


class CsvReader:
    """A CSV file with the columns image and mask, paths relative to it, and any of OPTIONAL.

    Named itself, or the one such file in a folder that is named.

    A normal image may leave its mask empty; several masks of one image are joined with `;`.
    """

    def find(self, folder: Path) -> Path | None:
        """`folder` itself where it is a CSV file, or the one fitting CSV file in it; None otherwise."""
        if folder.is_file():
            return folder if folder.suffix.lower() == ".csv" else None
        fitting = [path for path in sorted(folder.glob("*.csv")) if _names_pairs(path)]
        return fitting[0] if len(fitting) == 1 else None

    def read(self, folder: Path, name: str | None = None) -> DataSource:
        """Read the CSV file at `folder`. Raises DatasetError where it is wrong or names no file."""
        root = folder.parent
        name = name or short_name(root if (root / "images").is_dir() else folder.with_suffix(""))
        entries = []
        for number, row in enumerate(read_table(folder, "image", "mask"), start=2):
            paths = [root / part.strip() for part in (row["image"], *row["mask"].split(";")) if part.strip()]
            if not row["image"]:
                raise DatasetError("no image", where=f"{folder}, row {number}", remedy="Name its file")
            for path in paths:
                if not path.is_file():
                    raise DatasetError(
                        f"no file {path}",
                        where=f"{folder}, row {number}",
                        remedy="Write paths relative to the CSV file",
                    )
            entries.append((_csv_stem(paths[0], root), paths[0], tuple(paths[1:]), row))
        return DataSource(name, "csv", root, _records(name, entries, folder))


def _names_pairs(path: Path) -> bool:
    """Whether the first line of a CSV file names the columns image and mask."""
    with path.open("rb") as file:
        header = file.readline(10_000).decode("utf-8-sig", errors="replace")
    return {"image", "mask"} <= {cell.strip().strip('"') for cell in header.split(",")}


def short_name(path: Path) -> str:
    """A set's name from a path: its last part, restricted to the characters of an id."""
    name = path.resolve().name
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "set"


def _stem(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _csv_stem(path: Path, root: Path) -> str:
    inside = path.resolve().is_relative_to(root.resolve())
    stem = path.resolve().relative_to(root.resolve()) if inside else Path(path.name)
    return stem.with_suffix("").as_posix().removeprefix("images/")


Entry = tuple[str, Path, tuple[Path, ...], dict[str, str]]


def _records(name: str, entries: Sequence[Entry], table: Path) -> tuple[Record, ...]:
    """Records from what the folder and its table say."""
    together = _together(entries)
    sizes: dict[str, int] = {}
    for entry in entries:
        key = _copies(entry[3])
        sizes[key] = sizes.get(key, 0) + 1
    records = []
    for stem, image, masks, row in entries:
        where = f"{table}, {stem}"
        copies = _copies(row)
        records.append(
            Record(
                id=f"{name}/{stem}",
                set=name,
                image=image,
                masks=masks,
                label=parse_label(row.get("label", ""), where),
                group=f"{name}:{together.get(stem, stem)}",
                patient=row.get("patient", ""),
                duplicates=f"{name}:{copies}" if copies and sizes[copies] > 1 else "",
                objection=row.get("objection", ""),
                marks=row.get("marks", ""),
                spacing=parse_spacing(row.get("spacing_row", ""), row.get("spacing_column", ""), where),
                provenance={key: row[key] for key in PROVENANCE if row.get(key)},
            )
        )
    return tuple(sorted(records, key=lambda record: natural_key(record.id)))


def _copies(row: dict[str, str]) -> str:
    """The group of duplicates a row belongs to; a prepared set has a column of its own for it."""
    return row["duplicates"] if "duplicates" in row else row.get("group", "")


def _together(entries: Sequence[Entry]) -> dict[str, str]:
    """For each image with a group or a patient, the name of all that a split must keep together.

    Images of one group, and images of one patient, are joined, and so on through both.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    keys: dict[str, str] = {}
    for stem, _, _, row in entries:
        group, patient = row.get("group", ""), row.get("patient", "")
        own = [f"group {group}"] * bool(group) + [f"patient {patient}"] * bool(patient)
        if own:
            keys[stem] = own[0]
            parent[root(own[-1])] = root(own[0])
    return {stem: root(key).removeprefix("group ") for stem, key in keys.items()}
