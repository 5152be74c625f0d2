"""The table of a search, its best recipe and its figure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sonoseg.experiments.search import Search
from sonoseg.experiments.search_table import counts, write_table
from sonoseg.training.recipe import load_recipe

WritePlan = Callable[..., Path]


def test_a_row_a_trial_and_the_best_recipe(write_plan: WritePlan, pretend: Any, tmp_path: Path) -> None:
    search = Search(write_plan(measure="loss"), tmp_path / "out")
    search.carry_out(pretend(fail=lambda recipe: recipe.loss.kind == "bce"))
    table = write_table(search)
    out = tmp_path / "out"
    assert json.loads((out / "table.json").read_text()) == json.loads(json.dumps(table))
    best = table["trials"][table["best"]]
    assert best["value"] == min(one["value"] for one in table["trials"] if one["value"] is not None)
    recipe = load_recipe(out / "best.yaml")
    assert recipe.optimiser.rate == best["values"]["optimiser.rate"]
    assert (recipe.batch, recipe.epochs, recipe.seed) == (best["values"]["batch"], 3, 0)
    assert (out / "table.png").read_bytes().startswith(b"\x89PNG")
    text = (out / "table.md").read_text()
    assert "Research software, not a medical device" in text
    assert "loss on validation (lower is better)" in text
    assert f"| {table['best']} * | done |" in text
    assert "| failed |  |  | 0 |" in text
    assert "the loss is no longer a number |" in text
    number = counts(search.trials())
    assert number["done"] + number["failed"] == 6


def test_without_a_done_trial_there_is_no_best(write_plan: WritePlan, pretend: Any, tmp_path: Path) -> None:
    search = Search(write_plan(trials=2), tmp_path / "out")
    search.carry_out(pretend(fail=lambda _: True))
    assert write_table(search)["best"] is None
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"table.md", "table.json"}
    assert not (tmp_path / "out" / "best.yaml").exists()
    assert not (tmp_path / "out" / "table.png").exists()
