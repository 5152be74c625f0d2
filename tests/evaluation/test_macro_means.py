"""The unweighted mean of several evaluations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sonoseg.evaluation.bootstrap import bootstrap_means
from sonoseg.evaluation.comparison import paired
from sonoseg.evaluation.macro_means import mean_of_means, paired_mean_of_means


def rows(values: list[float], name: str) -> pd.DataFrame:
    return pd.DataFrame({"dice": values, "group": [f"{name}{n // 2}" for n in range(len(values))]})


def test_each_evaluation_counts_the_same() -> None:
    found = mean_of_means([rows([0.5] * 10, "a"), rows([0.9, np.nan], "b")], "dice")
    assert found["mean"] == pytest.approx(0.7)
    assert (found["n"], found["groups"]) == (11, 6)


def test_without_a_value_in_one_there_is_no_mean() -> None:
    assert mean_of_means([rows([0.5], "a"), rows([np.nan], "b")], "dice")["mean"] is None
    pairs = [(rows([0.5], "a"), rows([np.nan], "a"))] * 2
    assert paired_mean_of_means(pairs, "dice")["p_permutation"] is None


def test_interval_is_that_of_the_halves() -> None:
    """Two independent evaluations of one spread: the mean's interval is narrower by the root of two."""
    random = np.random.default_rng(0)
    one, two = (rows(random.normal(0.7, 0.1, 600).tolist(), name) for name in "ab")
    both = mean_of_means([one, two], "dice")
    single = bootstrap_means(one[["dice"]].to_numpy(), one["group"].to_numpy())[0]
    ratio = (both["high"] - both["low"]) / (single.high - single.low)
    assert ratio == pytest.approx(2**-0.5, rel=0.15)


def test_equal_sizes_give_the_pooled_difference_and_its_p_value() -> None:
    random = np.random.default_rng(1)
    first = [rows(random.uniform(0, 1, 40).tolist(), name) for name in "ab"]
    second = [table.assign(dice=table["dice"] - random.uniform(-0.2, 0.3, 40)) for table in first]
    found = paired_mean_of_means(list(zip(first, second, strict=True)), "dice")
    pooled = paired(pd.concat(first), pd.concat(second), "dice")
    assert found["mean"] == pytest.approx(pooled["difference"]["mean"])
    assert found["p_permutation"] == pytest.approx(pooled["p_permutation"], abs=0.02)
