"""Layouts of a user's own set: a CSV file, folders images/ and masks/, or masks beside their images."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from sonoseg._util.csv_tables import comparable_name
from sonoseg.data.readers.table_files import numbered_rows, read_table
from sonoseg.data.record import (
    IMAGE_SUFFIXES,
    PROVENANCE,
    DataSource,
    Record,
    files_below,
    natural_key,
    parse_label,
    parse_spacing,
)
from sonoseg.errors import DatasetError
from sonoseg.inputs.file_kinds import counted_kinds
from sonoseg.inputs.file_search import IMAGE_FOLDERS, MASK_FOLDERS
from sonoseg.inputs.mask_matching import looks_like_mask, match_key

OPTIONAL = ("label", "group", "patient", "spacing_row", "spacing_column", "objection", "marks", "duplicates")

TABLE = "images.csv"

_SUFFIXES = (*IMAGE_SUFFIXES, ".dcm")
_RESERVED = ("image", "mask", "label")
"""First parts of the names of folders that a person expects to be read."""

_FIRST_CHANNEL = "_0000"
"""End of an image's name in the folder imagesTr of nnU-Net; its mask in labelsTr goes without."""


class FolderReader:
    """images/ and masks/ with equal names below them, and an images.csv where more is known.

    The folders may have the other names of IMAGE_FOLDERS and MASK_FOLDERS, nnU-Net's imagesTr and labelsTr
    among them, in any case. A mask of another name belongs to the image that `image_of` would find.
    images.csv has a column `id`, an image's path below images/ without its ending, and any of OPTIONAL:
    so a prepared set is a user's set too.
    """

    def find(self, folder: Path) -> Path | None:
        """`folder`, where it holds images and masks; None otherwise."""
        return folder if folder.is_dir() and all(_image_and_mask_folder(folder)) else None

    def read(self, folder: Path, name: str | None = None) -> DataSource:
        """Read the pairs. Raises DatasetError where images.csv is wrong."""
        images, masks = (found[0] for found in _image_and_mask_folder(folder))
        image_files, mask_files = files_below(images), files_below(masks)
        channel = _FIRST_CHANNEL if images.name.lower() == "imagestr" else ""
        ignored = [
            f"{path.name}/ is not read: {images.name}/ and {masks.name}/ are"
            for path in sorted(folder.iterdir())
            if path.is_dir() and path not in (images, masks) and path.name.lower().startswith(_RESERVED)
        ]
        if kinds := Counter(f"{p.suffix} file" for p in (*image_files, *mask_files) if not _is_image(p)):
            ignored.append(f"not read in {images.name}/ and {masks.name}/: {counted_kinds(kinds)}")
        return _read_pairs(
            folder,
            "folder",
            name,
            [(_stem(path, images).removesuffix(channel), path) for path in image_files if _is_image(path)],
            [(_stem(path, masks), path) for path in mask_files if _is_image(path)],
            ignored,
        )


class NeighbourReader:
    """x.png and its mask x_mask.png in one folder, and an images.csv where more is known, as in FolderReader.

    The names of masks are those of `looks_like_mask`, but for "other": such masks of BrEaST-Lesions_USG show
    findings that are not lesions.
    """

    def find(self, folder: Path) -> Path | None:
        """`folder`, where a mask lies beside its image in it or below; None otherwise."""
        if not folder.is_dir():
            return None
        images, masks = self._divided(folder)
        keys = {_pair_key(path) for path in images}
        return folder if any(_pair_key(path) in keys for path in masks) else None

    def read(self, folder: Path, name: str | None = None) -> DataSource:
        """Read the pairs. Raises DatasetError where images.csv is wrong."""
        images, masks = ([(_stem(path, folder), path) for path in paths] for paths in self._divided(folder))
        return _read_pairs(folder, "neighbours", name, images, masks, [])

    @staticmethod
    def _divided(folder: Path) -> tuple[list[Path], list[Path]]:
        found = [path for path in files_below(folder) if _is_image(path)]
        masks = [path for path in found if looks_like_mask(path) and "other" not in path.stem.lower()]
        return [path for path in found if path not in set(masks)], masks


class CsvReader:
    """A CSV file with the columns image and mask, paths relative to it, and any of OPTIONAL.

    Named itself, or the one such file in a folder that is named.

    A normal image may leave its mask empty; several masks of one image are joined with `;`.
    """

    def find(self, folder: Path) -> Path | None:
        """`folder` itself where it is a CSV file, or the one fitting CSV file in it; None otherwise."""
        if folder.is_file():
            return folder if folder.suffix.lower() in (".csv", ".tsv", ".txt") else None
        fitting = [path for path in _tables(folder) if not _fault_of_table(path)]
        return fitting[0] if len(fitting) == 1 else None

    def read(self, folder: Path, name: str | None = None) -> DataSource:
        """Read the CSV file at `folder`. Raises DatasetError where it is wrong or names no file."""
        root = folder.parent
        name = name or short_name(root if (root / "images").is_dir() else folder.with_suffix(""))
        entries = []
        for line, row in numbered_rows(folder, "image", "mask"):
            if not row["image"]:
                raise DatasetError("no image", where=f"{folder}, line {line}", remedy="Name its file")
            named = (row["image"], *row["mask"].split(";"))
            paths = [_file(root, part.strip()) for part in named if part.strip()]
            for path in paths:
                if not path.is_file():
                    raise DatasetError(
                        f"no file {path}",
                        where=f"{folder}, line {line}",
                        remedy="Write paths relative to the CSV file",
                    )
            entries.append((_csv_stem(paths[0], root), paths[0], tuple(paths[1:]), row))
        return DataSource(name, "csv", root, _records(name, entries, folder))


def unread_tables(folder: Path, root: Path) -> list[str]:
    """Messages on the tables in `folder` that are not read when the set at `root` is."""
    messages = []
    fitting = []
    for path in _tables(folder):
        if path == root or (root == folder and path.name == TABLE):
            continue
        if fault := _fault_of_table(path):
            messages.append(f"{path.name} is not read: {fault}")
        else:
            fitting.append(path.name)
    if fitting:
        messages.append(
            f"{', '.join(fitting)}: not read, because several tables list images; name one of them"
        )
    return messages


def _tables(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".csv", ".tsv") and not path.name.startswith(".") and path.is_file()
    )


def _fault_of_table(path: Path) -> str:
    """Why a table does not list images and masks, "" where it does."""
    try:
        read_table(path, "image", "mask")
    except DatasetError as error:
        return error.found
    return ""


def _file(root: Path, name: str) -> Path:
    """The file of this name, whichever system wrote the name."""
    composed = comparable_name(name)
    named = [root / name, root / composed, root / unicodedata.normalize("NFD", composed)]
    return next((path for path in named if path.is_file()), named[0])


def short_name(path: Path) -> str:
    """A set's name from a path: its last part, restricted to the characters of an id."""
    name = path.resolve().name
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "set"


def _image_and_mask_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders for images and those for masks in `folder`, the usual names first."""
    inside = sorted(
        (path for path in folder.iterdir() if path.is_dir()),
        key=lambda path: (path.name.lower() not in ("images", "masks"), path.name),
    )
    images, masks = (
        [path for path in inside if path.name.lower() in names] for names in (IMAGE_FOLDERS, MASK_FOLDERS)
    )
    return images, masks


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES


def _stem(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _csv_stem(path: Path, root: Path) -> str:
    inside = path.resolve().is_relative_to(root.resolve())
    stem = path.resolve().relative_to(root.resolve()) if inside else Path(path.name)
    return stem.with_suffix("").as_posix().removeprefix("images/")


def _pair_key(path: Path) -> tuple[str, str]:
    return path.parent.as_posix(), match_key(path)


Entry = tuple[str, Path, tuple[Path, ...], dict[str, str]]


def _read_pairs(
    folder: Path,
    kind: str,
    name: str | None,
    images: Sequence[tuple[str, Path]],
    masks: Sequence[tuple[str, Path]],
    ignored: Iterable[str],
) -> DataSource:
    """Give each image its masks: those of the same path, else those that its name says.

    images, masks: each file with its path below the folder of images or masks, without its ending.
    """
    name = name or short_name(folder)
    stems = {stem for stem, _ in images}
    by_key: dict[tuple[str, str], set[str]] = {}
    for stem in (stem for stem in stems if not looks_like_mask(Path(f"{stem}.x"))):
        by_key.setdefault(_pair_key(Path(f"{stem}.x")), set()).add(stem)
    masks_of: dict[str, list[Path]] = {}
    unmatched = []
    for stem, path in masks:
        meant = {stem} & stems or by_key.get(_pair_key(Path(f"{stem}.x")), set())
        if len(meant) == 1:
            masks_of.setdefault(next(iter(meant)), []).append(path)
        else:
            unmatched.append(path)
    table = folder / TABLE
    rows = _rows_by_id(table) if table.is_file() else {}
    entries = [
        (stem, path, tuple(masks_of.get(stem, ())), rows.get(comparable_name(stem), {}))
        for stem, path in images
    ]
    if lost := rows.keys() - {comparable_name(stem) for stem in stems}:
        names = sorted(lost, key=natural_key)
        text = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        ignored = [*ignored, f"{TABLE}: {len(names)} rows match no image: {text}"]
    return DataSource(name, kind, folder, _records(name, entries, table), tuple(unmatched), tuple(ignored))


def _rows_by_id(table: Path) -> dict[str, dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}
    for line, row in numbered_rows(table, "id"):
        key = comparable_name(row["id"])
        if rows.setdefault(key, row) != row:
            raise DatasetError(
                f"'{key}' has another row further up",
                where=f"{table}, line {line}",
                remedy="Remove one of them",
            )
    return rows


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
