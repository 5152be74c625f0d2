"""`sonoseg model calibrate`: fitted on validation, written beside, never in place unasked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sonoseg.cli.main import app
from sonoseg.data.prepared_set import PreparedSet
from sonoseg.data.splits import Split
from sonoseg.errors import DatasetError, OutputError
from sonoseg.evaluation.temperature_scaling import REGIONS, calibrate
from sonoseg.inference.predictor import Predictor
from sonoseg.model.model import Model


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "NO_COLOR": "1"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def sure_model(make_dark_model: Callable[..., Path]) -> Path:
    """Far too sure of itself."""
    result = {"measure": "Dice, mean over lesion images", "value": 0.5, "n": 1, "on": "somewhere"}
    ece = {"measure": "ECE, foreground", "value": 0.5, "n": 1, "on": "somewhere"}
    return make_dark_model(steepness=200.0, card={"threshold": 0.3, "results": [result, ece]})


@pytest.fixture(scope="module")
def given(sure_model: Path, phantom_set: Path, phantom_split: Path) -> tuple[object, ...]:
    return ("model", "calibrate", sure_model, "--data", phantom_set, "--split", phantom_split)


def test_a_model_too_sure_is_made_honest(given: tuple[object, ...], sure_model: Path, tmp_path: Path) -> None:
    said = run(*given, "--out", tmp_path / "new")
    new, old = Model.load(tmp_path / "new"), Model.load(sure_model)
    assert new.card.temperature > 2
    assert f"temperature {new.card.temperature:g} (was 1)" in said
    assert "not a medical device" in said
    assert new.file_sha256("model.onnx") == old.file_sha256("model.onnx")
    kept = new.card.training["calibration"]
    assert kept["nll"][1] < kept["nll"][0]
    assert kept["ece"]["foreground"][1] < kept["ece"]["foreground"][0]
    assert (kept["region"], kept["fold"]) == ("foreground", 0)
    # The masks may change with the threshold, so what was measured on the old ones is gone.
    assert [one.on for one in new.card.results] == ["validation"] * 3
    # On a grid of 64 pixels the band, of 1 % of the diagonal, holds none: no figure is made of it.
    assert set(kept["ece"]) == set(REGIONS) - {"band"}
    assert old.card.temperature == 1


def test_only_validation_images_are_looked_at(
    sure_model: Path, phantom_set: Path, phantom_split: Path
) -> None:
    prepared, part = PreparedSet.open(phantom_set), Split.load(phantom_split).part(0)
    seen: list[str] = []

    def track(ids, description, total):  # type: ignore[no-untyped-def]
        for name in ids:
            seen.append(name)
            yield name

    calibrate(Predictor(sure_model), prepared, part.validation, track=track)
    lesions = [name for name in part.validation if prepared.mask(name).any()]
    assert seen == lesions * 2


@pytest.mark.process
def test_the_masks_can_be_kept(
    given: tuple[object, ...], sure_model: Path, phantom_set: Path, tmp_path: Path
) -> None:
    found = json.loads(run(*given, "--out", tmp_path / "new", "--keep-masks", "--json"))
    assert found["threshold"] > 0.3  # nearer to one half, as the probabilities are
    assert found["threshold_chosen"] == "the same masks"
    pixels = np.array(PreparedSet.open(phantom_set).arrays(64, "stretch")[0])
    old, new = Predictor(sure_model), Predictor(tmp_path / "new")
    masks = [one.predict_grid(pixels) >= one.threshold for one in (old, new)]
    assert (masks[0] != masks[1]).mean() < 1e-4
    assert masks[0].any()
    results = new.model.card.results
    assert results[0].measure == "Dice, mean over lesion images"  # it still holds
    assert not any(one.measure == "ECE, foreground" for one in results)  # it does not


@pytest.mark.process
def test_calibrating_twice_changes_nothing_more(
    given: tuple[object, ...], phantom_set: Path, phantom_split: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    run(*given, "--out", folder, "--keep-masks")
    first = Model.load(folder).card
    with pytest.raises(OutputError, match="the folder holds a model"):
        run("model", "calibrate", folder, "--data", phantom_set, "--split", phantom_split, "--out", folder)
    again = ("--data", phantom_set, "--split", phantom_split, "--out", folder, "--keep-masks", "--overwrite")
    run("model", "calibrate", folder, *again)  # in place, since that was asked for
    second = Model.load(folder).card
    assert second.temperature == first.temperature
    assert second.threshold == pytest.approx(first.threshold)


def test_without_lesions_there_is_nothing_to_fit(sure_model: Path, phantom_set: Path, tmp_path: Path) -> None:
    prepared = PreparedSet.open(phantom_set)
    normals = [name for name in prepared.ids if not prepared.mask(name).any()]
    with pytest.raises(DatasetError, match="no validation image has a lesion"):
        calibrate(Predictor(sure_model), prepared, normals)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a folder but a file"):
        run("model", "calibrate", "--data", "x", "--split", "y", "--out", tmp_path / "file")
