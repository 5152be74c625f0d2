"""BrEaST-Lesions_USG: spacing from the spreadsheet, other findings left aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonoseg.data.readers import read_source
from sonoseg.errors import DatasetError
from sonoseg.image.calibration import Spacing


def test_classes_spacing_and_masks(breast: Path) -> None:
    source = read_source(breast)
    first, second, third = source.records
    assert (first.id, first.label, first.patient) == ("breast/case001", "benign", "case001")
    assert first.spacing == pytest.approx(Spacing(0.07, 0.07))
    assert [m.name for m in second.masks] == ["case002_tumor.png"]
    assert (third.label, third.masks, third.spacing) == ("normal", (), None)
    assert not source.unmatched_masks


def test_the_spreadsheet_as_xlsx(breast: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    table = next(breast.glob("*.csv"))
    book = openpyxl.Workbook()
    book.active.title = "data dictionary"
    book.active.append(["Variable", "Meaning"])
    sheet = book.create_sheet("clinical")
    for line in table.read_text().splitlines():
        sheet.append([float(cell) if cell.startswith("0.") else cell for cell in line.split(",")])
    book.save(breast.parent / "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx")
    expected = read_source(breast).records
    table.unlink()
    assert read_source(breast).records == expected


def test_no_spreadsheet(breast: Path) -> None:
    next(breast.glob("*.csv")).unlink()
    with pytest.raises(DatasetError, match=r"no spreadsheet .* Put BrEaST-Lesions-USG-clinical-data"):
        read_source(breast)


def test_a_damaged_spreadsheet(breast: Path) -> None:
    pytest.importorskip("openpyxl")
    table = next(breast.glob("*.csv"))
    table.rename(table.with_suffix(".xlsx"))
    with pytest.raises(DatasetError, match="cannot be read as a spreadsheet"):
        read_source(breast)


@pytest.mark.parametrize("size", ["zero", "-0.1", "7"])
def test_a_pixel_size_that_is_none(breast: Path, size: str) -> None:
    table = next(breast.glob("*.csv"))
    table.write_text(table.read_text().replace("0.007", size))
    with pytest.raises(DatasetError, match=rf"case001: Pixel_size '{size}' is not a size in cm"):
        read_source(breast)
