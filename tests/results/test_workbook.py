"""Workbooks, read back with another library than the one that writes them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sonoseg import RESEARCH_ONLY
from sonoseg.dicom.reading.acquisition import Acquisition
from sonoseg.errors import MissingExtra, SonosegWarning
from sonoseg.image.calibration import Spacing
from sonoseg.results import workbook
from sonoseg.results.codebook import RESULTS, names, sheet_columns
from sonoseg.results.entries import RefusedFile, RunInfo
from sonoseg.results.tables import write_xlsx
from sonoseg.results.workbook import Sheet, write_workbook

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed: pip install 'sonoseg[data]'")
pytest.importorskip("xlsxwriter", reason="XlsxWriter is not installed: pip install 'sonoseg[xlsx]'")


def sheets(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of each sheet by column; every text cell is a text and no formula."""
    found = {}
    for sheet in openpyxl.load_workbook(path):
        header, *rows = ([cell.value for cell in row] for row in sheet.iter_rows())
        found[sheet.title] = [dict(zip(header, row, strict=True)) for row in rows]
        cells = [cell for row in sheet.iter_rows() for cell in row]
        assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink], sheet.title
    return found


def test_results_in_four_sheets(about: RunInfo, make: SimpleNamespace, tmp_path: Path) -> None:
    acquisition = Acquisition("00123", "1.2.3", "=1+1", "left", "http://x", "2024-01-31")
    entries = [
        make.entry(
            "two", (5, 5, 10, 20), (30, 40, 20, 30), spacing=Spacing(0.1, 0.2), acquisition=acquisition
        ),
        make.entry("none"),
    ]
    results = make.results(about, entries, [RefusedFile("=bad.png", "empty")])
    write_xlsx(tmp_path / "a.xlsx", results)
    found = sheets(tmp_path / "a.xlsx")
    assert list(found) == ["lesions", "images", "codebook", "settings"]
    first, second = found["lesions"]
    assert tuple(first) == sheet_columns(RESULTS, "lesions")
    assert (first["image"], first["lesion"], second["lesion"], first["unit"]) == ("two", 1, 2, "mm")
    assert first["area"] == pytest.approx(12.0)
    assert (first["patient_id"], first["accession_number"], first["view"]) == ("00123", "=1+1", "http://x")
    assert [(row["image"], row["status"], row["lesions"]) for row in found["images"]] == [
        ("two", "lesion", 2),
        ("none", "no lesion", 0),
        (None, "refused", None),
    ]
    assert found["images"][2]["file"] == "=bad.png"
    assert [row["column"] for row in found["codebook"]] == list(names(RESULTS))
    settings = {row["setting"]: row["value"] for row in found["settings"]}
    assert settings["model.hash"] == about.model_hash
    assert settings["threshold"] == 0.4
    assert settings["settings_hash"] == about.settings_hash
    assert settings["postprocessing.fill_holes"] is True
    assert settings["notice"] == RESEARCH_ONLY


def test_equal_results_give_equal_files(about: RunInfo, make: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("a.xlsx", "b.xlsx"):
        write_xlsx(tmp_path / name, make.results(about, [make.entry("one", (5, 5, 10, 20))]))
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "{=1}",
        "\t=1",
        "http://x",
        "mailto:a@b",
        "007",
        "a<b&c>",
        " ü ",
        "<r>x</r>",
        "<r></r>",
        "<r><t>=1+1</t></r><f>1</f><r></r>",
    ],
)
def test_text_stays_text(text: str, tmp_path: Path) -> None:
    write_workbook(tmp_path / "a.xlsx", [Sheet("s", ("a", "b"), [{"a": text, "b": 1.5, "c": "no column"}])])
    assert sheets(tmp_path / "a.xlsx") == {"s": [{"a": text, "b": 1.5}]}


def test_control_characters_and_long_texts(tmp_path: Path) -> None:
    rows = [{"a": "x\x01\x0by"}, {"a": "y" * 40_000}]
    with pytest.warns(SonosegWarning, match="cut after 32,767"):
        write_workbook(tmp_path / "a.xlsx", [Sheet("s", ("a",), rows)])
    first, second = sheets(tmp_path / "a.xlsx")["s"]
    assert first["a"][0] + first["a"][-1] == "xy"
    assert second["a"] == "y" * 32_767


def test_rows_beyond_a_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert workbook.MAX_ROWS == 1_048_576
    monkeypatch.setattr(workbook, "MAX_ROWS", 3)
    for count in (2, 3):
        rows = [{"a": number} for number in range(count)]
        if count == 3:
            with pytest.warns(SonosegWarning, match="the sheet s ends after 3 rows"):
                write_workbook(tmp_path / "a.xlsx", [Sheet("s", ("a",), rows)])
        else:
            write_workbook(tmp_path / "a.xlsx", [Sheet("s", ("a",), rows)])
        assert sheets(tmp_path / "a.xlsx")["s"] == rows[:2]


def test_a_folder_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_workbook(tmp_path / "absent" / "a.xlsx", [Sheet("s", ("a",), [{"a": 1}])])


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonoseg._util.packages.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="xlsxwriter"):
        write_workbook(tmp_path / "a.xlsx", [])
    assert not (tmp_path / "a.xlsx").exists()
