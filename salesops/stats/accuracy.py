"""How good forecasts of amounts were: their errors, their whole distributions, and what chance alone leaves."""

import numpy as np
from scipy.stats import t as student

from salesops import checks


def wape(actual, predicted) -> float:
    """Sum of the absolute errors over the sum of the absolute actuals; missing where those are nothing.

    References
    ----------
    Hyndman & Koehler (2006), Int. J. Forecasting 22:679-688.

    Examples
    --------
    >>> wape([100.0, 300.0], [110.0, 270.0])
    0.1
    """
    actual, predicted = _pair(actual, predicted)
    return _ratio(np.abs(actual - predicted).sum(), np.abs(actual).sum())


def bias(actual, predicted) -> float:
    """Sum of forecast less actual over the sum of the absolute actuals: above nothing it promised too much.

    Examples
    --------
    >>> bias([100.0, 300.0], [110.0, 270.0])
    -0.05
    """
    actual, predicted = _pair(actual, predicted)
    return _ratio((predicted - actual).sum(), np.abs(actual).sum())


def mase(actual, predicted, naive) -> float:
    """Mean absolute error over that of a naive forecast of the same rows; below 1 it is better.

    Only rows that both forecast count.

    Known bias: the scale is the naive error out of sample, so that one number serves a few quarters;
    Hyndman and Koehler scale by the error within the training data.

    References
    ----------
    Hyndman & Koehler (2006), Int. J. Forecasting 22:679-688.

    Examples
    --------
    >>> mase([100.0, 300.0], [110.0, 270.0], [80.0, 240.0])
    0.5
    """
    actual, predicted, naive = (np.asarray(each, dtype=float) for each in (actual, predicted, naive))
    known = np.isfinite(actual) & np.isfinite(predicted) & np.isfinite(naive)
    errors, scale = np.abs(actual - predicted)[known], np.abs(actual - naive)[known]
    return _ratio(errors.sum(), scale.sum())


def crps(draws, actual: float) -> float:
    """Continuous ranked probability score of draws from a forecast: the absolute error of a whole distribution.

    ``mean |X - y| - mean |X - X'| / 2`` over all pairs of draws; of one draw it is the absolute error.
    In the unit of the forecast; less is better. Missing where a draw or the actual is.

    References
    ----------
    Gneiting & Raftery (2007), J. Am. Stat. Assoc. 102:359-378.

    Examples
    --------
    >>> crps([1.0, 3.0], 2.0), crps([5.0], 2.0)
    (0.5, 3.0)
    """
    x = np.sort(np.asarray(draws, dtype=float).ravel())
    if not len(x) or not np.isfinite(x).all() or not np.isfinite(actual):
        return np.nan
    n = len(x)
    # sum over pairs of |x_i - x_j| by rank: each ordered value counts (2i - n - 1) times, twice
    spread = 2 * ((2 * np.arange(1, n + 1) - n - 1) @ (x - x[0])) / n**2
    return float(np.abs(x - actual).mean() - spread / 2)


def pinball(actual, predicted, probability: float) -> np.ndarray:
    """Loss of a quantile: what lies above it costs its probability, what lies below the rest.

    References
    ----------
    Koenker & Bassett (1978), Econometrica 46:33-50.

    Examples
    --------
    >>> pinball([10.0, 10.0], [8.0, 13.0], 0.9).round(2).tolist()
    [1.8, 0.3]
    """
    gap = np.asarray(actual, dtype=float) - np.asarray(predicted, dtype=float)
    return np.maximum(probability * gap, (probability - 1) * gap)


def pit(draws, actual: float) -> float:
    """Share of the draws below what came, ties half: evenly spread from 0 to 1 where the forecast is right.

    Missing for fewer than two draws.

    References
    ----------
    Dawid (1984), J. R. Statist. Soc. A 147:278-292.

    Examples
    --------
    >>> pit([1.0, 2.0, 3.0, 4.0], 3.0)
    0.625
    """
    x = np.asarray(draws, dtype=float).ravel()
    if len(x) < 2 or not np.isfinite(x).all() or not np.isfinite(actual):
        return np.nan
    return float((x < actual).mean() + (x == actual).mean() / 2)


def central_interval(draws, level: float) -> tuple[float, float]:
    """Limits that leave the same share of the draws on both sides; missing for fewer than two draws.

    Examples
    --------
    >>> [round(limit, 6) for limit in central_interval(np.arange(101.0), 0.8)]
    [10.0, 90.0]
    """
    x = np.asarray(draws, dtype=float).ravel()
    if len(x) < 2 or not np.isfinite(x).all():
        return np.nan, np.nan
    low, high = np.quantile(x, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def is_covered(actual, low, high) -> np.ndarray:
    """Whether each actual lies within its limits, 1 or 0; missing where one of the three is.

    Examples
    --------
    >>> is_covered([5.0, 9.0, 1.0], [4.0, 4.0, None], [6.0, 6.0, 2.0]).tolist()
    [1.0, 0.0, nan]
    """
    actual, low, high = (np.asarray(each, dtype=float) for each in (actual, low, high))
    inside = ((actual >= low) & (actual <= high)).astype(float)
    return np.where(np.isfinite(actual + low + high), inside, np.nan)


def diebold_mariano(losses, others, *, horizon: int = 1) -> tuple[float, float]:
    """Whether one forecast's losses differ from another's by more than chance: ``(statistic, p_value)``.

    The mean difference over its standard error, errors correlated up to ``horizon - 1`` steps, with the
    small-sample correction of Harvey, Leybourne and Newbold and Student's t with n - 1 degrees of freedom.
    Below nothing the first is better. Missing for fewer than three pairs, where all differences are equal, or
    where the estimated variance is not positive.

    Parameters
    ----------
    losses, others
        The losses of two forecasts in order of time, e.g. absolute errors; pairs with one missing are left out.
    horizon
        Steps ahead that were forecast.

    References
    ----------
    Diebold & Mariano (1995), J. Bus. Econ. Stat. 13:253-263; Harvey, Leybourne & Newbold (1997),
    Int. J. Forecasting 13:281-291.

    Examples
    --------
    >>> statistic, p_value = diebold_mariano([1.0, 2.0, 1.0, 3.0, 2.0, 1.0], [2.0, 2.5, 3.0, 3.5, 2.0, 3.0])
    >>> round(statistic, 3), round(p_value, 3)
    (-2.928, 0.033)
    """
    if horizon < 1:
        raise checks.ParameterError(f"horizon: {horizon} is no number of steps ahead. Give 1 or more.")
    gap = np.asarray(losses, dtype=float) - np.asarray(others, dtype=float)
    gap = gap[np.isfinite(gap)]
    n = len(gap)
    if n < max(3, horizon + 1) or np.ptp(gap) == 0:
        return np.nan, np.nan
    centred = gap - gap.mean()
    around = sum((1 if lag == 0 else 2) * (centred[lag:] @ centred[: n - lag]) / n for lag in range(horizon))
    correction = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    if not around > 0 or not correction > 0:
        return np.nan, np.nan
    statistic = float(gap.mean() / np.sqrt(around / n) * np.sqrt(correction))
    return statistic, float(2 * student.sf(abs(statistic), n - 1))


def floor(sizes, chances, *, group=None, certain=None, draws: int = 500, seed: int = 0) -> float:
    """The share of a total that chance alone makes a forecast miss on average, were every chance known exactly.

    Each size is had with its chance, independently; a chance of 1 or more is the expected number of times, had
    as a Poisson count (what is not known one by one, only as a stream). The mean absolute distance of the sum
    from its median, over the mean sum: summed over groups (say, quarters) like WAPE.

    Known bias: chances that tell less than could be known give too high a floor.

    Parameters
    ----------
    sizes, chances
        What may come, and how likely; missing sizes are nothing.
    group
        Which sum each belongs to; one sum if empty.
    certain
        By group, in order of its sorted names, what is already had: it adds to the total, not to the miss.
    draws
        Simulated sums per group.

    Examples
    --------
    >>> round(floor(np.ones(400), np.full(400, 0.25), draws=4000), 3)  # sqrt(2 / pi) sqrt(400 p (1 - p)) / 100
    0.069
    """
    sizes, chances = np.nan_to_num(np.asarray(sizes, dtype=float)), np.asarray(chances, dtype=float)
    names, which = np.unique(np.zeros(len(sizes)) if group is None else np.asarray(group), return_inverse=True)
    had = np.zeros(len(names)) if certain is None else np.asarray(certain, dtype=float)
    random = np.random.default_rng(seed)
    missed = 0.0
    for number in range(len(names)):
        size, chance = sizes[which == number], chances[which == number]
        is_stream = chance >= 1
        sums = (random.random((draws, (~is_stream).sum())) < chance[~is_stream]) @ size[~is_stream]
        sums = sums + random.poisson(chance[is_stream], (draws, is_stream.sum())) @ size[is_stream]
        missed += np.abs(sums - np.median(sums)).mean()
    return _ratio(missed, float(sizes @ chances + had.sum()))


def _pair(actual, predicted) -> tuple[np.ndarray, np.ndarray]:
    """Both where both are known."""
    actual, predicted = np.asarray(actual, dtype=float), np.asarray(predicted, dtype=float)
    known = np.isfinite(actual) & np.isfinite(predicted)
    return actual[known], predicted[known]


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else np.nan
