"""Bootstrap intervals that resample groups (patients, duplicates), never single images.

Images of one patient, or duplicates of one image, are not independent: resampling them one by one gives
intervals that are too narrow. Whole groups are drawn with replacement instead (cluster bootstrap; Davison
and Hinkley, 1997, section 3.8), and the interval lies between percentiles of the resampled figures.
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

    mean: of the data. low, high: the interval's ends; NaN with fewer than two groups. n: images, or lesions
    where the figure is of lesions. groups: of those images.
    """

    mean: float
    low: float
    high: float
    n: int
    groups: int

    def as_dict(self) -> dict[str, float | int | None]:
        """For summary.json: NaN becomes None, which JSON can hold."""
        ends = {"mean": finite(self.mean), "low": finite(self.low), "high": finite(self.high)}
        return ends | {"n": self.n, "groups": self.groups}


def not_measured() -> Json:
    """A figure without any image, as `Interval.as_dict` returns it."""
    return Interval(math.nan, math.nan, math.nan, 0, 0).as_dict()


def finite(value: float) -> float | None:
    """The value, or None where it is NaN or infinite."""
    return float(value) if math.isfinite(value) else None


def bootstrap(
    parts: NDArray[Any],
    groups: Sequence[Any] | NDArray[Any],
    statistic: Statistic,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """Compute any statistic of sums over images, with its interval.

    parts: (N, K), what each image adds to K sums. groups: (N,), the group of each image.
    statistic: takes sums (R, K), one row per resample, and returns (R, M), one column per figure; NaN for
    sums of 0, since a resample may lack all images that count.
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
    return figures, *_percentiles(drawn, level)


def bootstrap_means(
    values: NDArray[Any],
    groups: Sequence[Any] | NDArray[Any],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> list[Interval]:
    """Compute the means of several columns with their intervals, all from the same resamples.

    values: (N, M); an image whose value is NaN is left out of that column alone.
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
    """Compute the sum of `parts` over the sum of `wholes`, both (N,), with its interval.

    n: what the figure counts; by default the images. NaN where the wholes add up to 0.
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
    """Yield how often each image counts in each resample, (r, N) per chunk: for figures that are not sums.

    groups: (N,), the group of each image; whole groups are drawn, the same ones as in `bootstrap`.
    """
    known, position = np.unique(np.asarray(groups), return_inverse=True)
    for weights in _weights(known.size, resamples, seed, max(known.size, position.size)):
        yield weights[:, position]


def weighted_interval(
    figure: Any,
    groups: Sequence[Any] | NDArray[Any],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Json:
    """Compute a figure that is not a sum over images, with its interval, as `Interval.as_dict` returns it.

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
    """Percentiles over resamples of figures(weights (R, N)) -> (R, M); NaN with fewer than two groups."""
    names = np.asarray(groups)
    if np.unique(names).size < 2:
        empty = np.full(figures(np.ones((1, names.size))).shape[1], np.nan)
        return empty, empty.copy()
    drawn = np.concatenate([figures(weights) for weights in resampled(names, resamples=resamples, seed=seed)])
    return _percentiles(drawn, level)


def at_the_ends(one: Interval, level: float = 0.95) -> Interval:
    """The interval of a share of exactly 0 or 1; any other unchanged.

    Where all images agree, so do all resamples, and the bootstrap's interval has no width. The exact binomial
    interval replaces it (Clopper and Pearson, 1934), with one trial per group.
    """
    if one.mean not in (0.0, 1.0) or one.groups < 2:
        return one
    reach = ((1 - level) / 2) ** (1 / one.groups)
    return replace(one, high=1 - reach) if one.mean == 0.0 else replace(one, low=reach)


def _percentiles(drawn: Floats, level: float) -> tuple[Floats, Floats]:
    """The interval's ends (M,) of resampled figures (R, M), without the resamples that have none."""
    low, high = np.full(drawn.shape[1], math.nan), np.full(drawn.shape[1], math.nan)
    known = ~np.isnan(drawn).all(axis=0)
    tail = (1 - level) / 2
    if known.any():
        low[known], high[known] = np.nanquantile(drawn[:, known], [tail, 1 - tail], axis=0)
    return low, high


def _group_sums(table: Floats, names: NDArray[Any]) -> tuple[int, Floats]:
    """How many groups there are, and the sums of each, (G, K)."""
    known, position = np.unique(names, return_inverse=True)
    sums = np.zeros((known.size, table.shape[1]))
    np.add.at(sums, position, table)
    return known.size, sums


def _weights(n_groups: int, resamples: int, seed: int, cells: int = 0) -> Iterator[Floats]:
    """Yield how often each group is drawn in each resample, (r, G) per chunk, so that memory stays flat.

    cells: of a resample, where they are more than its groups.
    """
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK // max(n_groups, cells))
    for start in range(0, resamples, chunk):
        count = min(chunk, resamples - start)
        drawn = rng.integers(0, n_groups, size=(count, n_groups))
        drawn += np.arange(count)[:, None] * n_groups
        yield np.bincount(drawn.ravel(), minlength=count * n_groups).reshape(count, -1).astype(np.float64)
