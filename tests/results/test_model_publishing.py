"""A published model: the figures of its evaluations on the card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sonoseg.errors import ModelError, OutputError
from sonoseg.evaluation.evaluation import Evaluation
from sonoseg.model.model import Model
from sonoseg.results.model_publishing import HEADLINES, headline_results, publish

VALIDATION = {"measure": "Dice", "value": 0.5, "n": 1, "on": "validation"}
TEST = {"measure": "Dice", "value": 0.4, "n": 1, "on": "an older evaluation"}
PRECISION = {"runtime": "onnx", "precision": "int8", "loss": 0.001, "n": 3, "on": "validation"}


@pytest.fixture
def model(make_dark_model: Callable[..., Path]) -> Model:
    return Model.load(make_dark_model(card={"results": [VALIDATION, TEST]}))


def evaluation(model: Model, sha256: str | None = None) -> Evaluation:
    summary = {
        "model": {"sha256": sha256 or model.file_sha256("model.onnx")},
        "command": "sonoseg evaluate x",
        "per_image": {"dice": {"mean": 0.75, "low": 0.7, "high": 0.8, "n": 9}, "missed": {"mean": None}},
    }
    return Evaluation(pd.DataFrame(), summary, pd.DataFrame(), pd.DataFrame())


def test_the_card_states_validation_and_the_evaluations_given(model: Model, tmp_path: Path) -> None:
    published = publish(model, [("one", evaluation(model))], tmp_path / "new")
    results = Model.load(tmp_path / "new").card.results
    assert results == published.card.results
    assert [(one.on, one.value) for one in results] == [("validation", 0.5), ("one", 0.75)]
    assert (results[1].low, results[1].high, results[1].n) == (0.7, 0.8, 9)
    assert results[1].command == "sonoseg evaluate x"
    assert published.hash == model.hash


def test_an_evaluation_of_another_model_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as refused:
        publish(model, [("one", evaluation(model, "0" * 64))], tmp_path / "new")
    assert refused.value.where == "one"
    assert not (tmp_path / "new").exists()


def test_precisions_stay_with_the_same_network_and_temperature(model: Model, tmp_path: Path) -> None:
    measured = model.card.model_validate({**model.card.model_dump(), "precisions": [PRECISION]})
    model.copy(tmp_path / "out", measured)
    with pytest.raises(OutputError):
        publish(model, [], tmp_path / "out")
    assert publish(model, [], tmp_path / "out", overwrite=True).card.precisions == measured.precisions
    warmer = model.copy(tmp_path / "warmer", model.card.model_copy(update={"temperature": 2.5}))
    assert publish(warmer, [], tmp_path / "out", overwrite=True).card.precisions == []


def test_titles_are_unique_and_an_absent_figure_is_left_out(model: Model) -> None:
    titles = [one.title for one in HEADLINES]
    assert len(set(titles)) == len(titles)
    assert [one.measure for one in headline_results(evaluation(model).summary, "one")] == [titles[0]]
