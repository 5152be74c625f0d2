"""The presence head decides at a level: chosen by lesion images, and nothing but its last layer changes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import ModelError, OutputError, UsageError
from sonoseg.image.frame import Frame
from sonoseg.inference.predictor import Predictor
from sonoseg.model.model import ONNX, WEIGHTS, Model
from sonoseg.networks import PRESETS, AttentionUNet
from sonoseg.training.presence_threshold import (
    STEEPNESS,
    PresenceThreshold,
    apply_presence_threshold,
    choose_presence_threshold,
    presence_logits,
)
from sonoseg.training.recipe import load_recipe

pytestmark = pytest.mark.slow

logits = st.lists(st.integers(-40, 40).map(lambda n: n / 8), min_size=1, max_size=60)


@given(logits, logits, st.floats(0.5, 1.0))
def test_enough_reach_the_level_and_no_more_than_need_be(
    lesion: list[float], normal: list[float], keep: float
) -> None:
    heard = np.array([*lesion, *normal], dtype=np.float32)
    there = np.array([True] * len(lesion) + [False] * len(normal))
    found = choose_presence_threshold(heard, there, keep)
    level = np.log(found.threshold / (1 - found.threshold))
    assert np.mean(np.array(lesion) >= level - 1e-4) >= keep - 1e-9
    # None more than need be, but those as sure as the last that has to.
    last = sorted(lesion, reverse=True)[max(1, int(np.ceil(keep * len(lesion) - 1e-9))) - 1]
    assert all(one >= last for one in lesion if one > level + 1e-4)
    assert found.normals_above == pytest.approx(np.mean(np.array(normal) >= level - 1e-4))
    assert (found.lesions, found.normals) == (len(lesion), len(normal))


def test_no_image_stands_at_the_border() -> None:
    heard = np.array([-2.0, 1.0, 4.0, 5.0], dtype=np.float32)
    found = choose_presence_threshold(heard, np.ones(4, dtype=bool), 0.75)
    assert np.log(found.threshold / (1 - found.threshold)) == pytest.approx(-0.5)


def test_without_normals_nothing_is_said_of_them_and_without_lesions_nothing_is_chosen() -> None:
    heard = np.array([0.5, 2.0], dtype=np.float32)
    assert choose_presence_threshold(heard, np.array([True, True]), 0.9).normals_above is None
    with pytest.raises(UsageError, match="no image has a lesion"):
        choose_presence_threshold(heard, np.array([False, False]), 0.9)


@pytest.fixture(scope="module")
def mild(phantom_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A small network that draws on every image, with a head whose logits are -2 to 2 on the phantoms.

    The card is that of the weights in the package; writing their network as ONNX takes half a minute.
    """
    torch.manual_seed(0)
    small = {"widths": (8, 16), "dropout": (0.0, 0.1)}  # writing ONNX takes seconds a level
    options = PRESETS["quick"].model_copy(update={"presence": True, **small})
    network = AttentionUNet(options)
    assert network.presence is not None
    judge = network.presence.judge
    with torch.no_grad():
        for _ in range(20):  # running means as training leaves them
            network.train()(torch.rand(4, 1, 64, 64))
        torch.nn.init.normal_(judge.weight)
    shipped = Model.load().card
    recipe = load_recipe("sonoseg", ["data.size=64", "store=float32"]).model_dump(mode="json")
    recipe["network"] = options.model_dump(mode="json")
    changes = {
        "network": options.model_dump(mode="json"),
        "preprocessing": shipped.preprocessing.model_copy(update={"size": 64}),
        "training": {**shipped.training, "recipe": recipe},
        "temperature": 1.0,
        "training_range": None,
        "sha256": {ONNX: shipped.sha256[ONNX]},
    }
    made = Model(tmp_path_factory.mktemp("mild"), shipped.model_copy(update=changes))
    save_file(network.state_dict(), made.folder / WEIGHTS)
    prepared = PreparedSet.open(phantom_set)
    heard, _ = presence_logits(made, prepared, prepared.ids)
    scale = 4 / float(np.ptp(heard))
    with torch.no_grad():
        judge.bias.sub_(float(heard.max() + heard.min()) / 2).mul_(scale)
        judge.weight.mul_(scale)
    save_file(network.state_dict(), made.folder / WEIGHTS)
    return made


@pytest.fixture(scope="module")
def extremes(mild: Model, phantom_set: Path) -> tuple[list[Frame], float]:
    """The phantoms of which the head is least and most sure, and the level midway between them."""
    prepared = PreparedSet.open(phantom_set)
    heard, _ = presence_logits(mild, prepared, prepared.ids)
    images = [prepared.frame(prepared.ids[int(place)]) for place in (heard.argmin(), heard.argmax())]
    return images, float(1 / (1 + np.exp(-(heard.min() + heard.max()) / 2)))


@pytest.fixture(scope="module")
def decided(
    mild: Model, extremes: tuple[list[Frame], float], tmp_path_factory: pytest.TempPathFactory
) -> Model:
    """Decided once, as every export takes some seconds."""
    return apply_presence_threshold(
        mild, PresenceThreshold(extremes[1], 1.0, 1, 0, None), tmp_path_factory.mktemp("decided") / "model"
    )


def test_only_the_heads_last_layer_changes(
    mild: Model, decided: Model, extremes: tuple[list[Frame], float]
) -> None:
    before, after = load_file(mild.weights_path), load_file(decided.weights_path)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"presence.judge.weight", "presence.judge.bias"}
    weight = before["presence.judge.weight"].float() * STEEPNESS
    np.testing.assert_allclose(after["presence.judge.weight"].float(), weight, rtol=1e-3)
    level = np.log(extremes[1] / (1 - extremes[1]))
    bias = (float(before["presence.judge.bias"]) - level) * STEEPNESS
    assert float(after["presence.judge.bias"]) == pytest.approx(bias, rel=1e-3)


def test_the_card_says_so_and_figures_of_before_are_gone(mild: Model, decided: Model) -> None:
    old, new = mild.card, decided.card
    assert old.results
    assert new.training["presence"]["steepness"] == STEEPNESS
    assert (new.results, new.temperature) == ([], 1.0)
    assert (new.name, new.data, new.postprocessing) == (old.name, old.data, old.postprocessing)


def test_below_the_level_nothing_is_drawn_above_it_nothing_is_held_back(
    mild: Model, decided: Model, extremes: tuple[list[Frame], float]
) -> None:
    after = Predictor(decided, runtime="onnx", precision="fp32")
    before = Predictor(mild, runtime="torch", precision="fp32")
    below, above = (after.predict(frame).probability for frame in extremes[0])
    assert below.max() < 1e-3
    assert before.predict(extremes[0][0]).probability.max() > 1e-3
    assert (above >= before.predict(extremes[0][1]).probability - 1e-3).all()
    assert above.max() > 0.5


def test_a_network_without_the_head_is_refused(tmp_path: Path) -> None:
    card = Model.load().card
    headless = Model(tmp_path, card.model_copy(update={"network": {**card.network, "presence": False}}))
    stored = load_file(Model.load().weights_path)
    save_file({name: one for name, one in stored.items() if "presence" not in name}, tmp_path / WEIGHTS)
    with pytest.raises(ModelError, match="has no presence head"):
        apply_presence_threshold(headless, PresenceThreshold(0.5, 0.98, 1, 0, None), tmp_path / "no")
    save_file(dict(list(stored.items())[:9]), tmp_path / WEIGHTS)
    with pytest.raises(ModelError, match="weights do not fit"):
        apply_presence_threshold(headless, PresenceThreshold(0.5, 0.98, 1, 0, None), tmp_path / "no")


def test_what_is_there_is_not_replaced(decided: Model) -> None:
    with pytest.raises(OutputError, match="the folder holds a model"):
        apply_presence_threshold(Model.load(), PresenceThreshold(0.5, 0.98, 1, 0, None), decided.folder)


def test_the_command_looks_at_the_folder_first(
    phantom_set: Path, phantom_split: Path, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from sonoseg.cli.main import app

    words = ["model", "presence", "--data", str(phantom_set), "--split", str(phantom_split)]
    plain = tmp_path / "plain"
    plain.write_text("mine")
    for to, said in ((plain, "not a folder but a file"), (Model.load().folder, "the folder holds a model")):
        # A model that is not there would be met next.
        done = CliRunner().invoke(app, [*words, "--out", str(to), str(tmp_path / "no-model")])
        assert isinstance(done.exception, OutputError), done.output
        assert said in str(done.exception)
    assert plain.read_text() == "mine"


def test_the_command(
    decided: Model, phantom_set: Path, phantom_split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from sonoseg.cli.main import app

    words = ["model", "presence", "--data", phantom_set, "--split", phantom_split, "--out", tmp_path / "m"]
    words.append(decided.folder)
    done = CliRunner().invoke(app, [*map(str, words), "--keep", "0.9", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["keep"] == 0.9
    prepared, split = PreparedSet.open(phantom_set), Split.load(phantom_split)
    heard, lesion = presence_logits(decided, prepared, split.part().validation)
    assert said["lesions"] == lesion.sum()
    above = 1 / (1 + np.exp(-heard[lesion].astype(np.float64))) >= said["threshold"] - 1e-6
    assert above.mean() >= 0.9
    # What it says to people; the network need not be written a second time for it.
    monkeypatch.setattr(
        "sonoseg.training.presence_threshold.apply_presence_threshold", lambda *_, **__: decided
    )
    again = CliRunner().invoke(app, [*map(str, words), "--overwrite"])
    assert again.exit_code == 0, again.output
    assert "validation images with a lesion" in again.output
    assert "caution" not in again.output
    without = PresenceThreshold(0.9, 0.98, 4, 0, None)
    monkeypatch.setattr("sonoseg.training.presence_threshold.choose_presence_threshold", lambda *_: without)
    again = CliRunner().invoke(app, [*map(str, words), "--overwrite"])
    assert "caution" in again.output
