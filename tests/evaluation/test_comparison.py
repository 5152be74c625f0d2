"""Paired comparison: which images, which sign, which p."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from sonoseg.errors import DatasetError
from sonoseg.evaluation.comparison import compare, paired, permutation_test, wilcoxon_test
from sonoseg.evaluation.evaluation import Evaluation, evaluate
from sonoseg.evaluation.policy import Policy

QUICK = Policy(resamples=200)


@pytest.fixture
def perfect(mixed: Any, scripted: Any) -> Evaluation:
    found = scripted(lambda name: np.where(mixed.mask(name), 0.9, 0.1))
    about = {"model": {"name": "perfect (1)"}, "cautions": ["It knows."]}
    return evaluate(found, mixed, mixed.ids, about=about, policy=QUICK)


@pytest.fixture
def moved(mixed: Any, shifted: Any) -> Evaluation:
    return evaluate(shifted, mixed, mixed.ids[:14], about={"model": {"name": "moved (0)"}}, policy=QUICK)


@pytest.mark.process
def test_first_minus_second_on_the_common_images(perfect: Evaluation, moved: Evaluation) -> None:
    found = compare(perfect, moved, QUICK)
    assert (found["images"], found["only_first"], found["only_second"]) == (14, 2, 0)
    assert (found["first"], found["second"]) == ("perfect (1)", "moved (0)")
    one = found["metrics"]["dice"]
    expected = 1.0 - moved.rows["dice"].dropna().mean()
    assert one["difference"]["mean"] == pytest.approx(expected)
    assert one["difference"]["low"] > 0
    assert one["first"]["mean"] == 1.0
    assert (one["higher"], one["lower"], one["equal"]) == (12, 0, 0)
    assert one["difference"]["n"] == 12
    assert found["metrics"]["false_positive"]["difference"]["n"] == 2
    assert found["metrics"]["false_positive"]["difference"]["mean"] == -0.5
    assert found["metrics"]["hd95_percent_diagonal"]["difference"]["mean"] < 0


@pytest.mark.process
def test_turned_round_it_turns_the_sign(perfect: Evaluation, moved: Evaluation) -> None:
    there, back = compare(perfect, moved, QUICK), compare(moved, perfect, QUICK)
    one, other = there["metrics"]["dice"], back["metrics"]["dice"]
    assert one["difference"]["mean"] == pytest.approx(-other["difference"]["mean"])
    assert one["p_permutation"] == other["p_permutation"]
    assert one["p_wilcoxon"] == pytest.approx(other["p_wilcoxon"])
    assert back["second_cautions"] == ["It knows."]


@pytest.mark.process
def test_another_policy_is_said(perfect: Evaluation, mixed: Any, shifted: Any) -> None:
    strict = evaluate(shifted, mixed, mixed.ids, policy=Policy(resamples=200, missed_dice=0.5))
    assert compare(strict, perfect, QUICK)["second_cautions"] == [
        "It knows.",
        "It was evaluated with another policy: limits and tolerances may differ.",
    ]


@pytest.mark.process
def test_strata_add_up(perfect: Evaluation, moved: Evaluation) -> None:
    strata = compare(perfect, moved, QUICK)["strata"]
    assert strata.pop("set") == {}
    for levels in strata.values():
        assert sum(one["dice"]["difference"]["n"] for one in levels.values()) == 12


@pytest.mark.process
def test_a_study_against_itself_differs_in_nothing(perfect: Evaluation) -> None:
    one = compare(perfect, perfect, QUICK)["metrics"]["dice"]
    assert one["difference"]["mean"] == one["difference"]["low"] == one["difference"]["high"] == 0.0
    assert one["p_permutation"] == one["p_wilcoxon"] == 1.0
    assert one["equal"] == 12


@pytest.mark.process
def test_no_common_image_or_other_masks_are_refused(perfect: Evaluation, moved: Evaluation) -> None:
    rest = (moved.summary, moved.froc, moved.reliability)
    renamed = Evaluation(
        moved.rows.assign(id=moved.rows["id"] + "x"), moved.summary, moved.froc, moved.reliability
    )
    with pytest.raises(DatasetError, match="share no image"):
        compare(perfect, renamed)
    changed = Evaluation(moved.rows.assign(lesion_area_px=moved.rows["lesion_area_px"] + 1), *rest)
    with pytest.raises(DatasetError, match="true mask of 'toy/lesion00' differs"):
        compare(perfect, changed)


DIFFERENCES = st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=10)


@settings(max_examples=40)
@given(DIFFERENCES)
def test_the_exact_test_is_between_one_turning_and_one(differences: list[float]) -> None:
    values = np.array(differences, dtype=np.float64)
    p = permutation_test(values, np.arange(values.size))
    assert p is not None
    assert 2 / 2**values.size <= p <= 1.0  # the observed turning and its mirror image always count
    assert permutation_test(-values, np.arange(values.size)) == p


def test_exact_by_hand() -> None:
    # Sums over the eight turnings: 6, 4, 2, 0, 0, -2, -4, -6; two of them are as far out as 6.
    assert permutation_test(np.array([1.0, 2.0, 3.0]), np.arange(3)) == 2 / 8
    assert permutation_test(np.array([1.0, -2.0, 3.0]), np.arange(3)) == 6 / 8


def test_random_turnings_agree_with_all_of_them() -> None:
    values = np.random.default_rng(0).normal(0.05, 0.1, 12)
    exact = permutation_test(values, np.arange(12))
    drawn = permutation_test(values, np.arange(12), permutations=4000)
    assert exact is not None
    assert drawn is not None
    assert drawn == pytest.approx(exact, abs=0.03)


def test_copies_are_no_evidence() -> None:
    values = np.random.default_rng(0).normal(0.05, 0.1, 8)
    alone = permutation_test(values, np.arange(8))
    copied = permutation_test(np.repeat(values, 20), np.repeat(np.arange(8), 20))
    assert copied == alone
    fooled = permutation_test(np.repeat(values, 20), np.arange(160))
    assert fooled is not None
    assert alone is not None
    assert fooled < alone


def test_the_permutation_test_holds_its_level() -> None:
    rng = np.random.default_rng(5)
    p = [permutation_test(rng.normal(0, 0.2, 9), np.arange(9)) for _ in range(400)]
    assert 0.02 <= np.mean(np.array(p, dtype=float) <= 0.05) <= 0.08


def test_wilcoxon_is_scipys_over_group_means() -> None:
    rng = np.random.default_rng(0)
    values, groups = rng.normal(0.1, 0.2, 60), np.repeat(np.arange(20), 3)
    means = values.reshape(20, 3).mean(axis=1)
    expected = wilcoxon(means, zero_method="pratt", method="approx").pvalue
    assert wilcoxon_test(values, groups) == pytest.approx(expected)


def test_one_group_proves_nothing() -> None:
    one = np.array([0.1, 0.2])
    assert permutation_test(one, np.array(["a", "a"])) is None
    assert wilcoxon_test(one, np.array(["a", "a"])) is None


def test_images_without_the_figure_are_left_out() -> None:
    left = pd.DataFrame({"group": ["a", "b", "c"], "dice": [0.5, np.nan, 0.9]})
    right = pd.DataFrame({"group": ["a", "b", "c"], "dice": [0.4, 0.3, 0.8]})
    found = paired(left, right, "dice", QUICK)
    assert found["difference"]["n"] == 2
    assert found["difference"]["mean"] == pytest.approx(0.1)
