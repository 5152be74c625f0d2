"""research/scripts/make_results.py: a comparison is of the two studies that the page names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

EVALUATIONS = Path(__file__).resolve().parents[3] / "research" / "evaluations"


@pytest.fixture(scope="module")
def made(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("make_results")


def test_a_comparison_is_of_the_two_that_are_named(made: ModuleType) -> None:
    # The study's own comparison, of whatever it was evaluated against, once stood under any name.
    one, other = (made.kept(name) for name in ("sonoseg-busi", "compact-busi"))
    text = made.differences("sonoseg-busi", "compact-busi")
    shared = one.rows.merge(other.rows, on="id")
    lesions = shared[shared["lesion_area_px_x"] > 0]
    mean = (lesions["dice_x"] - lesions["dice_y"]).mean()
    assert f"| Dice, all lesions | {mean:.3f} [" in text
    assert made.differences("sonoseg-busi", "sonoseg-busi").count("| 0.000 [0.000, 0.000]") == 2


def test_seeds_are_averaged_image_by_image(made: ModuleType) -> None:
    names = ["sonoseg-busi", "compact-busi"]
    both = [made.kept(name).rows for name in names]
    text = made.over_seeds(names)
    each = [rows[rows["kind"] == "lesion"]["dice"].mean() for rows in both]
    dice = next(line for line in text.splitlines() if line.startswith("| Dice |"))
    assert f"| {sum(each) / 2:.3f} [" in dice
    assert dice.endswith(f"| {each[0]:.3f} | {each[1]:.3f} |")
    alarms = next(line for line in text.splitlines() if line.startswith("| normals with"))
    assert "n = 15 |" in alarms


def test_every_kept_study_has_rows_and_a_command() -> None:
    for path in sorted(EVALUATIONS.glob("*.json")):
        summary = json.loads(path.read_text("utf-8"))
        assert summary["command"].startswith("sonoseg evaluate")
        assert path.with_suffix(".parquet").is_file()


def test_the_pages_are_as_the_studies_make_them(made: ModuleType) -> None:
    for page in made.PAGES:
        text = page.read_text("utf-8")
        assert made.refresh(text) == text, f"{page.name}: run python research/scripts/make_results.py"
