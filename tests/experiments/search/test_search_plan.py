"""A search's plan: what it means, and how its mistakes are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sonoseg.errors import PlanError, RecipeError
from sonoseg.experiments.search_plan import load_plan, what_changed

WritePlan = Callable[..., Path]


def test_a_plan_reads_back_equal_and_gives_recipes(write_plan: WritePlan, tmp_path: Path) -> None:
    plan = load_plan(write_plan(seed=3))
    again = tmp_path / "again.yaml"
    again.write_text(plan.yaml())
    assert load_plan(again) == plan
    recipe = plan.recipe_of({"optimiser.rate": 0.002, "batch": 12, "loss.kind": "bce"})
    assert (recipe.optimiser.rate, recipe.batch, recipe.loss.kind) == (0.002, 12, "bce")
    assert (recipe.seed, recipe.epochs, recipe.data.size) == (3, 3, 64)
    assert (plan.direction, load_plan(write_plan(measure="missed")).direction) == ("maximize", "minimize")


def test_choices_may_be_anything_yaml_says(write_plan: WritePlan) -> None:
    search = {"network.widths": [[4, 8, 12, 16], [8, 16, 32, 64]], "network.preset": ["quick", "compact"]}
    plan = load_plan(write_plan(search={"network.preset": ["quick", "unet"]}))
    assert plan.recipe_of({"network.preset": "unet"}).network.gate == "none"
    plan = load_plan(write_plan(search={"network.widths": search["network.widths"]}))
    assert plan.recipe_of({"network.widths": "[4, 8, 12, 16]"}).network.widths == (4, 8, 12, 16)
    # A preset among the choices comes before what is set of the network.
    plan = load_plan(write_plan(search={"network.preset": ["quick", "unet"]}, set={"network.residual": True}))
    assert plan.recipe_of({"network.preset": "unet"}).network.residual


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (
            {"search": {"optimiser.rat": {"low": 0.1, "high": 1}}},
            "search.optimiser.rat with 0.1: unknown key",
        ),
        ({"search": {"optimiser.rate": {"low": 0.0, "high": 1.0}}}, "search.optimiser.rate with 0.0:"),
        ({"search": {"loss.kind": ["bce", "dice"]}}, "search.loss.kind with dice:"),
        ({"search": {"loss.kind": ["bce"]}}, "'loss.kind' is a range, as {low: 1, high: 8}, or a list"),
        ({"search": {"loss.kind": ["bce", "bce"]}}, "a choice of 'loss.kind' is there twice"),
        ({"search": {"batch": {"low": 8, "high": 4}}}, "low must be the smaller"),
        ({"search": {"batch": {"low": 4, "high": 8, "step": 0.5}}}, "whole numbers with a step of 0.5"),
        ({"search": {"optimiser.rate": {"low": 0, "high": 1, "log": True}}}, "a log range starts above 0"),
        (
            {"search": {"batch": {"low": 1, "high": 8, "log": True, "step": 2}}},
            "a log range has no step",
        ),
        ({"search": {"batch": {"low": 4, "high": 8, "lg": True}}}, "unknown key 'search.batch"),
        ({"search": {}}, "at least 1 item"),
        ({"search": {"seed": [0, 1]}}, "'search' holds the seed"),
        ({"set": {"batch": 4}}, "'batch' is both in 'set' and in 'search'"),
        ({"measure": "auc"}, "'measure'"),
        ({"trails": 5}, "Did you mean 'trials'"),
        ({"prune": {"kind": "median", "startup": -1}}, "'prune.startup'"),
    ],
)
def test_a_mistake_is_named(write_plan: WritePlan, changes: dict[str, Any], found: str) -> None:
    path = write_plan(**changes)
    with pytest.raises(PlanError) as caught:
        load_plan(path)
    assert found in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_plan_that_is_none(tmp_path: Path, write_plan: WritePlan) -> None:
    with pytest.raises(PlanError, match="the plan cannot be read"):
        load_plan(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("[1, 2]")
    with pytest.raises(PlanError, match="a plan is a mapping"):
        load_plan(tmp_path / "list.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(PlanError, match="no readable YAML"):
        load_plan(tmp_path / "bad.yaml")
    with pytest.raises(RecipeError, match="unknown recipe 'quik'"):
        load_plan(write_plan(recipe="quik"))


def test_only_the_trials_may_grow(write_plan: WritePlan) -> None:
    plan = load_plan(write_plan())
    assert what_changed(plan, load_plan(write_plan(trials=9))) is None
    assert what_changed(plan, load_plan(write_plan(trials=5))) == "'trials' was 6 and is 5"
    assert "'seed' was 0 and is 1" in str(what_changed(plan, load_plan(write_plan(seed=1))))
