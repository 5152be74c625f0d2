"""The unweighted mean of several evaluations, such as one for each centre: each counts the same, however many
images it has. Intervals resample groups over all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sonoseg.evaluation.bootstrap import Interval, Json, bootstrap, not_measured
from sonoseg.evaluation.comparison import permutation_test
from sonoseg.evaluation.policy import POLICY, Policy

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]


def mean_of_means(tables: Sequence[pd.DataFrame], column: str, policy: Policy = POLICY) -> Json:
    """The mean over evaluations of a column's means, as {"mean", "low", "high", "n", "groups"}.

    tables: rows of two evaluations or more. An image without a value is left out; where an evaluation has no
    value at all there is no mean.
    """
    values = [table[column].to_numpy(np.float64) for table in tables]
    return _mean(values, [table["group"].to_numpy() for table in tables], policy)


def paired_mean_of_means(
    pairs: Sequence[tuple[pd.DataFrame, pd.DataFrame]], column: str, policy: Policy = POLICY
) -> Json:
    """The mean over evaluations of the paired differences' means, first - second, with its p-value.

    pairs: of each evaluation the rows of two variants, of the same images in the same order.
    Returns what `mean_of_means` does, and "p_permutation" (see `permutation_test`), in which an image of an
    evaluation of n images weighs 1 / n.
    """
    values = [(a[column] - b[column]).to_numpy(np.float64) for a, b in pairs]
    groups = [a["group"].to_numpy() for a, _ in pairs]
    found = _mean(values, groups, policy)
    if found["mean"] is None:
        return found | {"p_permutation": None}
    known = [~np.isnan(one) for one in values]
    weighted = np.concatenate([one[k] / k.sum() for one, k in zip(values, known, strict=True)])
    names = np.concatenate([one[k] for one, k in zip(groups, known, strict=True)])
    return found | {"p_permutation": permutation_test(weighted, names, seed=policy.seed)}


def _mean(values: Sequence[Floats], groups: Sequence[NDArray[np.object_]], policy: Policy) -> Json:
    known = [~np.isnan(one) for one in values]
    if not all(k.any() for k in known):
        return not_measured()
    count = len(values)
    parts = np.zeros((sum(len(one) for one in values), 2 * count))
    start = 0
    for number, (one, k) in enumerate(zip(values, known, strict=True)):
        own = slice(start, start + len(one))
        parts[own, number], parts[own, count + number] = np.where(k, one, 0.0), k
        start += len(one)
    names = np.concatenate([*groups])
    figure, low, high = bootstrap(
        parts,
        names,
        lambda sums: (sums[:, :count] / sums[:, count:]).mean(axis=1, keepdims=True),
        **policy.bootstrap,
    )
    valid = np.concatenate(known)
    return Interval(
        float(figure[0]), float(low[0]), float(high[0]), int(valid.sum()), int(np.unique(names[valid]).size)
    ).as_dict()
