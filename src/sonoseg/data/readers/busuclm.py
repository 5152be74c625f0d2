"""BUS-UCLM's published layout: images/NAME_000.png, masks/NAME_000.png, INFO.csv; NAME is the patient."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from sonoseg.data.readers.table_files import read_table
from sonoseg.data.record import DataSource, Record, folders_near, image_files_in, natural_key, parse_label
from sonoseg.errors import DatasetError

# Two names, one patient.
SAME_PATIENT = {"CHVI": "CHCO"}

# The images of this patient were published in another size than their masks, and their alignment is not
# documented, so they are left out.
MISSIZED_PATIENT = "HESN"


def find(folder: Path) -> Path | None:
    """The folder with INFO.csv, images and masks: `folder` or one in it; None where it is not BUS-UCLM."""
    for candidate in folders_near(folder):
        if (candidate / "INFO.csv").is_file() and (candidate / "images").is_dir():
            return candidate
    return None


def read(folder: Path, name: str = "bus-uclm") -> DataSource:
    """Read the images of BUS-UCLM; class, Doppler and marks come from INFO.csv.

    Raises DatasetError where INFO.csv lacks an image's row.
    """
    table = folder / "INFO.csv"
    rows = {Path(row["image"]).stem: row for row in read_table(table, "image", "label")}
    masks = (
        {path.stem: path for path in image_files_in(folder / "masks")} if (folder / "masks").is_dir() else {}
    )
    records: list[Record] = []
    for image in image_files_in(folder / "images"):
        if image.stem not in rows:
            raise DatasetError(
                f"no row for the image {image.name}",
                where=table,
                remedy="Take INFO.csv and images/ from the same release of BUS-UCLM",
            )
        row = rows[image.stem]
        mask = masks.pop(image.stem, None)
        code = image.stem.split("_")[0]
        patient = SAME_PATIENT.get(code, code)
        marks = [mark for mark in ("doppler", "marks", "combined") if _yes(row.get(mark, ""))]
        records.append(
            Record(
                id=f"{name}/{image.stem}",
                set=name,
                image=image,
                masks=() if mask is None else (mask,),
                label=parse_label(row["label"], table),
                group=f"{name}:{patient}",
                patient=patient,
                marks=" ".join(marks),
                unusable=_missized(image, mask) if code == MISSIZED_PATIENT else "",
            )
        )
    records.sort(key=lambda record: natural_key(record.id))
    return DataSource(name, "bus-uclm", folder, tuple(records), tuple(masks.values()))


def _yes(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "no", "n", "none", "false", "-")


def _missized(image: Path, mask: Path | None) -> str:
    try:
        if mask is not None and (sizes := (_size(image), _size(mask)))[0] != sizes[1]:
            return (
                f"published with an image of {sizes[0][0]}x{sizes[0][1]} and a mask of "
                f"{sizes[1][0]}x{sizes[1][1]} pixels; how they align is not known"
            )
    except OSError:  # an unreadable file is reported when its pixels are read
        pass
    return ""


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size
