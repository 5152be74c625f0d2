"""Plans of variants and of searches: their meaning, and the errors for wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sonoseg.errors import PlanError, RecipeError
from sonoseg.experiments.plan import SearchPlan, VariantPlan, load_plan, what_changed
from sonoseg.training.recipe import load_recipe

PLANS_FOLDER = Path(__file__).resolve().parents[2] / "research" / "plans"
WritePlan = Callable[..., Path]
LEAST = "name: p\nrecipe: quick\ndata: set\nsplit: split.json\n"


def plan_of(folder: Path, text: str = "") -> VariantPlan:
    path = folder / "plan.yaml"
    path.write_text(LEAST + text)
    plan = load_plan(path)
    assert isinstance(plan, VariantPlan)
    return plan


def test_the_least_plan_is_one_run_measured_on_its_test_part(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert (plan.folds, plan.seeds, plan.variants) == ([0], [0], {"as-it-is": {}})
    (one,) = plan.evaluate
    assert (one.name, one.data, one.split) == ("test", tmp_path / "set", tmp_path / "split.json")
    assert (one.fold, one.part, one.tta, one.threshold) == ("same", "test", "none", None)


def test_paths_are_relative_to_the_plan_and_its_copy_reads_back_equal(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    text = """
variants: {a:, b: {network.gate: none}}
evaluate:
  - {name: own, part: validation}
  - {name: elsewhere, data: ../other, tta: flip}
  - {name: fixed, data: ../other, split: ../other.json, fold: 2, threshold: 0.4, sets: [busi]}
"""
    plan = plan_of(tmp_path / "sub", text)
    own, elsewhere, fixed = plan.evaluate
    assert (own.split, own.part) == (tmp_path / "sub" / "split.json", "validation")
    assert elsewhere.data == tmp_path / "sub" / ".." / "other"
    assert (elsewhere.split, elsewhere.part) == (None, "all")  # no split: a set of its own, as a whole
    assert (fixed.fold, fixed.part) == (2, "test")
    assert plan.reference == "a"
    copy = tmp_path / "copy.yaml"
    copy.write_text(plan.yaml())
    assert load_plan(copy) == plan
    mine = tmp_path / "sub" / "mine.yaml"
    mine.write_text(load_recipe("quick").yaml())
    path = tmp_path / "sub" / "plan.yaml"
    path.write_text(path.read_text().replace("recipe: quick", "recipe: mine.yaml"))
    assert load_plan(path).recipes(path)["a"] == load_recipe("quick")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: [0]", "unknown key 'seed'. Did you mean 'seeds'."),
        ("folds: []", "'folds': list should have at least 1 item"),
        ("seeds: [1, 1]", "'seeds': 1 is given twice"),
        ("seeds: [-1]", "'seeds.0': input should be greater than or equal to 0, got -1"),
        ("evaluate: [{name: a, parts: test}]", "unknown key 'evaluate.0.parts'. Did you mean 'part'."),
        ("evaluate: [{name: a, part: train}]", "'evaluate.0.part': input should be 'test', 'validation' or"),
        ("evaluate: [{name: a}, {name: A}]", "'evaluate': a is given twice"),
        ("mean: [test, other]", "'mean' names 'other', which 'evaluate' does not: test"),
        ("mean: [test]", "'mean' names one evaluation: name two or more"),
        ("evaluate: [{name: ../a}]", "'evaluate.0.name': a name consists of letters"),
        ("evaluate: [{data: x}]", "'evaluate.0.name': field required"),
        ("evaluate: [{name: a, threshold: 1.5}]", "'evaluate.0.threshold': input should be less than"),
        ("variants: {a b: {}}", "a name consists of letters"),
        ("variants: {a: 3}", "'variants.a': input should be a valid dictionary, got 3"),
        ("split: [", "the plan cannot be read (not readable as YAML"),
    ],
)
def test_a_wrong_key_is_named_with_the_nearest_right_one(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PlanError) as error:
        plan_of(tmp_path, text)
    assert said in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "plan.yaml"))
    assert error.value.exit_code == 2


def test_what_is_no_plan_is_said(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"cannot be read \(No such file"):
        load_plan(tmp_path / "nowhere.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(PlanError, match="a plan is a mapping"):
        load_plan(tmp_path / "list.yaml")


def test_a_variant_stands_above_set_and_a_preset_comes_first(tmp_path: Path) -> None:
    text = """
set: {epochs: 3, optimiser.rate: 1.0e-05, network.presence: true, augmentation: {flip: 0.25}}
variants:
  a:
  b: {epochs: 5, network.preset: unet, network.gate: same-scale}
"""
    found = plan_of(tmp_path, text).recipes("plan")
    assert (found["a"].epochs, found["b"].epochs) == (3, 5)
    assert (found["a"].optimiser.rate, found["a"].augmentation.flip) == (1e-5, 0.25)
    assert found["a"].augmentation.rotate == load_recipe("quick").augmentation.rotate  # the rest stays
    assert found["b"].network.widths == (32, 64, 128, 256, 512)
    assert (found["b"].network.gate, found["b"].network.presence) == ("same-scale", True)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (
            "variants: {a: , b: {network.gates: none}}",
            PlanError,
            "variant 'b': unknown key 'network.gates'. Did you mean 'gate'.",
        ),
        (
            "variants: {a: {epochs: many}}",
            PlanError,
            "variant 'a': 'epochs': input should be a valid integer",
        ),
        ("set: {seed: 3}", PlanError, "'set' changes the seed. Name the seeds under 'seeds'."),
        ("variants: {a: {seed: 3}}", PlanError, "'variants.a' changes the seed"),
        ("recipe: quik", RecipeError, "unknown recipe 'quik'. Did you mean 'quick'."),
    ],
)
def test_a_wrong_change_names_its_variant(tmp_path: Path, text: str, kind: Any, said: str) -> None:
    path = tmp_path / "plan.yaml"
    lines = [line for line in LEAST.splitlines() if not text.startswith(line.split(":")[0] + ":")]
    path.write_text("\n".join([*lines, text]))
    with pytest.raises(kind) as error:
        load_plan(path).recipes(path)
    assert said in str(error.value)


def test_adding_is_no_change(tmp_path: Path) -> None:
    old = plan_of(tmp_path, "variants: {a: {}}\nseeds: [0, 1]\n")
    more = "variants: {a: {}, b: {epochs: 2}}\nseeds: [2, 1, 0]\nfolds: [0, 1]\n"
    more += "evaluate: [{name: test}, {name: v}]"
    assert what_changed(old, plan_of(tmp_path, more)) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("variants: {a: {epochs: 2}, b: {}}", "'variants.a' was {} and is {'epochs': 2}"),
        ("variants: {b: {}, a: {}}", "the first variant was 'a' and is 'b'"),
        ("variants: {a: {}}", "'variants.b' was removed"),
        ("variants: {a: {}, b: {}}\nseeds: [1]", "'seeds' no longer contains 0"),
        ("variants: {a: {}, b: {}}\nset: {epochs: 1}", "'set' was {} and is {'epochs': 1}"),
        ("variants: {a: {}, b: {}}\nevaluate: [{name: x}]", "'evaluate.test' was removed"),
        ("variants: {a: {}, b: {}}\nevaluate: [{name: test, tta: flip}]", "'tta': 'flip'"),
    ],
)
def test_what_changed_is_said(tmp_path: Path, text: str, said: str) -> None:
    old = plan_of(tmp_path, "variants: {a: {}, b: {}}")
    changed = what_changed(old, plan_of(tmp_path, text))
    assert changed is not None
    assert said in changed


PLANS = [path for path in (PLANS_FOLDER).glob("*.yaml") if "\nvariants:" in path.read_text("utf-8")]


@pytest.mark.parametrize("path", sorted(PLANS), ids=lambda path: path.stem)
def test_every_plan_of_the_documents_makes_recipes_and_keeps_the_data(path: Path) -> None:
    plan = load_plan(path)
    recipes = plan.recipes(path)
    first, *others = recipes.values()
    for other in others:
        assert other != first
        assert (other.epochs, other.batch) == (first.epochs, first.batch)
        assert other.data.size == first.data.size or path.stem == "size"
        if path.stem == "parts":  # asks what one part is worth, the loss and the average too
            assert (other.data, other.augmentation) == (first.data, first.augmentation)
            parts = [(one.network, one.loss, one.optimiser) for one in (other, first)]
            assert sum(mine != its for mine, its in zip(*parts, strict=True)) == 1
            continue
        assert other.optimiser == first.optimiser or "imagenet" in (first.start, other.start)
        # These ask what is made of the images; all others change the network or its start alone.
        if not path.stem.startswith(("normals-", "grafts", "implants", "levers", "size")):
            # A network without a presence head learns of empty images by its mask, or not at all.
            assert other.network.presence or other.loss.normals > 0 or path.stem != "peers"
            loss = other.loss.model_copy(update={"normals": first.loss.normals})
            same = other.network.presence == first.network.presence
            assert (other.data, other.loss if same else loss, other.augmentation) == (
                first.data,
                first.loss,
                first.augmentation,
            )


def test_the_plan_that_the_documents_show_is_one() -> None:
    path = PLANS_FOLDER / "gates.yaml"
    plan = load_plan(path)
    recipes = plan.recipes(path)
    assert (plan.seeds, list(plan.variants)) == ([0, 1, 2], ["gates", "none"])
    assert recipes["gates"] == load_recipe(PLANS_FOLDER / "third.yaml", ["epochs=8", "data.size=192"])
    differing = {
        key for key, value in recipes["gates"].network if value != getattr(recipes["none"].network, key)
    }
    assert differing == {"gate"}


def test_a_search_reads_back_equal_and_gives_recipes(write_search: WritePlan, tmp_path: Path) -> None:
    plan = load_plan(write_search(seed=3))
    assert isinstance(plan, SearchPlan)
    again = tmp_path / "again.yaml"
    again.write_text(plan.yaml())
    assert load_plan(again) == plan
    recipe = plan.recipe_of({"optimiser.rate": 0.002, "batch": 12, "loss.kind": "bce"})
    assert (recipe.optimiser.rate, recipe.batch, recipe.loss.kind) == (0.002, 12, "bce")
    assert (recipe.seed, recipe.epochs, recipe.data.size) == (3, 3, 64)
    assert (plan.direction, load_plan(write_search(metric="missed")).direction) == ("maximize", "minimize")


def test_choices_may_be_anything_yaml_says(write_search: WritePlan) -> None:
    search = {"network.widths": [[4, 8, 12, 16], [8, 16, 32, 64]], "network.preset": ["quick", "compact"]}
    plan = load_plan(write_search(search={"network.preset": ["quick", "unet"]}))
    assert plan.recipe_of({"network.preset": "unet"}).network.gate == "none"
    plan = load_plan(write_search(search={"network.widths": search["network.widths"]}))
    assert plan.recipe_of({"network.widths": "[4, 8, 12, 16]"}).network.widths == (4, 8, 12, 16)
    # A preset among the choices comes before what is set of the network.
    plan = load_plan(
        write_search(search={"network.preset": ["quick", "unet"]}, set={"network.residual": True})
    )
    assert plan.recipe_of({"network.preset": "unet"}).network.residual


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"search": {"optimiser.rat": {"low": 0.1, "high": 1}}}, "search.optimiser.rat with 0.1:"),
        ({"search": {"optimiser.rate": {"low": 0.0, "high": 1.0}}}, "search.optimiser.rate with 0.0:"),
        ({"search": {"loss.kind": ["bce", "dice"]}}, "search.loss.kind with dice:"),
        ({"search": {"loss.kind": ["bce"]}}, "'loss.kind' must be a range, as {low: 1, high: 8}, or a list"),
        ({"search": {"loss.kind": ["bce", "bce"]}}, "a choice of 'loss.kind' is given twice"),
        ({"search": {"batch": {"low": 8, "high": 4}}}, "low must be the smaller"),
        ({"search": {"batch": {"low": 4, "high": 8, "step": 0.5}}}, "integers with a step of 0.5"),
        ({"search": {"optimiser.rate": {"low": 0, "high": 1, "log": True}}}, "a log range starts above 0"),
        (
            {"search": {"batch": {"low": 1, "high": 8, "log": True, "step": 2}}},
            "a log range has no step",
        ),
        ({"search": {"batch": {"low": 4, "high": 8, "lg": True}}}, "unknown key 'search.batch"),
        ({"search": {}}, "at least 1 item"),
        ({"search": {"seed": [0, 1]}}, "'search' changes the seed"),
        ({"set": {"batch": 4}}, "'batch' is both in 'set' and in 'search'"),
        ({"metric": "auc"}, "'metric'"),
        ({"trails": 5}, "Did you mean 'trials'"),
        ({"prune": {"kind": "median", "startup": -1}}, "'prune.startup'"),
    ],
)
def test_a_mistake_in_a_search_is_named(write_search: WritePlan, changes: dict[str, Any], found: str) -> None:
    path = write_search(**changes)
    with pytest.raises(PlanError) as caught:
        load_plan(path).recipes(path)
    assert found in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_search_of_an_unknown_recipe(write_search: WritePlan) -> None:
    with pytest.raises(RecipeError, match="quik"):
        load_plan(write_search(recipe="quik")).recipes("plan")


def test_only_the_trials_may_grow(write_search: WritePlan) -> None:
    plan = load_plan(write_search())
    assert what_changed(plan, load_plan(write_search(trials=9))) is None
    assert what_changed(plan, load_plan(write_search(trials=5))) == "'trials' was 6 and is 5"
    assert "'seed' was 0 and is 1" in str(what_changed(plan, load_plan(write_search(seed=1))))


def test_a_search_does_not_continue_a_plan_of_variants(tmp_path: Path, write_search: WritePlan) -> None:
    changed = what_changed(plan_of(tmp_path), load_plan(write_search()))
    assert changed == "it was a plan of variants and is a search"
