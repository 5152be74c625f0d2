"""Group bootstrap: what it resamples, what it returns, and that its intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest

from sonoseg.errors import ShapeError
from sonoseg.evaluation import bootstrap as room
from sonoseg.evaluation.bootstrap import Interval, at_the_ends, bootstrap, bootstrap_means, bootstrap_ratio

VALUES = arrays(np.float64, st.integers(2, 20), elements=st.floats(0, 1, width=32))


@settings(max_examples=30)
@given(VALUES, st.integers(0, 5))
def test_the_interval_lies_within_the_data(values: np.ndarray, seed: int) -> None:
    (one,) = bootstrap_means(values[:, None], np.arange(values.size), resamples=200, seed=seed)
    assert one.mean == pytest.approx(values.mean())
    assert values.min() - 1e-9 <= one.low <= one.high <= values.max() + 1e-9
    assert one.n == one.groups == values.size


def test_it_is_what_a_loop_over_groups_gives() -> None:
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 7, 40)
    values = rng.random(40)
    (one,) = bootstrap_means(values[:, None], groups, resamples=4000)
    means = []
    for _ in range(4000):
        drawn = rng.choice(np.unique(groups), 7)
        means.append(np.concatenate([values[groups == g] for g in drawn]).mean())
    assert one.low == pytest.approx(np.quantile(means, 0.025), abs=0.01)
    assert one.high == pytest.approx(np.quantile(means, 0.975), abs=0.01)


def test_copies_of_an_image_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).random(30)
    (alone,) = bootstrap_means(values[:, None], np.arange(30))
    (copied,) = bootstrap_means(np.repeat(values, 10)[:, None], np.repeat(np.arange(30), 10))
    (fooled,) = bootstrap_means(np.repeat(values, 10)[:, None], np.arange(300))
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low)
    assert fooled.high - fooled.low < 0.5 * (alone.high - alone.low)
    assert (copied.n, copied.groups) == (300, 30)


def test_ninety_five_percent_intervals_cover_about_that_often() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        of_group = rng.normal(0.7, 0.1, 40)
        values = np.repeat(of_group, 3) + rng.normal(0, 0.05, 120)
        (one,) = bootstrap_means(values[:, None], np.repeat(np.arange(40), 3), resamples=400)
        covered += one.low <= 0.7 <= one.high
    assert 0.88 <= covered / 200 <= 0.99


def test_nan_leaves_an_image_out_of_that_column_alone() -> None:
    values = np.array([[0.2, np.nan], [0.4, 1.0], [0.6, 3.0], [0.8, np.nan]])
    first, second = bootstrap_means(values, ["a", "a", "b", "c"])
    assert (first.mean, first.n, first.groups) == (pytest.approx(0.5), 4, 3)
    assert (second.mean, second.n, second.groups) == (pytest.approx(2.0), 2, 2)
    assert 1.0 <= second.low <= second.high <= 3.0


def test_nothing_to_average() -> None:
    (one,) = bootstrap_means(np.full((3, 1), np.nan), ["a", "b", "c"])
    assert one.n == 0
    assert math.isnan(one.mean)
    assert math.isnan(one.low)
    assert one.as_dict() == {"mean": None, "low": None, "high": None, "n": 0, "groups": 0}


def test_one_group_has_no_interval() -> None:
    (one,) = bootstrap_means(np.array([[0.2], [0.6]]), ["a", "a"])
    assert one.mean == pytest.approx(0.4)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert one.as_dict()["low"] is None


def test_a_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    one = bootstrap_ratio(np.array([1, 90]), np.array([10, 100]), ["a", "b"], n=5)
    assert one.mean == pytest.approx(91 / 110)
    assert (one.low, one.high) == (pytest.approx(0.1), pytest.approx(0.9))
    assert one.n == 5


def test_a_ratio_over_nothing_is_no_figure() -> None:
    assert math.isnan(bootstrap_ratio(np.zeros(3), np.zeros(3), ["a", "b", "c"]).mean)


def test_seeded_and_independent_of_how_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((50, 2))
    groups = np.arange(50) // 2
    whole = bootstrap_means(values, groups, resamples=300)
    assert bootstrap_means(values, groups, resamples=300) == whole
    assert bootstrap_means(values, groups, resamples=300, seed=1) != whole
    monkeypatch.setattr(room, "_CHUNK", 60)  # two resamples a chunk
    again = bootstrap_means(values, groups, resamples=300)
    assert [one.low for one in again] == pytest.approx([one.low for one in whole])


def test_any_statistic_of_sums() -> None:
    parts = np.array([[1.0, 2.0], [3.0, 4.0]])
    figures, low, high = bootstrap(parts, [0, 1], lambda sums: sums.max(axis=1, keepdims=True), resamples=100)
    assert figures.tolist() == [6.0]
    assert (low[0], high[0]) == (4.0, 8.0)


def test_shapes_must_fit() -> None:
    with pytest.raises(ShapeError, match="groups"):
        bootstrap_means(np.zeros((3, 1)), ["a", "b"])
    with pytest.raises(ShapeError, match="table"):
        bootstrap_means(np.zeros(3), ["a", "b", "c"])


def test_an_interval_as_json() -> None:
    assert Interval(0.5, 0.4, 0.6, 7, 3).as_dict() == {
        "mean": 0.5,
        "low": 0.4,
        "high": 0.6,
        "n": 7,
        "groups": 3,
    }


def test_a_share_at_its_end_has_the_exact_binomial_interval() -> None:
    none = at_the_ends(Interval(0.0, 0.0, 0.0, 20, 10))
    assert (none.low, none.high) == (0.0, pytest.approx(binomtest(0, 10).proportion_ci().high))
    every = at_the_ends(Interval(1.0, 1.0, 1.0, 20, 10))
    assert (every.low, every.high) == (pytest.approx(binomtest(10, 10).proportion_ci().low), 1.0)
    between = Interval(0.5, 0.4, 0.6, 20, 10)
    assert at_the_ends(between) is between
    alone = Interval(1.0, math.nan, math.nan, 3, 1)
    assert at_the_ends(alone) is alone
