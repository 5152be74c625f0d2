"""The risk-coverage curve and its figures: properties, other libraries, and an evaluation's table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from sonoseg.errors import ShapeError
from sonoseg.evaluation.policy import Policy
from sonoseg.evaluation.risk_coverage import (
    COLUMNS,
    SHARES,
    aurc,
    auroc,
    curve,
    risk_coverage_table,
    spearman,
    summarise_uncertainty,
)

QUICK = Policy(resamples=100)
# Uncertainties from a few values, so that some are equal.
IMAGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8)), min_size=2, max_size=25).map(
    lambda pairs: (np.array([d for d, _ in pairs]), np.array([u / 8 for _, u in pairs]))
)


@given(IMAGES)
def test_with_nobody_referred_it_is_the_mean_dice(images: tuple[np.ndarray, np.ndarray]) -> None:
    assert curve(*images, np.zeros(1))[0] == pytest.approx(images[0].mean())


@given(IMAGES)
def test_the_oracle_is_an_upper_bound(images: tuple[np.ndarray, np.ndarray]) -> None:
    dice, uncertainty = images
    best, worst = curve(dice, -dice), curve(dice, dice)
    assert (curve(dice, uncertainty) <= best + 1e-9).all()
    assert (curve(dice, uncertainty) >= worst - 1e-9).all()
    assert (np.diff(best) >= -1e-9).all()  # it can only get better
    assert aurc(dice, -dice) <= aurc(dice, uncertainty) + 1e-9
    assert aurc(dice, uncertainty) <= aurc(dice, dice) + 1e-9


@given(IMAGES, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_says_nothing(images: tuple[np.ndarray, np.ndarray], random: Any) -> None:
    dice, uncertainty = images
    order = random.sample(range(dice.size), dice.size)
    assert np.allclose(curve(dice[order], uncertainty[order]), curve(dice, uncertainty))
    assert aurc(dice[order], uncertainty[order]) == pytest.approx(aurc(dice, uncertainty))


@given(IMAGES)
def test_only_the_order_of_the_uncertainties_counts(images: tuple[np.ndarray, np.ndarray]) -> None:
    dice, uncertainty = images
    assert np.allclose(curve(dice, np.exp(3 * uncertainty)), curve(dice, uncertainty))


@given(IMAGES)
def test_equal_uncertainties_are_chance(images: tuple[np.ndarray, np.ndarray]) -> None:
    dice = images[0]
    assert np.allclose(curve(dice, np.full(dice.size, 0.5)), dice.mean())
    assert aurc(dice, np.full(dice.size, 0.5)) == pytest.approx(1 - dice.mean())


def test_by_hand() -> None:
    dice, uncertainty = np.array([0.9, 0.2, 0.8, 0.5]), np.array([0.1, 0.9, 0.2, 0.3])
    assert curve(dice, uncertainty, np.array([0.0, 0.25, 0.5, 0.75, 0.125])).tolist() == pytest.approx(
        [0.6, 2.2 / 3, 0.85, 0.9, (0.9 + 0.8 + 0.5 + 0.1) / 3.5]
    )
    assert aurc(dice, uncertainty)[0] == pytest.approx(1 - np.mean([0.9, 0.85, 2.2 / 3, 0.6]))


@settings(max_examples=30)
@given(IMAGES, st.integers(0, 99))
def test_weights_count_an_image_so_often(images: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    dice, uncertainty = images
    weights = np.random.default_rng(seed).integers(0, 4, (3, dice.size))
    weights[:, 0] += 1
    copies = [np.repeat(np.arange(dice.size), row) for row in weights]
    wanted = np.stack([curve(dice[own], uncertainty[own]) for own in copies])
    assert np.allclose(curve(dice, uncertainty, SHARES, weights), wanted)
    for mine in (spearman, auroc):
        first = dice > 0.5 if mine is auroc else dice
        with np.errstate(invalid="ignore"):
            alone = np.concatenate([mine(first[own], uncertainty[own]) for own in copies])
        assert np.allclose(mine(first, uncertainty, weights), alone, equal_nan=True)


@given(IMAGES)
def test_spearman_is_scipys(images: tuple[np.ndarray, np.ndarray]) -> None:
    dice, uncertainty = images
    if np.unique(dice).size > 1 and np.unique(uncertainty).size > 1:
        assert spearman(dice, uncertainty)[0] == pytest.approx(stats.spearmanr(dice, uncertainty).statistic)
    else:
        assert math.isnan(spearman(dice, uncertainty)[0])


@pytest.mark.process
@given(IMAGES)
def test_auroc_is_scikit_learns(images: tuple[np.ndarray, np.ndarray]) -> None:
    positive, score = images[0] > 0.5, images[1]
    if 0 < positive.sum() < positive.size:
        assert auroc(positive, score)[0] == pytest.approx(roc_auc_score(positive, score))
    else:
        assert math.isnan(auroc(positive, score)[0])


def rows(n: int = 40, normals: int = 6, noise: float = 0.1) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    dice = rng.random(n)
    lesions = {
        "kind": "lesion",
        "group": [f"g{k // 2}" for k in range(n)],
        "dice": dice,
        "uncertainty": 1 - dice + noise * rng.normal(size=n),
        "false_positive": math.nan,
    }
    empty = {
        "kind": "normal",
        "group": [f"n{k}" for k in range(normals)],
        "dice": math.nan,
        "uncertainty": np.linspace(0, 1, normals),
        "false_positive": [0.0] * (normals - 2) + [1.0] * min(normals, 2),
    }
    return pd.concat([pd.DataFrame(lesions), pd.DataFrame(empty)], ignore_index=True)


def test_the_table_of_a_study() -> None:
    own = rows()
    table = risk_coverage_table(own, QUICK)
    assert tuple(table.columns) == COLUMNS
    mean = own["dice"].mean()
    assert table.loc[0, "dice"] == table.loc[0, "oracle"] == table.loc[0, "random"] == pytest.approx(mean)
    assert ((table["low"] <= table["dice"] + 1e-9) & (table["dice"] <= table["high"] + 1e-9)).all()
    assert (table["dice"] <= table["oracle"] + 1e-9).all()
    assert table["dice"].iloc[80] > 0.85
    assert risk_coverage_table(own.drop(columns="uncertainty")).empty
    assert risk_coverage_table(own[own["kind"] == "normal"]).empty


def test_the_summary_of_a_good_order_and_of_none() -> None:
    good = summarise_uncertainty(rows(), QUICK)
    assert good["spearman"]["mean"] < -0.9
    assert good["spearman"]["low"] <= good["spearman"]["mean"] <= good["spearman"]["high"]
    assert good["gain"]["mean"] > 0.8
    assert good["aurc_oracle"]["mean"] < good["aurc"]["mean"] < good["aurc_random"]["mean"]
    assert good["dice_after_referral"]["0"]["mean"] == pytest.approx(1 - good["aurc_random"]["mean"])
    assert good["dice_after_referral"]["0.2"]["mean"] > good["dice_after_referral"]["0"]["mean"]
    assert (good["dice_after_referral"]["0.2"]["n"], good["dice_after_referral"]["0.2"]["groups"]) == (32, 20)
    assert good["false_positive_auroc"]["mean"] == 1
    none = summarise_uncertainty(rows().assign(uncertainty=0.5), QUICK)
    assert none["gain"]["mean"] == pytest.approx(0)
    assert none["spearman"]["mean"] is None
    assert none["false_positive_auroc"]["mean"] == 0.5


def test_a_study_without_lesions_normals_or_uncertainties() -> None:
    own = rows()
    of_normals = summarise_uncertainty(own[own["kind"] == "normal"], QUICK)
    assert of_normals["aurc"]["mean"] is None
    assert of_normals["dice_after_referral"]["0.2"]["n"] == 0
    of_lesions = summarise_uncertainty(own[own["kind"] == "lesion"], QUICK)
    assert of_lesions["false_positive_auroc"]["n"] == 0
    assert summarise_uncertainty(own.drop(columns="uncertainty"), QUICK) == {}
    one = summarise_uncertainty(own[own["kind"] == "lesion"].assign(group="only"), QUICK)
    assert one["aurc"]["mean"] is not None
    assert one["aurc"]["low"] is None


def test_shapes_must_fit() -> None:
    with pytest.raises(ShapeError, match="two columns"):
        curve(np.zeros(3), np.zeros(4))
    with pytest.raises(ShapeError, match="at least one image"):
        aurc(np.zeros(0), np.zeros(0))
