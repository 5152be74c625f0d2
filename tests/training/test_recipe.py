"""Recipes: read, changed, and refused with the path of the wrong key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonoseg.errors import RecipeError
from sonoseg.networks.presets import PRESETS
from sonoseg.training.recipe import Recipe, load_recipe, recipe_names


def test_the_seed_is_as_the_design_states() -> None:
    seed = load_recipe("seed")
    assert seed.network == PRESETS["seed"]
    assert (seed.data.size, seed.epochs, seed.loss.kind, seed.optimiser.kind) == (256, 20, "bce", "adam")
    assert not seed.augmentation.active
    assert seed.data.normals == 1


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_survives_its_own_yaml(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    (tmp_path / "copy.yaml").write_text(recipe.yaml())
    assert load_recipe(tmp_path / "copy.yaml") == recipe
    assert recipe.name == name


def test_set_changes_one_value() -> None:
    recipe = load_recipe(
        "seed", ["optimiser.rate=5e-4", "network.gate=grid", "epochs=3", "loss={kind: dice-bce}"]
    )
    assert recipe.optimiser.rate == 5e-4
    assert recipe.optimiser.kind == "adam"
    assert recipe.network.gate == "grid"
    assert recipe.network.widths == PRESETS["seed"].widths
    assert recipe.loss.kind == "dice-bce"


def test_a_preset_by_set_replaces_the_network() -> None:
    assert load_recipe("seed", ["network.preset=unet"]).network == PRESETS["unet"]
    assert load_recipe("seed", ["network.preset=compact", "network.channels=3"]).network.channels == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["optimiser.rte=1"], "unknown key 'optimiser.rte'. Did you mean 'rate'"),
        (["optimizer.rate=1"], "unknown key 'optimizer'. Did you mean 'optimiser'"),
        (["network.gat=seed"], "unknown key 'network.gat'. Did you mean 'gate'"),
        (["network.preset=sed"], "unknown preset 'sed'. Did you mean 'seed'"),
        (["epochs=many"], "'epochs': input should be a valid integer"),
        (["epochs=0"], "got 0"),
        (["loss.kind=mse"], "'loss.kind'"),
        (["threshold=2"], "'threshold'"),
        (["network.dropout=[0.1]"], "1 dropout rates for 5 widths"),
        (["epochs"], "'epochs' has no '='. Write it as key.key=value"),
        (["epochs.more=1"], "'epochs' has no keys of its own"),
        (["epochs=[1"], "not readable as YAML"),
        (["network=3"], "'network' is not a mapping"),
    ],
)
def test_a_wrong_change_is_explained(changes: list[str], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("seed", changes)
    assert words in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "name: x"])
def test_a_file_that_is_no_recipe(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=r"mine\.yaml"):
        load_recipe(path)


def test_unknown_and_missing_recipes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"unknown recipe 'sead'\. Did you mean 'seed'"):
        load_recipe("sead")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.process
@given(
    rate=st.floats(1e-6, 1, allow_nan=False),
    epochs=st.integers(1, 1000),
    clip=st.floats(0, 10),
    seed=st.integers(0, 2**31),
)
def test_any_values_survive_yaml(rate: float, epochs: int, clip: float, seed: int) -> None:
    recipe = load_recipe(
        "quick", [f"optimiser.rate={rate!r}", f"epochs={epochs}", f"optimiser.clip={clip!r}", f"seed={seed}"]
    )
    import yaml

    assert Recipe.model_validate(yaml.safe_load(recipe.yaml())) == recipe
