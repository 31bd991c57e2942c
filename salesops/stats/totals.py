"""Figures made of totals, with intervals that allow for rows that belong together and for a few large ones.

The totals are sums over clusters. Their number is taken to be a matter of chance as well as what
each brings (a compound Poisson total), so a plain count varies by the sum of the clusters' squares.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

# Degrees of freedom even where one cluster makes nearly all of the spread: fewer widen such an interval without bound
# and hold the truth no more often (benchmarks/velocity.py).
_FEWEST = 5.0
_STEP = 1e-4  # of a logarithm: central differences of a polynomial in the factors are right to 1e-8


class Interval(NamedTuple):
    """A figure, its limits and the chance of as much or more where there is nothing."""

    value: float
    low: float
    high: float
    p_value: float


def log_influence(sums, powers: Sequence[float]) -> np.ndarray:
    """What each cluster adds to the logarithm of a product of powers of the totals, to first order.

    ``sum over columns of power * x_cluster / total``; all missing where a total it needs is zero.

    Parameters
    ----------
    sums
        One row per cluster, one column per total.
    powers
        Power of each column.

    Examples
    --------
    >>> log_influence([[1.0, 10.0], [3.0, 10.0]], [1, -1]).tolist()
    [-0.25, 0.25]
    """
    sums, powers = np.asarray(sums, dtype=float), np.asarray(powers, dtype=float)
    used = powers != 0
    totals = sums[:, used].sum(axis=0)
    if not len(sums) or not (totals > 0).all():
        return np.full(len(sums), np.nan)
    return sums[:, used] @ (powers[used] / totals)


def product(sums, powers: Sequence[float]) -> float:
    """The product of powers of the totals; missing where one it is divided by is zero.

    Examples
    --------
    >>> product([[1.0, 10.0], [3.0, 10.0]], [1, -1])
    0.2
    """
    sums, powers = np.asarray(sums, dtype=float), np.asarray(powers, dtype=float)
    used = powers != 0
    totals = sums[:, used].sum(axis=0)
    return float(np.prod(totals ** powers[used])) if (totals[powers[used] < 0] > 0).all() else np.nan


def positive(value: float, influence, *, confidence: float = 0.95) -> Interval:
    """Interval of a figure above zero, even in its logarithm.

    Student's quantile with as many degrees of freedom as the clusters are worth,
    ``(sum g^2)^2 / sum g^4`` for influences `g`, five at least: a few large clusters make a spread that
    is itself ill known, and a bootstrap's percentiles then leave out the truth too often
    (benchmarks/velocity.py).

    Parameters
    ----------
    value
        The figure.
    influence
        What each cluster adds to its logarithm; see `log_influence`.
    confidence
        Level of the interval.

    References
    ----------
    Satterthwaite (1946), Biometrics Bulletin 2:110-114; Kish (1965), Survey Sampling, ch. 8.

    Examples
    --------
    >>> [round(float(number), 2) for number in positive(100.0, np.full(50, 0.02))[:3]]
    [100.0, 75.06, 133.23]
    """
    error, freedom = _spread(influence)
    if not value > 0 or np.isnan(error):
        return Interval(value, np.nan, np.nan, np.nan)
    half = student.ppf((1 + confidence) / 2, freedom) * error
    return Interval(value, value * np.exp(-half), value * np.exp(half), np.nan)


def difference(value: float, influence, *, confidence: float = 0.95) -> Interval:
    """Interval of a figure that may be of either sign, and the chance of one as far from zero.

    As `positive`, with influences on the figure itself.

    Examples
    --------
    >>> [round(float(number), 3) for number in difference(1.0, [0.5, -0.5, 0.25, -0.25])]
    [1.0, -1.347, 3.347, 0.323]
    """
    error, freedom = _spread(influence)
    if np.isnan(value) or np.isnan(error):
        return Interval(value, np.nan, np.nan, np.nan)
    half = student.ppf((1 + confidence) / 2, freedom) * error
    size = abs(value) / error if error > 0 else np.inf if value else 0.0
    return Interval(value, value - half, value + half, float(2 * student.sf(size, freedom)))


def of_factors(function: Callable[..., np.ndarray], factors: Sequence[float], influences) -> np.ndarray:
    """What each cluster adds to figures made of factors, to first order.

    Parameters
    ----------
    function
        Takes the factors, each above zero, and gives an array of figures.
    factors
        Their values.
    influences
        What each cluster adds to the logarithm of each factor: one row per factor.

    Returns
    -------
    array
        One row per figure, one column per cluster.

    Examples
    --------
    >>> of_factors(lambda a, b: np.array([a * b]), [2.0, 3.0], [[0.5, 0.5], [1.0, -1.0]]).round(6).tolist()
    [[9.0, -3.0]]
    """
    slopes = [
        (_moved(function, factors, number, _STEP) - _moved(function, factors, number, -_STEP)) / (2 * _STEP)
        for number in range(len(factors))
    ]
    return np.stack(slopes, axis=-1) @ np.asarray(influences, dtype=float)


def _moved(function: Callable[..., np.ndarray], factors: Sequence[float], number: int, step: float) -> np.ndarray:
    return function(*(each * np.exp(step) if at == number else each for at, each in enumerate(factors)))


def _spread(influence) -> tuple[float, float]:
    """Standard error, and the degrees of freedom the clusters are worth; missing of fewer than two clusters."""
    square = np.asarray(influence, dtype=float) ** 2
    m, total = np.count_nonzero(square), square.sum()
    if np.isnan(total) or m == 1:
        return np.nan, np.nan
    if not m:
        return (0.0, _FEWEST) if len(square) > 1 else (np.nan, np.nan)
    return float(np.sqrt(total * m / (m - 1))), float(max(total**2 / (square**2).sum(), _FEWEST))
