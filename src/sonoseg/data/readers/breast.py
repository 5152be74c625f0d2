"""BrEaST-Lesions_USG's published layout: case001.png, case001_tumor.png, and a spreadsheet."""

from __future__ import annotations

import re
from pathlib import Path

from sonoseg.data.readers.table_files import read_sheet, read_table
from sonoseg.data.record import DataSource, Record, folders_near, image_files_in, natural_key, parse_label
from sonoseg.errors import DatasetError
from sonoseg.image.calibration import Spacing

_IMAGE = re.compile(r"^case\d+$")
_TUMOUR = re.compile(r"^(?P<image>case\d+)_tumor\d*$")
_COLUMNS = ("image_filename", "classification")


def find(folder: Path) -> Path | None:
    """The folder with the case*.png files: `folder` or one in it; None where it is not BrEaST-Lesions_USG."""
    for candidate in folders_near(folder):
        if candidate.is_dir() and any(_TUMOUR.match(path.stem) for path in candidate.iterdir()):
            return candidate
    return None


def read(folder: Path, name: str = "breast") -> DataSource:
    """Read the images of BrEaST-Lesions_USG; class and spacing come from its spreadsheet.

    The spreadsheet (XLSX, or saved as CSV) lies beside the images, or one folder up. Its Pixel_size is in
    cm and becomes mm per pixel. Only tumour masks are lesions; "other" masks are other findings.
    Raises DatasetError without a spreadsheet or an image's row, MissingExtra where XLSX cannot be read.
    """
    table = _spreadsheet(folder)
    read_rows = read_sheet if table.suffix.lower() == ".xlsx" else read_table
    rows = {Path(row["image_filename"]).stem: row for row in read_rows(table, *_COLUMNS)}
    images = image_files_in(folder)
    masks: dict[str, list[Path]] = {}
    for path in images:
        if match := _TUMOUR.match(path.stem):
            masks.setdefault(match["image"], []).append(path)
    records: list[Record] = []
    for image in images:
        if not _IMAGE.match(image.stem):
            continue
        if image.stem not in rows:
            raise DatasetError(
                f"no row for the image {image.name}",
                where=table,
                remedy="Take the spreadsheet and the images from the same release",
            )
        row = rows[image.stem]
        records.append(
            Record(
                id=f"{name}/{image.stem}",
                set=name,
                image=image,
                masks=tuple(masks.pop(image.stem, ())),
                label=parse_label(row["classification"], table),
                group=f"{name}:{image.stem}",
                patient=image.stem,
                spacing=_spacing(row.get("pixel_size", ""), f"{table}, {image.stem}"),
            )
        )
    records.sort(key=lambda record: natural_key(record.id))
    unmatched_masks = tuple(path for paths in masks.values() for path in paths)
    return DataSource(name, "breast", folder, tuple(records), unmatched_masks)


def _spreadsheet(folder: Path) -> Path:
    for candidate in (folder, folder.parent):
        tables = [
            path
            for suffix in (".csv", ".xlsx")
            for path in sorted(candidate.glob(f"*{suffix}"))
            if "clinical" in path.name.lower() and not path.name.startswith((".", "~"))
        ]
        if tables:
            return tables[0]
    raise DatasetError(
        "no spreadsheet with the clinical data (*clinical*.xlsx or *clinical*.csv)",
        where=folder,
        remedy="Put BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx beside the images",
    )


def _spacing(text: str, where: str) -> Spacing | None:
    """Pixel_size, in cm, as mm per pixel; the pixels are square."""
    if not text.strip():
        return None
    try:
        side = float(text.replace(",", ".")) * 10
    except ValueError:
        side = 0.0
    if not 0 < side < 10:
        raise DatasetError(
            f"Pixel_size '{text}' is not a size in cm",
            where=where,
            remedy="Restore the published spreadsheet",
        )
    return Spacing(side, side)
