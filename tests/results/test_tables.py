"""The CSV and the JSON contain every image, lesion and refused file."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pytest

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.dicom.reading.acquisition import Acquisition
from sonoseg.image.calibration import UNKNOWN, Spacing
from sonoseg.results.entries import ImageEntry, RefusedFile, Results, RunInfo
from sonoseg.results.tables import COLUMNS, write_csv, write_json

REFUSED = [RefusedFile("in/bad.png", "this file is empty (0 bytes). Copy it again.")]


@pytest.fixture
def entries(make: SimpleNamespace) -> list[ImageEntry]:
    return [
        make.entry("two", (5, 5, 10, 20), (30, 40, 20, 30), spacing=Spacing(0.1, 0.2)),
        make.entry("none"),
        make.entry('odd, "name"\nü', (0, 0, 6, 6), frame=12),
    ]


def read_csv(results: Results) -> list[dict[str, str]]:
    text = io.StringIO()
    write_csv(text, results)
    return list(csv.DictReader(io.StringIO(text.getvalue())))


def read_json(results: Results) -> dict[str, Any]:
    text = io.StringIO()
    write_json(text, results)
    value: dict[str, Any] = json.loads(text.getvalue())
    assert text.getvalue() == json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return value


def test_csv_has_a_row_for_each_lesion_empty_image_and_refusal(
    about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace
) -> None:
    rows = read_csv(make.results(about, entries, REFUSED))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["image"], row["status"], row["lesion"], row["lesions"]) for row in rows] == [
        ("two", "lesion", "1", "2"),
        ("two", "lesion", "2", "2"),
        ("none", "no lesion", "", "0"),
        ('odd, "name"\nü', "lesion", "1", "1"),
        ("", "refused", "", ""),
    ]
    first = rows[0]
    assert first["unit"] == "mm"
    assert float(first["area"]) == pytest.approx(600 * 0.02)
    assert float(first["width"]) == pytest.approx(6.0)
    assert float(first["height"]) == pytest.approx(2.0)
    assert float(first["mean_probability"]) == 0.75
    assert first["orientation"] == "parallel"
    assert [first[f"box_{side}"] for side in ("top", "left", "height", "width")] == ["30", "40", "20", "30"]
    assert (first["spacing_row"], first["spacing_column"]) == ("0.1", "0.2")
    assert (first["spacing_origin"], first["spacing_reason"]) == ("given", "")
    assert first["mask"] == "masks/two.png"
    assert 0 <= float(first["image_uncertainty"]) <= 1
    assert rows[2]["unit"] == "px"
    assert rows[2]["area"] == rows[2]["spacing_row"] == ""
    assert (rows[3]["spacing_origin"], rows[3]["spacing_reason"]) == ("none", UNKNOWN)
    assert [row["frame"] for row in rows] == ["", "", "", "12", ""]
    assert rows[4]["reason"].startswith("this file is empty")
    for row in rows:
        assert row["referred"] == ""
        assert row["settings_hash"] == about.settings_hash != ""


def test_json_equals_csv(about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace) -> None:
    results = make.results(about, entries, REFUSED)
    value = read_json(results)
    assert value["format"] == "sonoseg-results/4"
    assert (value["sonoseg"], value["threshold"], value["settings_hash"]) == (
        *(__version__, 0.4),
        about.settings_hash,
    )
    assert value["made_by"] == "sonoseg predict"
    assert value["notice"] == RESEARCH_ONLY
    assert value["model"] == {"name": "dark", "hash": about.model_hash}
    assert value["postprocessing"] == {
        "min_area": 0.001,
        "fill_holes": True,
        "min_mean_probability": 0.0,
        "min_relative_probability": 0.0,
        "keep_largest": False,
    }
    two, none, odd = value["images"]
    assert [lesion["lesion"] for lesion in two["lesions"]] == [1, 2]
    assert two["lesions"][0]["box"] == {"top": 30, "left": 40, "height": 20, "width": 30}
    assert two["lesions"][0]["pixels"] == 600
    assert two["lesions"][0]["spacing"] == [0.1, 0.2]
    assert two["spacing"] == [0.1, 0.2]
    assert none["lesions"] == []
    assert none["spacing"] is None
    assert none["spacing_reason"] == UNKNOWN
    assert odd["unit"] == "px"
    assert (odd["frame"], two["frame"]) == (12, None)
    assert value["refused"] == [{"file": "in/bad.png", "reason": REFUSED[0].reason}]
    for name, figure in two["lesions"][0].items():
        if name in COLUMNS and isinstance(figure, float):
            assert float(read_csv(results)[0][name]) == figure


def test_referred_is_null_unless_requested(
    about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace
) -> None:
    assert [image["referred"] for image in read_json(make.results(about, entries))["images"]] == [None] * 3
    results = make.results(about, entries, referred=frozenset({"none"}))
    assert [image["referred"] for image in read_json(results)["images"]] == [False, True, False]
    assert [row["referred"] for row in read_csv(results)] == ["no", "no", "yes", "no"]


def test_unknown_values_are_null_and_empty(
    about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace
) -> None:
    findings = entries[2].findings
    lesion = replace(findings.lesions[0], mean_probability=math.nan, echo_level=None, echo_contrast=None)
    results = make.results(about, [replace(entries[2], findings=replace(findings, lesions=(lesion,)))])
    (image,) = read_json(results)["images"]
    (row,) = read_csv(results)
    for name in ("mean_probability", "echo_level", "echo_contrast"):
        assert image["lesions"][0][name] is None
        assert row[name] == ""


def test_a_run_is_described_once(about: RunInfo, entries: list[ImageEntry], make: SimpleNamespace) -> None:
    value = read_json(make.results(about, entries))
    assert {"model", "model_hash", "threshold", "runtime", "sonoseg", "notice"}.isdisjoint(COLUMNS)
    assert {"model", "threshold", "runtime", "sonoseg", "notice", "settings_hash"} <= set(value)


def test_acquisition_is_in_both_tables(about: RunInfo, make: SimpleNamespace) -> None:
    acquisition = Acquisition("=1+1", "1.2.3", "", "left", "@view", "2024-01-31")
    entries = [make.entry("one", (5, 5, 10, 20), acquisition=acquisition), make.entry("two")]
    results = make.results(about, entries)
    one, two = read_csv(results)
    assert [one[field.name] for field in fields(Acquisition)] == [
        *("'=1+1", "1.2.3", "", "left"),
        *("'@view", "2024-01-31"),
    ]
    assert [two[field.name] for field in fields(Acquisition)] == [""] * 6
    first, second = read_json(results)["images"]
    assert first["acquisition"] == {
        "patient_id": "=1+1",
        "study_instance_uid": "1.2.3",
        "accession_number": None,
        "laterality": "left",
        "view": "@view",
        "acquisition_date": "2024-01-31",
    }
    assert second["acquisition"] is None


def test_no_images(about: RunInfo, make: SimpleNamespace) -> None:
    assert read_csv(make.results(about, [])) == []
    value = read_json(make.results(about, []))
    assert (value["images"], value["refused"]) == ([], [])


def test_a_file_name_is_no_formula(about: RunInfo, make: SimpleNamespace) -> None:
    entry = replace(make.entry("=1+1"), file="=cmd|' /C calc'!A0.png")
    (row, refused) = read_csv(make.results(about, [entry], [RefusedFile("@x.png", "-", "")]))
    assert (row["image"], row["file"]) == ("'=1+1", "'=cmd|' /C calc'!A0.png")
    assert (refused["file"], refused["reason"]) == ("'@x.png", "'-")


def test_negative_measurements_stay_numbers(about: RunInfo, make: SimpleNamespace) -> None:
    entry = make.entry("one", (5, 5, 10, 20))
    lesions = [replace(one, echo_contrast=-3.25) for one in entry.findings.lesions]
    entry = replace(entry, findings=replace(entry.findings, lesions=tuple(lesions)))
    assert read_csv(make.results(about, [entry], []))[0]["echo_contrast"] == "-3.25"
