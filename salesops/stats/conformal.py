"""Intervals learned from the errors that the same forecasts made before, pooled over series.

How far a forecast may be off depends on the series (how much it moves), on the step ahead and on how much the
methods disagree. A regression on past errors says how (the scale); the spread of past errors around the forecast,
in units of that scale, says how wide an interval has to be to keep its promise.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

_PRIOR = np.array([-0.6, 0.3, 0.2, 0.2, 0.3])  # intercept, logs of the step, unevenness, disagreement, expected error
_WEIGHT = np.array([4.0, 10.0, 10.0, 10.0, 10.0])  # of the prior, in past forecasts
_TAILS, _SPREAD = 5, 1.6  # degrees of freedom and spread of the errors taken for granted, in units of the scale
_TAKEN = 8.0  # forecasts that they count as
_MOST = 6.0  # of the log of the scale: four hundred usual moves
_LEAST = 1e-3  # of a series' usual move: errors below it are as good as nothing


class Learned(NamedTuple):
    """Coefficients of the scale; past errors in units of it, sorted, with their weights; number of past forecasts."""

    coefficients: np.ndarray
    errors: np.ndarray
    weights: np.ndarray
    count: int


def usual_move(y: np.ndarray, season_length: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each series moves in a season, and from step to step when the season is left out.

    Mean absolute differences over the last five seasons (or twenty steps), never below a thousandth
    of the series' mean size.

    Parameters
    ----------
    y
        Series of `seasonal.stack`.
    season_length
        Steps in a season.

    Examples
    --------
    >>> usual_move(np.array([[1.0, 2.0, 2.0, 4.0]]), 1)
    (array([1.]), array([1.5]))
    """
    recent = y[:, -max(5 * season_length, 20) - season_length :]
    seasonal_moves = _mean_size(_moved(recent, season_length))
    plain = _mean_size(_moved(recent, 1))
    wide = np.where(np.isfinite(seasonal_moves), seasonal_moves, plain)
    again = _moved(_moved(recent, season_length), 1)
    rough = _mean_size(again)
    rough = np.where(np.isfinite(rough), rough, wide)
    floor = 1e-3 * np.nanmean(np.abs(y), axis=1)
    return (np.fmax(np.nan_to_num(wide), floor), np.fmax(np.nan_to_num(rough), floor))


def _moved(y: np.ndarray, lag: int) -> np.ndarray:
    return y[:, lag:] - y[:, :-lag] if y.shape[1] > lag else np.full((len(y), 1), np.nan)


def _mean_size(moves: np.ndarray) -> np.ndarray:
    seen = np.isfinite(moves)
    total = np.where(seen, np.abs(moves), 0.0).sum(axis=1)
    return np.where(seen.any(axis=1), total / np.maximum(seen.sum(axis=1), 1), np.nan)


def features(
    y: np.ndarray, disagreement: np.ndarray, season_length: int, *, spread: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The unit of each series, and what may make its errors larger than that: ``(series, horizon, 5)``.

    Parameters
    ----------
    y
        Series of `seasonal.stack`.
    disagreement
        How far the methods are apart, ``(series, horizon)``.
    season_length
        Steps in a season.
    spread
        How far a model expects its forecasts to be off, ``(series, horizon)``; where there is none, the usual move
        from step to step grows with the square root of the step.

    Returns
    -------
    tuple
        The unit (series), and one, the logs of the step and, in that unit, of the unevenness, the disagreement and
        the expected error.

    Examples
    --------
    >>> unit, known = features(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[0.5, 1.0]]), 1)
    >>> unit, known[0].round(2)
    (array([1.]), array([[ 1.  ,  0.  , -3.91, -0.69, -3.91],
           [ 1.  ,  0.69, -3.91,  0.  , -3.91]]))
    """
    wide, rough = usual_move(y, season_length)
    unit = np.where(wide > 0, wide, 1.0)[:, None]
    steps = np.arange(1, disagreement.shape[1] + 1)
    uneven = rough[:, None] / unit
    expected = uneven * np.sqrt(steps)
    expected = expected if spread is None else np.where(np.isfinite(spread), spread / unit, expected)
    parts = np.broadcast_arrays(1.0, np.log(steps), *(_log(each) for each in (uneven, disagreement / unit, expected)))
    return np.where(wide > 0, wide, 0.0), np.stack(parts, axis=2)


def _log(ratio: np.ndarray) -> np.ndarray:
    return np.log(np.clip(ratio, 0.02, 50.0))


def learn(errors: np.ndarray, unit: np.ndarray, known: np.ndarray) -> Learned:
    """What past errors teach about those to come.

    Parameters
    ----------
    errors
        Actual less predicted, one row per past forecast, one column per step; missing where not scored.
    unit, known
        Of `features`, for the same rows.

    Returns
    -------
    Learned
        Least squares of the log sizes of the errors on `known`, held near what many series taught beforehand; the
        errors in units of that scale, with a few taken for granted.

    Examples
    --------
    >>> unit, known = features(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[0.5, 1.0]]), 1)
    >>> learn(np.array([[0.3, np.nan]]), unit, known).count
    1
    """
    units = np.where(unit > 0, unit, np.nan)[:, None]
    sizes = np.log(np.maximum(np.abs(errors / units), _LEAST))
    scored = np.isfinite(sizes)
    counted = scored.any(axis=1)
    weights = scored / np.maximum(scored.sum(axis=1, keepdims=True), 1)
    design, response, weight = known[scored], sizes[scored], weights[scored]
    crossed = (design * weight[:, None]).T @ design + np.diag(_WEIGHT)
    coefficients = np.linalg.solve(crossed, (design * weight[:, None]).T @ response + _WEIGHT * _PRIOR)
    ratio = (errors / units / np.exp(np.minimum(known @ coefficients, _MOST)))[scored]
    taken = _SPREAD * student.ppf((np.arange(99) + 0.5) / 99, _TAILS)
    everything = np.r_[ratio, taken]
    mass = np.r_[weight, np.full(99, _TAKEN / 99)]
    order = np.argsort(everything, kind="stable")
    return Learned(coefficients, everything[order], mass[order], int(counted.sum()))


def limits(learned: Learned, predicted: np.ndarray, unit: np.ndarray, known: np.ndarray, level: float) -> np.ndarray:
    """Lower and upper end of the interval round each forecast, ``(2, series, horizon)``.

    Parameters
    ----------
    learned
        Of `learn`.
    predicted
        The forecasts.
    unit, known
        Of `features`, for the same rows.
    level
        Share of the values to come that the interval is to hold.

    References
    ----------
    Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a Random World; Lei, G'Sell, Rinaldo, Tibshirani &
    Wasserman (2018), J. Am. Stat. Assoc. 113:1094-1111 (errors in units of a learned scale).

    Examples
    --------
    >>> unit, known = features(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[0.5]]), 1)
    >>> learned = Learned(np.zeros(5), np.array([-2.0, 2.0]), np.array([500.0, 500.0]), 1000)
    >>> limits(learned, np.array([[5.0]]), unit, known, 0.95).ravel().tolist()
    [3.0, 7.0]
    """
    scale = unit[:, None] * np.exp(np.minimum(known @ learned.coefficients, _MOST))
    low, high = (_quantile(learned, share) for share in tails(level, learned.count + _TAKEN))
    return np.array([predicted + np.minimum(low, 0) * scale, predicted + np.maximum(high, 0) * scale])


def tails(level: float, count: float) -> tuple[float, float]:
    """Shares of past errors below the two ends, a little further out the fewer forecasts were scored.

    Examples
    --------
    >>> tails(0.8, 99)
    (0.096, 0.904)
    """
    below = max((1 - level) / 2 - level / 2 / (count + 1), 0.0)
    return round(below, 12), round(1 - below, 12)


def _quantile(learned: Learned, share: float) -> float:
    reached = np.cumsum(learned.weights) - learned.weights / 2
    return float(np.interp(share * learned.weights.sum(), reached, learned.errors))
