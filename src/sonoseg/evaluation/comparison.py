"""Two models on the same images: the paired difference, its interval and its p-value.

The intervals of two evaluations may overlap although the models differ: the images are the same. So models
are compared image by image, and then by groups (patients, duplicates), which are independent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import DatasetError
from sonoseg.evaluation.bootstrap import bootstrap_means
from sonoseg.evaluation.policy import POLICY, Policy
from sonoseg.evaluation.strata import STRATA, levels_of

if TYPE_CHECKING:
    import pandas as pd

    from sonoseg.evaluation.evaluation import Evaluation

METRICS: Final = (
    *("dice", "iou", "precision", "recall", "hd95_percent_diagonal", "nsd", "missed"),
    *("false_positive", "n_false_positives"),
)
PERMUTATIONS: Final = 9999

Json = dict[str, Any]


def compare(first: Evaluation, second: Evaluation, policy: Policy = POLICY) -> Json:
    """Compare `first` with `second` on the images they share; a difference is first - second.

    Returns {"first", "second": names, "images", "only_first", "only_second": counts, "second_cautions",
    "metrics": {metric: result}, "strata": {name: {level: {"dice": result}}}}; see `paired` for a result.
    The p-values are not corrected for multiple comparisons.
    Raises DatasetError where no image is shared, or where a shared image has another true mask.
    """
    left, right = common_rows(first.rows, second.rows)
    metrics = {name: paired(left, right, name, policy) for name in METRICS}
    strata: Json = {}
    for name, column in STRATA.items():
        levels = levels_of(left, name)
        selected = [(left[column] == level).to_numpy() for level in levels]
        strata[name] = {
            level: {"dice": paired(left[where], right[where], "dice", policy)}
            for level, where in zip(levels, selected, strict=True)
        }
    cautions = list(second.summary.get("cautions", []))
    if first.summary.get("policy") != second.summary.get("policy"):
        cautions.append("It was evaluated with another policy: limits and tolerances may differ.")
    return {
        "first": first.name,
        "second": second.name,
        "images": len(left),
        "only_first": len(first.rows) - len(left),
        "only_second": len(second.rows) - len(left),
        "second_cautions": cautions,
        "metrics": metrics,
        "strata": strata,
    }


def common_rows(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the images that both tables hold, in the order of the first, indexed by id.

    Raises DatasetError where no image is shared, or where a shared image has another true mask.
    """
    left, right = first.set_index("id"), second.set_index("id")
    common = [name for name in left.index if name in right.index]
    if not common:
        raise DatasetError(
            "the two evaluations share no image", remedy="Evaluate both on the same part of the same split"
        )
    left, right = left.loc[common], right.loc[common]
    changed = (left["lesion_area_px"] != right["lesion_area_px"]).to_numpy()
    if changed.any():
        raise DatasetError(
            f"the true mask of '{common[int(changed.argmax())]}' differs between the two evaluations",
            remedy="Evaluate both on the same prepared set",
        )
    return left, right


def paired(left: pd.DataFrame, right: pd.DataFrame, metric: str, policy: Policy = POLICY) -> Json:
    """Compare one metric of two evaluations, rows of the same images in the same order.

    Returns {"first", "second", "difference": means with intervals, "p_permutation", "p_wilcoxon", "higher",
    "lower", "equal": images on which first is above, below and equal to second}. Images on which either has
    no such figure are left out. p-values are None with fewer than two groups.
    """
    a, b = (table[metric].to_numpy(np.float64) for table in (left, right))
    known = ~np.isnan(a) & ~np.isnan(b)
    groups = left["group"].to_numpy()[known]
    values = np.column_stack([a, b, a - b])[known]
    intervals = [one.as_dict() for one in bootstrap_means(values, groups, **policy.bootstrap)]
    difference = values[:, 2]
    return {
        **dict(zip(("first", "second", "difference"), intervals, strict=True)),
        "p_permutation": permutation_test(difference, groups, seed=policy.seed),
        "p_wilcoxon": wilcoxon_test(difference, groups),
        "higher": int((difference > 0).sum()),
        "lower": int((difference < 0).sum()),
        "equal": int((difference == 0).sum()),
    }


def permutation_test(
    differences: NDArray[np.float64],
    groups: NDArray[Any],
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> float | None:
    """Two-sided p-value of a mean paired difference of 0, by flipping the signs of whole groups.

    differences: (N,). groups: (N,). Under the null hypothesis each group's differences might as well have the
    other sign (Fisher, 1935). All 2^G sign patterns are tried where they are no more than `permutations`,
    else that many random ones, with the observed one counted among them. None with fewer than two groups.
    """
    sums = _by_group(differences, groups)[0]
    if sums.size < 2:
        return None
    observed = abs(sums.sum()) * (1 - 1e-12)  # equal sums, added in another order, count as equal
    if 2**sums.size <= permutations:
        flips = (np.arange(2**sums.size)[:, None] >> np.arange(sums.size)) & 1
        return float((np.abs((1.0 - 2.0 * flips) @ sums) >= observed).mean())
    rng, beyond, chunk = np.random.default_rng(seed), 1, max(1, 4_000_000 // sums.size)
    for start in range(0, permutations, chunk):
        signs = rng.integers(0, 2, size=(min(chunk, permutations - start), sums.size), dtype=np.int8)
        beyond += int((np.abs((1.0 - 2.0 * signs) @ sums) >= observed).sum())
    return beyond / (permutations + 1)


def wilcoxon_test(differences: NDArray[np.float64], groups: NDArray[Any]) -> float | None:
    """Two-sided Wilcoxon signed-rank p-value over the groups' mean differences (zeros by Pratt's method).

    1 where all are 0; None with fewer than two groups.
    """
    from scipy.stats import wilcoxon

    sums, sizes = _by_group(differences, groups)
    if sums.size < 2:
        return None
    means = sums / sizes
    if not means.any():
        return 1.0
    p = float(wilcoxon(means, zero_method="pratt", method="approx").pvalue)
    return p if math.isfinite(p) else None


def _by_group(
    differences: NDArray[np.float64], groups: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and count of the differences of each group."""
    position = np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(position, weights=differences).astype(np.float64)
    return sums, np.bincount(position).astype(np.float64)
