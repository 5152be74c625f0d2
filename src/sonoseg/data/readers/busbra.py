"""BUS-BRA's published layout: Images/bus_0001-l.png, Masks/mask_0001-l.png, bus_data.csv, fold files."""

from __future__ import annotations

from pathlib import Path

from sonoseg.data.readers.table_files import read_table
from sonoseg.data.record import DataSource, Record, folders_near, image_files_in, natural_key, parse_label
from sonoseg.errors import DatasetError


def find(folder: Path) -> Path | None:
    """The folder with bus_data.csv and Images: `folder` or BUSBRA inside it; None where it is not BUS-BRA."""
    for candidate in folders_near(folder):
        if (candidate / "bus_data.csv").is_file() and (candidate / "Images").is_dir():
            return candidate
    return None


def read(folder: Path, name: str = "bus-bra") -> DataSource:
    """Read the images of BUS-BRA with their patients (column Case) and official folds.

    The CSV's Width, Height and BBOX are not used: they are wrong for a few images.
    Raises DatasetError where bus_data.csv lacks an image's row.
    """
    rows = {row["id"]: row for row in read_table(folder / "bus_data.csv", "id", "case", "pathology")}
    folds: dict[str, dict[int, int]] = {}
    for count in (5, 10):
        table = folder / f"{count}-fold-cv.csv"
        if table.is_file():
            for row in read_table(table, "id", "kfold"):
                folds.setdefault(row["id"], {})[count] = int(row["kfold"])
    there = folder / "Masks"
    masks = (
        {path.stem.removeprefix("mask_"): path for path in image_files_in(there)} if there.is_dir() else {}
    )
    records: list[Record] = []
    for image in image_files_in(folder / "Images"):
        if image.stem not in rows:
            raise DatasetError(
                f"no row for the image {image.name}",
                where=folder / "bus_data.csv",
                remedy="Take bus_data.csv and Images/ from the same release of BUS-BRA",
            )
        row = rows[image.stem]
        mask = masks.pop(image.stem.removeprefix("bus_"), None)
        records.append(
            Record(
                id=f"{name}/{image.stem}",
                set=name,
                image=image,
                masks=() if mask is None else (mask,),
                label=parse_label(row["pathology"], folder / "bus_data.csv"),
                group=f"{name}:{row['case']}",
                patient=row["case"],
                folds=folds.get(image.stem, {}),
            )
        )
    records.sort(key=lambda record: natural_key(record.id))
    return DataSource(name, "bus-bra", folder, tuple(records), tuple(masks.values()))
