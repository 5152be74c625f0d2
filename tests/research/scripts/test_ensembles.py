"""The mean of several networks beside each network alone, on the same images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sonoseg.data.prepared_set import PreparedSet
from sonoseg.inference.predictor import Predictor


@pytest.fixture(scope="module")
def gain(research_script: Callable[[str], ModuleType]) -> ModuleType:
    return research_script("ensembles")


def test_one_network_twice_is_that_network(gain: ModuleType, dark_model: Path, phantom_set: Path) -> None:
    figures = gain.measured([Predictor(dark_model)] * 2, PreparedSet.open(phantom_set))
    assert figures["one"]["Dice"]["n"] > figures["one"]["Dice, smallest quarter"]["n"] > 0
    assert 0 < figures["one"]["Dice"]["mean"] < 1
    for column in gain.COLUMNS:
        assert figures["one"][column] == figures["together"][column]
        assert not figures["together minus one"][column]["mean"]


@pytest.mark.process
def test_alone_is_the_mean_of_those_alone(
    gain: ModuleType, make_dark_model: Callable[..., Path], phantom_set: Path
) -> None:
    models = [Predictor(make_dark_model(level=level)) for level in (0.1, 0.3)]
    prepared = PreparedSet.open(phantom_set)
    figures = gain.measured(models, prepared)
    for column in gain.COLUMNS:
        each = [gain.measured([one], prepared)["one"][column]["mean"] for one in models]
        assert column != "Dice" or each[0] != each[1]
        assert figures["one"][column]["mean"] == pytest.approx(sum(each) / 2)
        difference = figures["together"][column]["mean"] - figures["one"][column]["mean"]
        assert figures["together minus one"][column]["mean"] == pytest.approx(difference)
