"""The codebook describes every column of the tables, in the document and in the code."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from sonoseg.dicom.reading.acquisition import Acquisition
from sonoseg.lesions.birads import EchoLevel, Orientation, Posterior
from sonoseg.results import codebook, tables
from sonoseg.results.codebook import (
    EVALUATION,
    MEASURES,
    RESULTS,
    REVIEWS,
    Column,
    codebook_page,
    names,
    sheet_columns,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "codebook.md"


def test_the_document_matches_the_code() -> None:
    message = "make it again with: python -m sonoseg.results.codebook docs/codebook.md"
    assert PAGE.read_text("utf-8") == codebook_page(), message


@pytest.mark.parametrize("table", [RESULTS, MEASURES, REVIEWS, EVALUATION])
def test_columns_are_described_once(table: tuple[Column, ...]) -> None:
    assert len(set(names(table))) == len(table)
    for one in table:
        assert all((one.meaning, one.values, one.empty)), one.name
        assert "|" not in "".join((one.meaning, one.unit, one.values, one.empty)), one.name


@pytest.mark.parametrize("table", [RESULTS, MEASURES])
def test_sheets_have_every_column_between_them(table: tuple[Column, ...]) -> None:
    lesions, images = sheet_columns(table, "lesions"), sheet_columns(table, "images")
    assert set(lesions) | set(images) == set(names(table))
    shared = set(lesions) & set(images)
    assert {"patient_id", "unit", "spacing_row", "image"} <= shared
    assert {"status", "reason"} <= set(images) - shared
    assert {"lesion", "area"} <= set(lesions) - shared
    assert ("mask" in lesions) == (table is MEASURES)


def test_values_are_those_of_the_code() -> None:
    values = {one.name: one.values.split(", ") for one in RESULTS}
    assert values["orientation"] == list(Orientation)
    assert values["echo_level"] == list(EchoLevel)
    assert sorted(values["posterior"]) == sorted(Posterior)
    assert names(codebook.ACQUISITION) == tuple(Acquisition.__dataclass_fields__)


def test_empty_cells_are_foreseen(about: object, make: SimpleNamespace) -> None:
    """A column that the codebook calls never empty is not."""
    entries = [make.entry("two", (5, 5, 10, 20)), make.entry("none")]
    results = make.results(about, entries, [SimpleNamespace(file="bad.png", reason="empty", name="")])
    full = {one.name for one in RESULTS if one.empty == codebook.NEVER}
    rows = [*(tables.image_row(entry, results) for entry in entries), *tables.refused_rows(results)]
    for row in rows:
        assert full <= {name for name, value in row.items() if value != ""}
