"""Intervals from rows drawn anew, whole clusters at a time."""

from typing import NamedTuple

import numpy as np
import pandas as pd

_CHUNK = 250_000  # resampling counts held at once: they stay in the processor's cache
_LEAST = 8  # draws at once: of many clusters the sums are read once for all of them


class Estimate(NamedTuple):
    """A number with its interval."""

    value: float
    low: float
    high: float


def mean_interval(
    values, *, weight=None, cluster=None, draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """Weighted mean with a bootstrap interval; whole clusters are drawn.

    Of paired differences of losses it is the difference of two scores on the same rows.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, ch. 13; Field & Welsh (2007),
    J. R. Statist. Soc. B 69:369-390.

    Examples
    --------
    >>> [round(value, 2) for value in mean_interval([1.0, 2, 3, 4], cluster=["a", "a", "b", "b"])]
    [2.5, 1.5, 3.5]
    """
    values = np.asarray(values, dtype=float)
    return ratio_interval(
        values, np.ones(len(values)), weight=weight, cluster=cluster, draws=draws, confidence=confidence, seed=seed
    )


def mean_intervals(
    columns, *, weight, cluster=None, draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Weighted mean of each column, limits and standard error: ``(mean, low, high, error)``; whole clusters are drawn.

    Examples
    --------
    >>> mean, low, high, error = mean_intervals([[1.0, 5], [2, 5], [3, 5]], weight=np.ones(3))
    >>> mean.tolist(), error.round(2).tolist()
    ([2.0, 5.0], [0.47, 0.0])
    """
    columns, weight = np.asarray(columns, dtype=float), np.asarray(weight, dtype=float)
    sums = np.column_stack([columns * weight[:, None], weight])
    drawn = resampled_sums(sums, cluster=cluster, draws=draws, seed=seed)
    drawn = drawn[:, :-1] / drawn[:, -1:]
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return weight @ columns / weight.sum(), low, high, drawn.std(axis=0, ddof=1)


def ratio_interval(
    numerator, denominator, *, weight=None, cluster=None, draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """Ratio of two weighted sums over the same rows with a bootstrap interval; whole clusters are drawn.

    Examples
    --------
    >>> [round(value, 2) for value in ratio_interval([1.0, 2, 3, 4], [2.0, 2, 4, 4])]
    [0.83, 0.62, 1.0]
    """
    options = {"weight": weight, "cluster": cluster, "draws": draws, "confidence": confidence, "seed": seed}
    return ratio_intervals([(numerator, denominator)], **options)[0]


def ratio_intervals(
    pairs, *, weight=None, cluster=None, draws: int = 2000, confidence: float = 0.95, seed: int = 0
) -> list[Estimate]:
    """`ratio_interval` of several pairs of numerator and denominator over the same rows, which are drawn once for all.

    Examples
    --------
    >>> [[round(value, 2) for value in each] for each in ratio_intervals([([1.0, 2], [2.0, 2]), ([1.0, 1], [1.0, 1])])]
    [[0.75, 0.5, 1.0], [1.0, 1.0, 1.0]]
    """
    columns = [np.asarray(each, dtype=float) for pair in pairs for each in pair]
    given = 1.0 if weight is None else np.asarray(weight, dtype=float)
    sums = np.column_stack([given * each for each in columns])
    total = sums.sum(axis=0)
    if not len(sums) or not total[1::2].any():
        return [_MISSING] * len(pairs)
    drawn = resampled_sums(sums, cluster=cluster, draws=draws, seed=seed)
    return [_ratio(total[at : at + 2], drawn[:, at : at + 2], confidence) for at in range(0, len(total), 2)]


def resampled_sums(columns, *, cluster=None, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """Sums of the columns over rows drawn anew, whole clusters at a time: one row per draw.

    A row whose cluster is missing stands alone.

    Examples
    --------
    >>> resampled_sums(np.ones((4, 1)), cluster=["a", "a", "b", "b"], draws=3).ravel()
    array([4., 4., 4.])
    """
    sums = by_cluster(np.asarray(columns, dtype=float), cluster)
    random, m = np.random.default_rng(seed), len(sums)
    size = min(draws, max(_LEAST, _CHUNK // max(m, 1)))
    pieces = []
    for first in range(0, draws, size):
        count = min(size, draws - first)
        drawn = random.integers(0, m, (count, m)) + m * np.arange(count)[:, None]
        pieces.append(np.bincount(drawn.ravel(), minlength=count * m).reshape(count, m) @ sums)
    return np.concatenate(pieces)


def by_cluster(columns: np.ndarray, cluster) -> np.ndarray:
    """Column sums of each cluster; rows of no cluster stay apart.

    Examples
    --------
    >>> by_cluster(np.array([[1.0], [2.0], [3.0]]), ["a", None, "a"]).ravel()
    array([4., 2.])
    """
    if cluster is None:
        return columns
    codes = pd.factorize(pd.Series(cluster).reset_index(drop=True))[0]
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    n = codes.max(initial=-1) + 1
    return np.column_stack([np.bincount(codes, each, n) for each in columns.T])


def _ratio(total: np.ndarray, drawn: np.ndarray, confidence: float) -> Estimate:
    if total[1] == 0:
        return _MISSING
    drawn = drawn[drawn[:, 1] != 0]
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(total[0] / total[1]), float(low), float(high))


_MISSING = Estimate(np.nan, np.nan, np.nan)
