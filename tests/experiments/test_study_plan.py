"""Plans: what they mean, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sonoseg.errors import PlanError, RecipeError
from sonoseg.experiments.plan import ExperimentPlan, load_plan, recipes_of, what_changed
from sonoseg.training.recipe import load_recipe

PLANS_FOLDER = Path(__file__).resolve().parents[2] / "research" / "plans"
LEAST = "name: p\nrecipe: quick\ndata: set\nsplit: split.json\n"


def plan_of(folder: Path, text: str = "") -> ExperimentPlan:
    path = folder / "plan.yaml"
    path.write_text(LEAST + text)
    return load_plan(path)


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
    assert recipes_of(load_plan(path), path)["a"] == load_recipe("quick")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: [0]", "unknown key 'seed'. Did you mean 'seeds'."),
        ("folds: []", "'folds': list should have at least 1 item"),
        ("seeds: [1, 1]", "'seeds': 1 is there twice"),
        ("seeds: [-1]", "'seeds.0': input should be greater than or equal to 0, got -1"),
        ("evaluate: [{name: a, parts: test}]", "unknown key 'evaluate.0.parts'. Did you mean 'part'."),
        ("evaluate: [{name: a, part: train}]", "'evaluate.0.part': input should be 'test', 'validation' or"),
        ("evaluate: [{name: a}, {name: A}]", "'evaluate': a is there twice"),
        ("evaluate: [{name: ../a}]", "'evaluate.0.name': a name is made of letters"),
        ("evaluate: [{data: x}]", "'evaluate.0.name': field required"),
        ("evaluate: [{name: a, threshold: 1.5}]", "'evaluate.0.threshold': input should be less than"),
        ("variants: {a b: {}}", "a name is made of letters"),
        ("variants: {a: 3}", "'variants.a': input should be a valid dictionary, got 3"),
        ("split: [", "no readable YAML"),
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
    found = recipes_of(plan_of(tmp_path, text), "plan")
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
        recipes_of(load_plan(path), path)
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
        ("variants: {a: {}}", "'variants.b' is gone"),
        ("variants: {a: {}, b: {}}\nseeds: [1]", "'seeds' no longer holds 0"),
        ("variants: {a: {}, b: {}}\nset: {epochs: 1}", "'set' was {} and is {'epochs': 1}"),
        ("variants: {a: {}, b: {}}\nevaluate: [{name: x}]", "'evaluate.test' is gone"),
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
    recipes = recipes_of(plan, path)
    assert len(recipes) > 1
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
    recipes = recipes_of(plan, path)
    assert (plan.seeds, list(plan.variants)) == ([0, 1, 2], ["gates", "none"])
    assert recipes["gates"] == load_recipe(PLANS_FOLDER / "third.yaml", ["epochs=8", "data.size=192"])
    differing = {
        key for key, value in recipes["gates"].network if value != getattr(recipes["none"].network, key)
    }
    assert differing == {"gate"}
