"""Risk and coverage: how well the rest is segmented when the most uncertain images are referred to a person.

The risk-coverage curve (El-Yaniv and Wiener, JMLR 11, 2010; Geifman and El-Yaniv, NeurIPS 2017): refer a
share of the images, the most uncertain first, and take the mean Dice of the rest. It is compared with the
ideal order (lowest Dice first) and a random one (a horizontal line).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sonoseg.errors import ShapeError
from sonoseg.evaluation.bootstrap import Floats, Interval, not_measured, weighted_bounds, weighted_interval
from sonoseg.evaluation.policy import POLICY, Policy

SHARES: Final[Floats] = np.round(np.arange(0, 0.951, 0.01), 2)
"""The shares referred at which the curve is drawn; beyond 0.95 too few images remain."""

NAMED: Final = (0.05, 0.1, 0.2, 0.3, 0.5)
"""The shares referred that the summary reports."""

COLUMNS: Final = ("share_referred", "dice", "low", "high", "oracle", "random")

Json = dict[str, Any]


def curve(
    dice: NDArray[Any],
    uncertainty: NDArray[Any],
    shares: NDArray[Any] = SHARES,
    weights: NDArray[Any] | None = None,
) -> Floats:
    """Mean Dice of the remaining images when the most uncertain share is referred.

    dice, uncertainty: (N,), no NaN. shares: (S,), 0..1, below 1. weights: (R, N), how often each image counts
    in each of R resamples; once by default. Returns (S,), or (R, S) with weights; NaN for a resample without
    an image. A share that ends within an image takes that part of it; images of equal uncertainty count with
    their mean Dice, so that their order does not matter. Raises ShapeError.
    """
    once = weights is None
    counts, scores = _ordered(dice, uncertainty, weights)
    kept = np.concatenate([np.zeros((len(counts), 1)), counts.cumsum(axis=1)], axis=1)
    sums = np.concatenate([np.zeros((len(counts), 1)), (counts * scores).cumsum(axis=1)], axis=1)
    left = (1 - np.asarray(shares, dtype=np.float64)) * kept[:, -1:]
    with np.errstate(invalid="ignore"):
        means = np.stack([np.interp(*row) for row in zip(left, kept, sums, strict=True)]) / left
    return np.asarray(means[0] if once else means)


def aurc(dice: NDArray[Any], uncertainty: NDArray[Any], weights: NDArray[Any] | None = None) -> Floats:
    """Area under the risk-coverage curve, the risk being 1 - Dice: lower is better.

    Returns (1,), or (R,) with weights: the mean, over the N images, of the mean risk of those no more
    uncertain (Geifman, Uziel and El-Yaniv, ICLR 2019). A random order gives 1 - mean Dice. Arguments as in
    `curve`. Raises ShapeError.
    """
    counts, scores = _ordered(dice, uncertainty, weights)
    kept = counts.cumsum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        risk = 1 - (counts * scores).cumsum(axis=1) / kept
        return np.asarray(np.where(counts > 0, counts * risk, 0).sum(axis=1) / kept[:, -1])


def spearman(first: NDArray[Any], second: NDArray[Any], weights: NDArray[Any] | None = None) -> Floats:
    """Spearman's rank correlation of two columns (N,), -1..1; (1,), or (R,) with weights as in `curve`.

    Equal values have their mean rank, as in SciPy. NaN where a column has one value only.
    Raises ShapeError.
    """
    counts = _counts(first, second, weights)
    a, b = _ranks(np.asarray(first), counts), _ranks(np.asarray(second), counts)
    total = counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        a = a - (counts * a).sum(axis=1, keepdims=True) / total
        b = b - (counts * b).sum(axis=1, keepdims=True) / total
        spread = (counts * a * a).sum(axis=1) * (counts * b * b).sum(axis=1)
        return np.asarray((counts * a * b).sum(axis=1) / np.sqrt(spread))


def auroc(positive: NDArray[Any], score: NDArray[Any], weights: NDArray[Any] | None = None) -> Floats:
    """Area under the ROC curve, ties counted half: 0..1, chance 0.5.

    positive: bool (N,). score: (N,). Returns (1,), or (R,) with weights as in `curve`; NaN unless there are
    images of both kinds. By ranks (Hanley and McNeil, Radiology 143, 1982). Raises ShapeError.
    """
    counts = _counts(positive, score, weights)
    ranks = _ranks(np.asarray(score, dtype=np.float64), counts)
    yes = counts * np.asarray(positive, dtype=bool)
    n_yes = yes.sum(axis=1)
    n_no = counts.sum(axis=1) - n_yes
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(((yes * ranks).sum(axis=1) - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))


def risk_coverage_table(rows: pd.DataFrame, policy: Policy = POLICY) -> pd.DataFrame:
    """The curve over an evaluation's lesion images, one row per share referred, with COLUMNS.

    dice: mean of the remaining images; low, high: its interval over groups; oracle: in the ideal order;
    random: in a random one. Empty where no row has a lesion and an uncertainty.
    """
    dice, uncertainty, groups = _of_lesions(rows)
    if not dice.size:
        return pd.DataFrame({name: [] for name in COLUMNS}, dtype=np.float64)
    low, high = weighted_bounds(
        lambda weights: curve(dice, uncertainty, SHARES, weights), groups, **policy.bootstrap
    )
    values = (
        SHARES,
        curve(dice, uncertainty),
        low,
        high,
        curve(dice, -dice),
        np.full(SHARES.size, dice.mean()),
    )
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))


def summarise_uncertainty(rows: pd.DataFrame, policy: Policy = POLICY) -> Json:
    """Compute the summary's entry `uncertainty`: each figure as {"mean", "low", "high", "n", "groups"}.

    Over lesion images: spearman (of uncertainty and Dice: -1 is best), aurc, aurc_oracle, aurc_random, gain
    (of the order, between random, 0, and ideal, 1) and dice_after_referral (mean Dice of the remaining
    images, by the share referred). Over normals: false_positive_auroc, of the uncertainty of false positives
    against that of the others. {} for rows without the column uncertainty.
    """
    if "uncertainty" not in rows:
        return {}
    dice, uncertainty, groups = _of_lesions(rows)

    def gain(weights: Floats | None = None) -> Floats:
        mean = np.atleast_1d(curve(dice, uncertainty, np.zeros(1), weights)).reshape(-1)
        reached, best = (1 - mean - aurc(dice, by, weights) for by in (uncertainty, -dice))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(best > 1e-12, reached / best, np.nan))

    def of_lesions(figure: Any) -> Json:
        return weighted_interval(figure, groups, **policy.bootstrap) if dice.size else not_measured()

    normals = rows[(rows["kind"] == "normal") & rows["uncertainty"].notna()]
    positive, score = normals["false_positive"].to_numpy() > 0, normals["uncertainty"].to_numpy(np.float64)
    left = _left(dice, uncertainty, groups, policy)
    return {
        "spearman": of_lesions(lambda weights=None: spearman(uncertainty, dice, weights)),
        "aurc": of_lesions(lambda weights=None: aurc(dice, uncertainty, weights)),
        "aurc_oracle": of_lesions(lambda weights=None: aurc(dice, -dice, weights)),
        "aurc_random": of_lesions(
            lambda weights=None: 1 - _flat(curve(dice, uncertainty, np.zeros(1), weights))
        ),
        "gain": of_lesions(gain),
        "dice_after_referral": {f"{share:g}": one for share, one in zip((0.0, *NAMED), left, strict=True)},
        "false_positive_auroc": weighted_interval(
            lambda weights=None: auroc(positive, score, weights),
            normals["group"].to_numpy(),
            **policy.bootstrap,
        )
        if len(normals)
        else not_measured(),
    }


def _left(dice: Floats, uncertainty: Floats, groups: NDArray[Any], policy: Policy) -> list[Json]:
    """Mean Dice of the remaining images at 0 and at the named shares."""
    shares = np.array((0.0, *NAMED))
    if not dice.size:
        return [not_measured() for _ in shares]
    means = curve(dice, uncertainty, shares)
    low, high = weighted_bounds(
        lambda weights: curve(dice, uncertainty, shares, weights), groups, **policy.bootstrap
    )
    n_groups = int(np.unique(groups).size)
    counts = [round(dice.size * (1 - share)) for share in shares.tolist()]
    return [
        Interval(float(m), float(a), float(b), n, n_groups).as_dict()
        for m, a, b, n in zip(means, low, high, counts, strict=True)
    ]


def _of_lesions(rows: pd.DataFrame) -> tuple[Floats, Floats, NDArray[Any]]:
    """Dice, uncertainty and group of the lesion images."""
    if "uncertainty" not in rows:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    own = rows[(rows["kind"] == "lesion") & rows["uncertainty"].notna()]
    columns: Sequence[Floats] = [own[name].to_numpy(np.float64) for name in ("dice", "uncertainty")]
    return columns[0], columns[1], own["group"].to_numpy()


def _counts(first: NDArray[Any], second: NDArray[Any], weights: NDArray[Any] | None) -> Floats:
    """The weights as (R, N), ones by default. Raises ShapeError unless all have N images."""
    a, b = np.asarray(first), np.asarray(second)
    counts = np.ones((1, a.size)) if weights is None else np.asarray(weights, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or counts.ndim != 2 or counts.shape[1] != a.size or not a.size:
        raise ShapeError(
            f"columns {a.shape} and {b.shape} with weights {counts.shape}",
            remedy="Give two columns (N,) of at least one image, and weights (R, N)",
        )
    return counts


def _ordered(
    dice: NDArray[Any], uncertainty: NDArray[Any], weights: NDArray[Any] | None
) -> tuple[Floats, Floats]:
    """Weights and scores (R, N) by rising uncertainty, equal uncertainties with their mean score."""
    counts = _counts(dice, uncertainty, weights)
    uncertainties = np.asarray(uncertainty, dtype=np.float64)
    order = np.argsort(uncertainties, kind="stable")
    counts, scores = counts[:, order], np.asarray(dice, dtype=np.float64)[order]
    _, first, block = np.unique(uncertainties[order], return_index=True, return_inverse=True)
    if first.size == uncertainties.size:
        return counts, np.broadcast_to(scores, counts.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.add.reduceat(counts * scores, first, axis=1) / np.add.reduceat(counts, first, axis=1)
    return counts, np.nan_to_num(means)[:, block]


def _ranks(values: NDArray[Any], counts: Floats) -> Floats:
    """The mean rank (R, N) of each value among all, counted by the weights."""
    _, first, block = np.unique(np.sort(values), return_index=True, return_inverse=True)
    order = np.argsort(values, kind="stable")
    of_block = np.add.reduceat(counts[:, order], first, axis=1)
    ranks = of_block.cumsum(axis=1) - (of_block - 1) / 2
    result = np.empty_like(counts)
    result[:, order] = ranks[:, block]
    return result


def _flat(values: Floats) -> Floats:
    return np.asarray(values).reshape(-1)
