"""research/scripts/ensemble_gain.py: several networks' mean against each of them, of the same images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.inference.predictor import Predictor


@pytest.fixture(scope="module")
def gain(docs_script: Callable[[str], ModuleType]) -> ModuleType:
    return docs_script("ensemble_gain")


def test_one_network_twice_is_that_network(gain: ModuleType, dark_model: Path, phantom_set: Path) -> None:
    told = gain.measured([Predictor(dark_model)] * 2, PreparedSet.open(phantom_set))
    assert told["one"]["Dice"]["n"] > told["one"]["Dice, smallest quarter"]["n"] > 0
    assert 0 < told["one"]["Dice"]["mean"] < 1
    for column in gain.COLUMNS:
        assert told["one"][column] == told["together"][column]
        assert not told["together minus one"][column]["mean"]


def test_alone_is_the_mean_of_those_alone(
    gain: ModuleType, make_dark_model: Callable[..., Path], phantom_set: Path
) -> None:
    models = [Predictor(make_dark_model(level=level)) for level in (0.1, 0.3)]
    prepared = PreparedSet.open(phantom_set)
    told = gain.measured(models, prepared)
    for column in gain.COLUMNS:
        each = [gain.measured([one], prepared)["one"][column]["mean"] for one in models]
        assert column != "Dice" or each[0] != each[1]
        assert told["one"][column]["mean"] == pytest.approx(sum(each) / 2)
        difference = told["together"][column]["mean"] - told["one"][column]["mean"]
        assert told["together minus one"][column]["mean"] == pytest.approx(difference)


def test_the_page_has_the_kept_table(gain: ModuleType) -> None:
    known = json.loads(gain.KEPT.read_text("utf-8"))
    assert known
    assert gain.table(known) in gain.PAGE.read_text("utf-8")
