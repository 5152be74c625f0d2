"""Bootstrap intervals that resample groups (patients, duplicates), never single images.

Images of one patient, or copies of one scan, are no independent witnesses: resampling them one by one gives
intervals that are too narrow. Here whole groups are drawn with replacement (cluster bootstrap; Davison and
Hinkley, 1997, section 3.8), and the interval lies between percentiles of the resampled figures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonoseg.errors import ShapeError

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
Json = dict[str, Any]

_CHUNK = 4_000_000  # cells of a chunk of resampling weights: 32 MB


@dataclass(frozen=True)
class Interval:
    """A figure with its interval.

    mean: of the data. low, high: the interval's ends; NaN with fewer than two groups. n: images (or lesions,
    where the figure says so) behind it. groups: how many groups they come from.
    """

    mean: float
    low: float
    high: float
    n: int
    groups: int

    def as_dict(self) -> dict[str, float | int | None]:
        """For summary.json: NaN becomes None, which JSON can hold."""
        return {
            "mean": _plain(self.mean),
            "low": _plain(self.low),
            "high": _plain(self.high),
            "n": self.n,
            "groups": self.groups,
        }


def bootstrap(
    parts: NDArray[Any],
    groups: Sequence[Any] | NDArray[Any],
    statistic: Statistic,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """Interval of any statistic of sums over images.

    parts: (N, K), what each image adds to K sums. groups: (N,), the group of each image.
    statistic: takes sums (R, K), one row a resample, and returns (R, M), one column a figure. It must allow
    for sums of 0 (a resample may miss all images that count) by returning NaN there.
    Returns (figures, low, high), each (M,): of the data, and the percentiles of the resamples. With fewer
    than two groups low and high are NaN. Raises ShapeError unless parts and groups fit.
    """
    table = np.asarray(parts, dtype=np.float64)
    names = np.asarray(groups)
    if table.ndim != 2 or names.shape != table.shape[:1]:
        raise ShapeError(
            f"parts {table.shape} and groups {names.shape}", remedy="Give (N, K) parts and (N,) groups"
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        figures = statistic(table.sum(axis=0)[None])[0]
        n_groups, sums = _group_sums(table, names)
        if n_groups < 2:
            nothing = np.full(figures.shape, math.nan)
            return figures, nothing, nothing.copy()
        drawn = np.concatenate([statistic(w @ sums) for w in _weights(n_groups, resamples, seed)])
    low, high = np.full(figures.shape, math.nan), np.full(figures.shape, math.nan)
    known = ~np.isnan(drawn).all(axis=0)
    tail = (1 - level) / 2
    if known.any():
        low[known], high[known] = np.nanquantile(drawn[:, known], [tail, 1 - tail], axis=0)
    return figures, low, high


def bootstrap_means(
    values: NDArray[Any],
    groups: Sequence[Any] | NDArray[Any],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> list[Interval]:
    """Means of several columns with their intervals, all from the same resamples.

    values: (N, M); NaN where an image has no such figure, which leaves it out of that column alone.
    groups: (N,). Without any value the mean is NaN and n 0. Raises ShapeError.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2:
        raise ShapeError(f"values {table.shape}", remedy="Give a table (N, M)")
    known = ~np.isnan(table)
    columns = table.shape[1]
    parts = np.hstack([np.where(known, table, 0.0), known])
    means, low, high = bootstrap(
        parts,
        groups,
        lambda sums: sums[:, :columns] / sums[:, columns:],
        resamples=resamples,
        level=level,
        seed=seed,
    )
    names = np.asarray(groups)
    return [
        Interval(
            float(means[m]),
            float(low[m]),
            float(high[m]),
            int(known[:, m].sum()),
            int(np.unique(names[known[:, m]]).size),
        )
        for m in range(columns)
    ]


def bootstrap_ratio(
    parts: NDArray[Any],
    wholes: NDArray[Any],
    groups: Sequence[Any] | NDArray[Any],
    *,
    n: int | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Sum of `parts` over sum of `wholes`, both (N,): pooled scores, lesions found per lesion.

    n: what the figure counts, the number of images by default. NaN where the wholes add up to 0.
    Raises ShapeError.
    """
    table = np.column_stack([parts, wholes]).astype(np.float64)
    figure, low, high = bootstrap(
        table, groups, lambda sums: sums[:, :1] / sums[:, 1:], resamples=resamples, level=level, seed=seed
    )
    return Interval(
        float(figure[0]),
        float(low[0]),
        float(high[0]),
        len(table) if n is None else n,
        int(np.unique(np.asarray(groups)).size),
    )


def resampled(
    groups: Sequence[Any] | NDArray[Any], *, resamples: int = 2000, seed: int = 0
) -> Iterator[Floats]:
    """How often each image counts in each resample, (r, N) a chunk: for figures that are no sums.

    groups: (N,), the group of each image; whole groups are drawn, the same ones as in `bootstrap`.
    """
    known, place = np.unique(np.asarray(groups), return_inverse=True)
    for weights in _weights(known.size, resamples, seed, max(known.size, place.size)):
        yield weights[:, place]


def weighted_interval(
    figure: Any,
    groups: Sequence[Any] | NDArray[Any],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Json:
    """A figure of all images that is no sum, with its interval, as `Interval.as_dict` has it.

    figure: figure() gives (1,), figure(weights) for weights (R, N) as of `resampled` (R,).
    """
    value = float(figure()[0])
    low, high = weighted_bounds(
        lambda weights: figure(weights)[:, None], groups, resamples=resamples, level=level, seed=seed
    )
    names = np.asarray(groups)
    return Interval(value, float(low[0]), float(high[0]), names.size, int(np.unique(names).size)).as_dict()


def weighted_bounds(
    figures: Any,
    groups: Sequence[Any] | NDArray[Any],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Percentiles over resamples of figures(weights (R, N)) -> (R, M), NaN with fewer than two groups."""
    names, tail = np.asarray(groups), (1 - level) / 2
    if np.unique(names).size < 2:
        empty = np.full(figures(np.ones((1, names.size))).shape[1], np.nan)
        return empty, empty.copy()
    drawn = np.concatenate([figures(weights) for weights in resampled(names, resamples=resamples, seed=seed)])
    low, high = np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    known = ~np.isnan(drawn).all(axis=0)
    if known.any():
        low[known], high[known] = np.nanquantile(drawn[:, known], [tail, 1 - tail], axis=0)
    return low, high


def at_the_ends(one: Interval, level: float = 0.95) -> Interval:
    """The interval of a share that came out as 0 or 1, else `one` as it is.

    Where every image says the same, so does every resample, and the bootstrap's interval has no width. Then
    the exact binomial one is given (Clopper and Pearson, 1934), with a trial a group.
    """
    if one.mean not in (0.0, 1.0) or one.groups < 2:
        return one
    reach = ((1 - level) / 2) ** (1 / one.groups)
    return replace(one, high=1 - reach) if one.mean == 0.0 else replace(one, low=reach)


def _group_sums(table: Floats, names: NDArray[Any]) -> tuple[int, Floats]:
    """How many groups there are, and the sums of each, (G, K)."""
    known, place = np.unique(names, return_inverse=True)
    sums = np.zeros((known.size, table.shape[1]))
    np.add.at(sums, place, table)
    return known.size, sums


def _weights(n_groups: int, resamples: int, seed: int, cells: int = 0) -> Iterator[Floats]:
    """How often each group is drawn in each resample, (r, G) a chunk, so that memory stays flat.

    cells: what a resample takes up, where that is more than its groups.
    """
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // max(n_groups, cells))
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = rng.integers(0, n_groups, size=(count, n_groups))
        drawn += np.arange(count)[:, None] * n_groups
        yield np.bincount(drawn.ravel(), minlength=count * n_groups).reshape(count, -1).astype(np.float64)


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
