"""The CSV and the JSON hold every picture, every lesion and every refusal."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from sonoseg import RESEARCH_ONLY, __version__
from sonoseg.findings.lesions import measure
from sonoseg.imaging.frame import Frame, Spacing
from sonoseg.inference.predictor import Predictor
from sonoseg.inference.segmentation import Segmentation
from sonoseg.outputs.entries import About, Entry, Refused
from sonoseg.outputs.tables import COLUMNS, results_csv, results_json


def entry(name: str, *boxes: tuple[int, int, int, int], spacing: Spacing | None = None) -> Entry:
    """A picture of 60 x 80 with lesions at top, left, height, width."""
    mask = np.zeros((60, 80), dtype=bool)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = True
    frame = Frame(np.zeros((60, 80), dtype=np.uint8), spacing, Path(f"{name}.png"))
    probability = mask.astype(np.float32) * np.float32(0.75)
    findings = measure(Segmentation(frame, probability, mask, mask, 0.5, None, "m", "r"))
    files = {"overlay": f"overlays/{name}.png", "mask": f"masks/{name}.png"}
    return Entry(name, f"in/{name}.png", frame.shape, spacing, findings, files)


ENTRIES = [
    entry("two", (5, 5, 10, 20), (30, 40, 20, 30), spacing=Spacing(0.1, 0.2)),
    entry("none"),
    entry('odd, "name"\nü', (0, 0, 6, 6)),
]
REFUSED = [Refused("in/bad.png", "this file is empty (0 bytes). Copy it again.")]


@pytest.fixture
def about(dark_model: Path) -> About:
    return About.of(Predictor(dark_model, threshold=0.4), "sonoseg predict")


def test_the_csv_has_a_row_a_lesion_a_picture_without_and_a_refusal(about: About) -> None:
    rows = list(csv.DictReader(io.StringIO(results_csv(about, ENTRIES, REFUSED))))
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
    assert [first[f"box_{side}"] for side in ("top", "left", "height", "width")] == ["30", "40", "20", "30"]
    assert (first["spacing_row"], first["spacing_column"]) == ("0.1", "0.2")
    assert first["mask"] == "masks/two.png"
    assert rows[2]["unit"] == "px"
    assert rows[2]["area"] == rows[2]["spacing_row"] == ""
    assert rows[4]["reason"].startswith("this file is empty")
    for row in rows:
        assert row["model"] == "dark"
        assert row["model_hash"] == about.model_hash
        assert row["threshold"] == "0.4"
        assert row["sonoseg"] == __version__
        assert row["notice"] == RESEARCH_ONLY


def test_the_json_says_the_same_and_survives_json(about: About) -> None:
    value = results_json(about, ENTRIES, REFUSED)
    assert json.loads(json.dumps(value)) == value
    assert value["format"] == "sonoseg-results/1"
    assert value["made_by"] == "sonoseg predict"
    assert value["notice"] == RESEARCH_ONLY
    assert value["model"] == {"name": "dark", "hash": about.model_hash}
    assert value["postprocessing"] == {"min_area": 0.001, "fill_holes": True, "keep_largest": False}
    two, none, odd = value["images"]
    assert [lesion["lesion"] for lesion in two["lesions"]] == [1, 2]
    assert two["lesions"][0]["box"] == {"top": 30, "left": 40, "height": 20, "width": 30}
    assert two["lesions"][0]["pixels"] == 600
    assert two["spacing"] == [0.1, 0.2]
    assert none["lesions"] == []
    assert none["spacing"] is None
    assert odd["unit"] == "px"
    assert value["refused"] == [{"file": "in/bad.png", "reason": REFUSED[0].reason}]
    rows = list(csv.DictReader(io.StringIO(results_csv(about, ENTRIES, REFUSED))))
    assert float(rows[0]["longest_axis"]) == two["lesions"][0]["longest_axis"]


def test_nothing_at_all_is_still_a_table(about: About) -> None:
    assert results_csv(about, [], []).splitlines() == [",".join(COLUMNS)]
    assert results_json(about, [], [])["images"] == []
