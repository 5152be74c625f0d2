"""Cards, recipes, plans, splits and prepared sets from strangers: our errors, and no file outside."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import ModelError, SonosegError
from sonoseg.evaluation.evaluation import Evaluation
from sonoseg.experiments.plan import VariantPlan, load_plan
from sonoseg.model.model import Model
from sonoseg.training.recipe import load_recipe
from sonoseg.training.run_folder import Run

DIGITS = "0" * 64
CARD = {
    "format": "sonoseg-model/2",
    "name": "stranger",
    "preprocessing": {"size": 64},
    "threshold": 0.5,
    "network": {"preset": "seed"},
    "attention": ["attention_1"],
    "training": {"recipe": {"epochs": 1}},
    "data": [{"name": "busi"}],
    "sha256": {"model.onnx": DIGITS, "notes.txt": DIGITS},
}
PLAN = {
    "name": "plan",
    "recipe": "quick",
    "data": "set",
    "split": "split.json",
    "set": {"epochs": 1},
    "folds": [0],
    "seeds": [0],
    "variants": {"a": {"learning_rate": 0.1}, "b": {}},
    "evaluate": [{"name": "test"}],
}
SEARCH = {
    **{key: PLAN[key] for key in ("name", "recipe", "data", "split")},
    "search": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch_size": [4, 8]},
    "trials": 2,
}
RECIPE = {"network": {"preset": "quick"}, "epochs": 1}
PREPARED = {"format": "sonoseg-prepared/2", "images": 1, "fingerprint": DIGITS, "sources": [{"name": "x"}]}
SPLIT = {
    "format": "sonoseg-split/1",
    "method": "random",
    "policy": "strict",
    "seed": 0,
    "fingerprint": DIGITS,
    "folds": {"x/1": 0},
    "dropped": {},
}

PATHS = [
    "../escaped",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a/../../b",
    "..\\b",
    "C:\\b",
    "\0",
    "card.json",
    "x" * 300,
]
VALUES = (
    st.sampled_from(PATHS)
    | st.sampled_from([None, True, -1, 0, 2**70, 1e308, float("nan"), float("inf"), "\ud800", "=1", "yes"])
    | st.recursive(st.just("x"), lambda inner: st.lists(inner, min_size=1, max_size=2), max_leaves=3)
    | st.dictionaries(st.sampled_from([*PATHS, "size", "name"]), st.sampled_from([0, "x", None]), max_size=2)
)


@st.composite
def spoiled(draw: st.DrawFn, sound: Any) -> Any:
    """`sound` with one or two of its values replaced, renamed, removed or added."""
    value = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 2))):
        here = value
        while True:
            keys: list[Any] = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(here[key], dict | list) and draw(st.booleans()):
                here = here[key]
                continue
            action = draw(st.sampled_from(["replace", "remove", "add"]))
            if action == "replace":
                here[key] = draw(VALUES)
            elif action == "remove":
                del here[key]
            elif isinstance(here, dict):
                here[draw(st.sampled_from(PATHS))] = draw(VALUES)
            else:
                here.append(draw(VALUES))
            break
    return value


def files_outside(place: Path, *folders: str) -> dict[str, bytes]:
    """Every file around `place` and in it, with its content, except those in these folders of it."""
    left_out = [place / folder for folder in folders]
    return {
        str(path): path.read_bytes()
        for path in place.parent.rglob("*")
        if path.is_file() and not any(path.is_relative_to(folder) for folder in left_out)
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a prepared set and room for documents; around it lies what must not change."""
    around = tmp_path_factory.mktemp("around")
    (around / "escaped").write_text("untouched")
    folder = around / "inside"
    (folder / "model").mkdir(parents=True)
    for name in ("model.onnx", "weights.safetensors", "notes.txt"):
        (folder / "model" / name).write_text(name)
    for part in ("images", "masks"):
        (folder / "set" / part / "x").mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(folder / "set" / part / "x" / "1.png")
    return folder


def attempt(act: Callable[[], object]) -> None:
    """Do it; an error of sonoseg, which a user reads as one line, is as good as success."""
    try:
        act()
    except SonosegError as error:
        str(error).encode("utf-8", "backslashreplace")


fuzzed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@fuzzed
@given(card=spoiled(CARD))
def test_cards(place: Path, card: Any) -> None:
    (place / "model" / "card.json").write_text(json.dumps(card))
    before = files_outside(place, "copy")

    def act() -> None:
        model = Model.load(place / "model", verify=False)
        model.copy(place / "copy", model.card, overwrite=True)

    attempt(act)
    assert files_outside(place, "copy") == before


@fuzzed
@given(recipe=spoiled(RECIPE), dump=st.sampled_from([json.dumps, yaml.safe_dump]))
def test_recipes(place: Path, recipe: Any, dump: Callable[[Any], str]) -> None:
    path = place / "recipe.yaml"
    path.write_bytes(dump(recipe).encode("utf-8", "surrogatepass"))
    attempt(lambda: load_recipe(path).yaml())


@fuzzed
@given(plan=spoiled(PLAN) | spoiled(SEARCH))
def test_plans(place: Path, plan: Any) -> None:
    path = place / "plan.yaml"
    path.write_text(json.dumps(plan))

    def act() -> None:
        found = load_plan(path)
        found.yaml()
        assert found.name not in ("..", ".")
        if isinstance(found, VariantPlan):
            found.recipes(path)
            for cell in found.cells:
                assert ".." not in cell.path
        else:
            found.recipes(path)

    attempt(act)


@fuzzed
@given(
    description=spoiled(PREPARED),
    name=st.sampled_from([*PATHS, "x/1", "=1"]),
    size=st.sampled_from(["", "4"]),
)
def test_prepared_sets(place: Path, description: Any, name: str, size: str) -> None:
    folder = place / "set"
    (folder / "prepared.json").write_text(json.dumps(description))
    (folder / "images.csv").write_text(
        f'id,set,label,spacing_row,spacing_column,width\n"{name}",x,,{size},,4\n'
    )

    def act() -> None:
        prepared = PreparedSet.open(folder)
        for one in prepared.ids:
            prepared.frame(one)
            prepared.mask(one)

    attempt(act)


@fuzzed
@given(split=spoiled(SPLIT))
def test_splits(place: Path, split: Any) -> None:
    path = place / "split.json"
    path.write_text(json.dumps(split))
    attempt(lambda: Split.load(path))


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "card": ("card.json", lambda folder: Model.load(folder)),
    "recipe": ("recipe.yaml", lambda folder: load_recipe(folder / "recipe.yaml")),
    "plan": ("plan.yaml", lambda folder: load_plan(folder / "plan.yaml")),
    "split": ("split.json", lambda folder: Split.load(folder / "split.json")),
    "prepared set": ("prepared.json", PreparedSet.open),
    "evaluation": ("summary.json", Evaluation.load),
    "run": ("run.json", lambda folder: Run(folder).given()),
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "[]", "3", "null", '"x"', "\ufeff{"])
def test_documents_that_are_none(tmp_path: Path, kind: str, text: str) -> None:
    name, read = READERS[kind]
    (tmp_path / name).write_text(text)
    (tmp_path / "images.csv").write_text("id\n")
    with pytest.raises(SonosegError, match=r".+"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "sub/file", ".bashrc", "a\\b", "..", ""])
def test_a_card_names_plain_files_only(place: Path, name: str) -> None:
    (place / "model" / "card.json").write_text(json.dumps(CARD | {"sha256": {name: DIGITS}}))
    with pytest.raises(ModelError, match=r"card is invalid: 'sha256"):
        Model.load(place / "model", verify=False)


@pytest.mark.parametrize("gate", ["../../escaped", "attention_0", "attention_1/../x", "gate"])
def test_a_card_names_gates_by_number(place: Path, gate: str) -> None:
    """The names become parts of file names."""
    (place / "model" / "card.json").write_text(json.dumps(CARD | {"attention": [gate]}))
    with pytest.raises(ModelError, match=r"'attention"):
        Model.load(place / "model", verify=False)


@pytest.mark.parametrize("name", ["card.json", "model.onnx", "model.int8.onnx", "notes.txt"])
def test_links_out_of_a_model_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "outside").write_text(json.dumps(CARD))
    for file in ("model.onnx", "notes.txt"):
        (folder / file).write_text("")
    (folder / "card.json").write_text(json.dumps(CARD))
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(ModelError, match=rf"{name}: the file is a link out of the model folder"):
        Model.load(folder, verify=False)


def test_links_within_a_model_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "blobs").mkdir(parents=True)
    (folder / "blobs" / "1").write_text("")
    (folder / "model.onnx").symlink_to("blobs/1")
    (folder / "card.json").write_text(json.dumps(CARD | {"sha256": {}}))
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert Model.load(link, verify=False).onnx_path.is_file()
