"""The table: what is averaged, compared and shown, on made-up evaluations whose answers are known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sonoseg.errors import ExperimentError
from sonoseg.evaluation.evaluation import Evaluation
from sonoseg.evaluation.policy import Policy
from sonoseg.evaluation.seed_averages import FACTS, FIGURES
from sonoseg.experiments.experiment_run import run_experiment
from sonoseg.experiments.experiment_table import (
    markdown,
    variant_figure_rows,
    variant_table,
    write_table,
)
from sonoseg.experiments.plan import Cell, VariantPlan
from sonoseg.training.recipe import load_recipe

WritePlan = Callable[..., Path]
QUICK = Policy(resamples=100)
ECE = pd.DataFrame(
    {
        "region": ["foreground"],
        "low": [0.0],
        "high": [1.0],
        "confidence": [0.6],
        "frequency": [0.5],
        "count": [100],
    }
)


def evaluated(dice: dict[str, float], positives: dict[str, float] | None = None) -> Evaluation:
    """An evaluation of lesions a, b, ... with their Dice, each in its own group, and of normals."""
    rows = [
        {
            "id": name,
            "group": name,
            "kind": "lesion",
            "label": "benign",
            "lesion_area_px": 100,
            "dice": value,
            "missed": float(value < 0.1),
            "size_stratum": "Q1 smallest" if name in "ab" else "Q4 largest",
        }
        for name, value in dice.items()
    ]
    rows += [
        {
            "id": name,
            "group": name,
            "kind": "normal",
            "label": "normal",
            "lesion_area_px": 0,
            "size_stratum": "",
            "false_positive": value,
        }
        for name, value in (positives or {}).items()
    ]
    table = pd.DataFrame(rows).reindex(columns=["id", *FACTS, *FIGURES])
    table["set"] = "toy"
    return Evaluation(table, {"statement": "The test part", "cautions": ["Mind."]}, pd.DataFrame(), ECE)


def plan(**changes: Any) -> VariantPlan:
    values = {"name": "p", "recipe": "quick", "data": "d", "split": "s", "variants": {"x": {}, "y": {}}}
    return VariantPlan.model_validate(values | changes)


def table_of(plan: VariantPlan, found: dict[Cell, Evaluation]) -> dict[str, Any]:
    recipes = {name: load_recipe("quick") for name in plan.variants}
    return variant_table(plan, recipes, {"test": found}, policy=QUICK)


@pytest.mark.process
def test_seeds_are_averaged_by_image_and_are_not_samples() -> None:
    found = {
        Cell("x", 0, 0): evaluated({"a": 0.2, "b": 0.4, "c": 0.9}, {"n": 0.0}),
        Cell("x", 0, 1): evaluated({"a": 0.0, "b": 0.6, "c": 0.9}, {"n": 1.0}),
        Cell("y", 0, 0): evaluated({"a": 0.3, "b": 0.6, "c": 1.0}, {"n": 0.0}),
        Cell("y", 0, 1): evaluated({"a": 0.3, "b": 0.6, "c": 1.0}, {"n": 0.0}),
    }
    table = table_of(plan(seeds=[0, 1]), found)
    (one,) = table["evaluations"]
    x, y = one["rows"]
    assert (x["runs"], x["planned"], x["images"], x["groups"]) == (2, 2, 3, 3)
    assert x["dice"]["mean"] == pytest.approx((0.1 + 0.5 + 0.9) / 3)
    assert x["dice"]["seeds"] == pytest.approx({"0": 0.5, "1": 0.5})
    assert (x["small_dice"]["n"], x["small_dice"]["mean"]) == (2, pytest.approx(0.3))
    assert x["small_dice"]["min"] == pytest.approx(0.3)
    assert x["missed"]["mean"] == pytest.approx(0.5 / 3)  # one seed of two missed one image of three
    assert (x["missed"]["min"], x["missed"]["max"]) == pytest.approx((0, 1 / 3))
    assert x["small_missed"]["mean"] == 0.25
    assert (x["false_positive"]["n"], x["false_positive"]["mean"]) == (1, 0.5)
    assert x["ece_foreground"]["mean"] == pytest.approx(0.1)
    assert x["difference"] is None
    difference = y["difference"]["dice"]
    assert (difference["n"], difference["mean"]) == (3, pytest.approx((0.2 + 0.1 + 0.1) / 3))
    assert difference["p_permutation"] == 2 / 8  # three groups, however many seeds
    assert y["difference"]["false_positive"]["mean"] == -0.5
    assert one["statements"] == ["The test part"]
    assert one["cautions"] == ["Mind."]
    assert table["networks"]["x"]["parameters"] == 128516


@pytest.mark.process
def test_folds_are_pooled_and_a_seed_without_all_of_them_has_no_mean() -> None:
    found = {
        Cell("x", 0, 0): evaluated({"a": 0.2, "b": 0.4}),
        Cell("x", 1, 0): evaluated({"c": 0.6, "d": 0.8}),
        Cell("x", 0, 1): evaluated({"a": 0.4, "b": 0.4}),
    }
    table = table_of(plan(seeds=[0, 1], folds=[0, 1]), found)
    (one,) = table["evaluations"]
    (x,) = one["rows"]
    assert (x["runs"], x["planned"], x["images"]) == (3, 4, 4)
    assert x["dice"]["mean"] == pytest.approx((0.3 + 0.4 + 0.6 + 0.8) / 4)
    assert x["dice"]["seeds"] == pytest.approx({"0": 0.5})
    assert x["dice"]["min"] is None
    assert one["not_measured"] == ["y"]
    assert "| x | 3 of 4 | 4 | 0.525 [" in markdown(table)
    assert "Not measured: y." in markdown(table)


@pytest.mark.process
def test_a_variant_whose_runs_share_no_image_is_not_compared() -> None:
    found = {Cell("x", 0, 0): evaluated({"a": 0.2}), Cell("y", 1, 0): evaluated({"c": 0.6, "d": 0.8})}
    table = table_of(plan(folds=[0, 1]), found)
    assert table["evaluations"][0]["rows"][1]["difference"] == {"images": 0}
    assert "difference [95" not in markdown(table)


@pytest.mark.process
def test_nothing_measured_is_a_table_too(tmp_path: Path) -> None:
    table = table_of(plan(), {})
    write_table(table, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.json", "table.md"]
    assert "Not measured: x, y." in (tmp_path / "table.md").read_text()


@pytest.mark.process
def test_the_files_agree(tmp_path: Path) -> None:
    found = {
        Cell("x", 0, 0): evaluated({"a": 0.2, "b": 0.4, "c": 0.0}),
        Cell("y", 0, 0): evaluated({"a": 0.3, "b": 0.6, "c": 0.5}),
    }
    table = table_of(plan(), found)
    write_table(table, tmp_path)
    assert json.loads((tmp_path / "table.json").read_text()) == json.loads(json.dumps(table))
    text = (tmp_path / "table.md").read_text()
    assert "| y | Dice | +0.267 [" in text
    assert "| y | missed lesions | -33.3 points [" in text
    assert "false-positive rate on normal images | not" not in text
    assert "| x | 1 | 3 | 0.200 [" in text
    assert "one seed" in text
    assert "Research software" in text
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
    drawn = variant_figure_rows(table)
    assert set(drawn["metric"]) == {
        "Dice",
        "Dice, smallest quarter",
        "missed lesions",
        "missed, smallest quarter",
    }
    assert not drawn["value"].isna().any()


@pytest.mark.process
def test_a_whole_experiment_ends_with_its_table_despite_failures(
    write_plan: Callable[..., Path], tmp_path: Path, inside: Callable[..., Any]
) -> None:
    out = tmp_path / "out"
    path = write_plan(variants={"dark": {}, "darker": {}, "broken": {}}, folds=[0, 1], seeds=[0])
    executor = inside({"darker": 0.1, "dark/": 0.25}, fail=["runs/broken", "runs/darker/fold1"])
    seen: list[str] = []
    report = run_experiment(path, out, executor=executor, on_change=lambda _, outcome, at: seen.append(at))
    assert report.total == 12
    assert len(report.failed) == 3
    assert len(report.skipped) == 3
    assert seen[-1] == "6/12"
    assert {one["reason"] for one in report.as_json()["skipped"]} >= {"runs/broken/fold0-seed0 failed"}
    (one,) = report.table["evaluations"]
    dark, darker = one["rows"]
    assert one["not_measured"] == ["broken"]
    assert (dark["runs"], darker["runs"]) == (2, 1)
    rows = [pd.read_csv(out / f"evaluations/test/dark/fold{fold}-seed0/images.csv") for fold in (0, 1)]
    dice = np.concatenate([one.loc[one["kind"] == "lesion", "dice"] for one in rows])
    assert dark["images"] == len(dice)
    assert dark["dice"]["mean"] == pytest.approx(dice.mean())
    assert dark["dice"]["seeds"] == pytest.approx({"0": dice.mean()})
    # A single fold's ECE is that of its own summary.
    summary = json.loads((out / "evaluations/test/darker/fold0-seed0/summary.json").read_text())
    evaluations = {"test": {Cell("dark", 0, 0): Evaluation.load(out / "evaluations/test/darker/fold0-seed0")}}
    alone = variant_table(
        plan(variants={"dark": {}}), {"dark": load_recipe("quick")}, evaluations, policy=QUICK
    )
    ece = alone["evaluations"][0]["rows"][0]["ece_foreground"]["mean"]
    assert ece == pytest.approx(summary["calibration"]["foreground"]["ece"]["mean"], abs=1e-5)
    assert not math.isclose(darker["dice"]["mean"], dark["dice"]["mean"])
    # Its other fold failed: it is compared on the images that both measured.
    assert darker["difference"]["dice"]["n"] == darker["images"] < len(dice)
    assert json.loads((out / "table.json").read_text())["evaluations"] == json.loads(json.dumps([one]))


@pytest.mark.process
def test_a_row_per_trial_and_the_best_recipe(write_search: WritePlan, pretend: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    executor = pretend(fail=lambda recipe: recipe.loss.kind == "bce")
    table = run_experiment(write_search(metric="loss"), out, executor=executor).table
    assert json.loads((out / "table.json").read_text()) == json.loads(json.dumps(table))
    search = table["search"]
    best = search["trials"][search["best"]]
    assert best["value"] == min(one["value"] for one in search["trials"] if one["value"] is not None)
    recipe = load_recipe(out / "best.yaml")
    assert recipe.optimiser.rate == best["values"]["optimiser.rate"]
    assert (recipe.batch, recipe.epochs, recipe.seed) == (best["values"]["batch"], 3, 0)
    assert (out / "table.png").read_bytes().startswith(b"\x89PNG")
    text = (out / "table.md").read_text()
    assert "Research software, not a medical device" in text
    assert "loss on the validation part (lower is better)" in text
    assert f"| {search['best']} * | done |" in text
    assert "| failed |  |  | 0 |" in text
    assert "the loss is no longer a number. |" in text
    assert {one["state"] for one in search["trials"]} == {"done", "failed"}


def test_without_a_done_trial_there_is_no_best(write_search: WritePlan, pretend: Any, tmp_path: Path) -> None:
    report = run_experiment(write_search(trials=2), tmp_path / "out", executor=pretend(fail=lambda _: True))
    assert report.table["search"]["best"] is None
    with pytest.raises(ExperimentError, match="all of 2 trials failed"):
        report.check()
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"table.md", "table.json"}
    assert not (tmp_path / "out" / "best.yaml").exists()
    assert not (tmp_path / "out" / "table.png").exists()


@pytest.mark.process
def test_the_mean_of_centres_counts_each_the_same() -> None:
    """Fold 0 leaves centre p out and fold 1 centre q: each evaluation has images in its own fold alone."""
    centres = plan(folds=[0, 1], seeds=[0, 1], evaluate=[{"name": "p"}, {"name": "q"}], mean=["p", "q"])
    found = {
        "p": {
            Cell("x", 0, 0): evaluated({"a": 0.2, "b": 0.4}, {"n": 0.0, "m": 1.0}),
            Cell("x", 0, 1): evaluated({"a": 0.4, "b": 0.6}, {"n": 0.0, "m": 1.0}),
            Cell("y", 0, 0): evaluated({"a": 0.5, "b": 0.7}, {"n": 0.0, "m": 1.0}),
        },
        "q": {
            Cell("x", 1, 0): evaluated({"c": 0.9, "d": 0.9, "e": 0.9}),
            Cell("y", 1, 0): evaluated({"c": 0.8, "d": 0.8, "e": 0.8}),
        },
    }
    recipes = {name: load_recipe("quick") for name in centres.variants}
    table = variant_table(centres, recipes, found, {"p": [0], "q": [1]}, QUICK)
    p, q, mean = table["evaluations"]
    assert (p["rows"][0]["runs"], p["rows"][0]["planned"]) == (2, 2)
    assert p["rows"][0]["flagged_normals"]["n"] == 4
    assert "flagged_normals" not in q["rows"][0]
    assert mean["name"] == "mean of p, q"
    x, y = mean["rows"]
    assert (x["runs"], x["planned"], x["images"]) == (3, 4, 5)
    assert x["dice"]["mean"] == pytest.approx((0.4 + 0.9) / 2)
    assert x["dice"]["seeds"] == pytest.approx({"0": (0.3 + 0.9) / 2})  # seed 1 has not measured q
    assert x["false_positive"]["mean"] is None  # q has no normals
    assert y["difference"]["dice"]["mean"] == pytest.approx((0.2 - 0.1) / 2)
    assert y["difference"]["images"] == 7  # the normals of p too
    text = markdown(table)
    assert "## mean of p, q" in text
    assert "normals flagged at 95 % sensitivity" in text


@pytest.mark.process
def test_the_mean_waits_for_every_centre() -> None:
    centres = plan(folds=[0, 1], evaluate=[{"name": "p"}, {"name": "q"}], mean=["p", "q"])
    found = {"p": {Cell("x", 0, 0): evaluated({"a": 0.2})}}
    recipes = {name: load_recipe("quick") for name in centres.variants}
    mean = variant_table(centres, recipes, found, {"p": [0], "q": [1]}, QUICK)["evaluations"][2]
    assert mean["rows"] == []
    assert mean["not_measured"] == ["x", "y"]
