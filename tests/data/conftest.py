"""Miniature sets in the published layouts, of speckle that no two images share."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHAPE = (40, 48)


def speckle(name: str, shape: tuple[int, int] = SHAPE) -> Image.Image:
    """A grey image that only `name` has."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))


def blob(size: int = 8, shape: tuple[int, int] = SHAPE, corner: tuple[int, int] = (5, 5)) -> Image.Image:
    """A 1-bit mask with a square lesion of `size`; none for 0."""
    mask = np.zeros(shape, dtype=bool)
    mask[corner[0] : corner[0] + size, corner[1] : corner[1] + size] = size > 0
    return Image.fromarray(mask)


def save(image: Image.Image, path: Path) -> Path:
    """Save an image, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def write_csv(path: Path, rows: list[dict[str, object]], delimiter: str = ",", mark: str = "") -> Path:
    """A CSV file of `rows`, with a byte-order mark in front if asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(mark)
        writer = csv.DictWriter(file, rows[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


class Make:
    """The helpers above, for tests that need them by hand."""

    shape = SHAPE
    speckle = staticmethod(speckle)
    blob = staticmethod(blob)
    save = staticmethod(save)
    csv = staticmethod(write_csv)


@pytest.fixture(scope="session")
def make() -> type[Make]:
    """Helpers that make images, masks and tables."""
    return Make


@pytest.fixture
def busi(tmp_path: Path) -> Path:
    """BUSI in small: benign 1, 4 (two masks, one RGBA), 10, 100; malignant 1; normal 1 (RGB mask)."""
    root = tmp_path / "busi" / "Dataset_BUSI_with_GT"
    for label, number in [("benign", n) for n in (1, 4, 10, 100)] + [("malignant", 1), ("normal", 1)]:
        stem = f"{label} ({number})"
        save(speckle(stem), root / label / f"{stem}.png")
        mask = blob(0 if label == "normal" else 8 + number % 3)
        save(mask.convert("RGB") if label == "normal" else mask, root / label / f"{stem}_mask.png")
    second = blob(6, corner=(25, 30)).convert("RGBA")
    save(second, root / "benign" / "benign (4)_mask_1.png")
    return root


@pytest.fixture
def busbra(tmp_path: Path) -> Path:
    """BUS-BRA in small: six patients, the first with two sides, JPEG images."""
    root = tmp_path / "BUSBRA"
    rows, folds = [], []
    for case in range(1, 7):
        for side in "lr" if case == 1 else "s":
            name = f"{case:04d}-{side}"
            save(speckle(name), root / "Images" / f"bus_{name}.jpg")
            save(blob(6 + case), root / "Masks" / f"mask_{name}.png")
            label = "malignant" if case % 2 else "benign"
            rows.append({"ID": f"bus_{name}", "Case": case, "Pathology": label, "Height": 1})
            folds.append({"ID": f"bus_{name}", "Pathology": label, "kFold": 1 + case % 5})
    write_csv(root / "bus_data.csv", rows)
    write_csv(root / "5-fold-cv.csv", folds)
    return root


@pytest.fixture
def busuclm(tmp_path: Path) -> Path:
    """BUS-UCLM in small: CHCO and CHVI, ALWI normal, HESN in RGBA and of another size than its mask."""
    root = tmp_path / "BUS-UCLM Breast ultrasound lesion segmentation dataset" / "BUS-UCLM"
    green, red = (0, 255, 0), (255, 0, 0)
    rows = []
    for name, label, colour in [
        ("ALWI_000", "Normal", None),
        ("CHCO_000", "Benign", green),
        ("CHVI_000", "Malignant", red),
        ("HESN_000", "Benign", green),
        ("HESN_001", "Benign", green),
    ]:
        image = speckle(name, (36, 42) if name == "HESN_001" else SHAPE)
        save(image.convert("RGBA") if name.startswith("HESN") else image, root / "images" / f"{name}.png")
        mask = Image.new("RGB", SHAPE[::-1])
        if colour:
            mask.paste(colour, (10, 10, 20, 22))
        save(mask, root / "masks" / f"{name}.png")
        rows.append(
            {
                "Image": f"{name}.png",
                "Resolution": "x",
                "Label": label,
                "Doppler": "Yes" if name == "CHVI_000" else "No",
                "Marks": "Yes" if name == "CHVI_000" else "No",
                "Combined": "No",
            }
        )
    write_csv(root / "INFO.csv", rows, delimiter=";", mark="\ufeff")
    return root


BREAST_ROWS: list[dict[str, object]] = [
    {"CaseID": 1, "Image_filename": "case001.png", "Pixel_size": 0.007, "Classification": "benign"},
    {"CaseID": 2, "Image_filename": "case002.png", "Pixel_size": 0.0085, "Classification": "malignant"},
    {"CaseID": 3, "Image_filename": "case003.png", "Pixel_size": "", "Classification": "normal"},
]


@pytest.fixture
def breast(tmp_path: Path) -> Path:
    """BrEaST-Lesions_USG in small, the spreadsheet saved as CSV; RGBA with transparent corners."""
    root = tmp_path / "BrEaST"
    for number in (1, 2, 3):
        image = speckle(f"case{number}").convert("RGBA")
        image.putpixel((0, 0), (255, 255, 255, 0))
        save(image, root / f"case{number:03d}.png")
        if number < 3:
            mask = blob(9).convert("RGBA")
            mask.putpixel((0, 0), (255, 255, 255, 0))
            save(mask, root / f"case{number:03d}_tumor.png")
    save(blob(30).convert("RGBA"), root / "case002_other1.png")
    write_csv(root / "BrEaST-Lesions-USG-clinical-data.csv", BREAST_ROWS)
    return root


@pytest.fixture
def pairs(tmp_path: Path) -> Callable[..., Path]:
    """Makes a user's folder: pairs(names, table=rows of images.csv)."""

    def build(names: list[str], table: list[dict[str, object]] | None = None, at: str = "mine") -> Path:
        root = tmp_path / at
        for name in names:
            save(speckle(f"{at}{name}"), root / "images" / f"{name}.png")
            save(blob(7 + len(name) % 5), root / "masks" / f"{name}.png")
        if table:
            write_csv(root / "images.csv", table)
        return root

    return build
