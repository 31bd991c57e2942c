"""Estimates of many groups judged together: each drawn to the mean as far as its error explains its distance.

Each group's true value is a draw from one normal distribution whose mean and standard deviation are unknown too,
with flat priors. The mean is integrated over exactly and the deviation on a grid, so that the intervals hold
the uncertainty of both; putting in their best estimates instead covers too seldom.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

_POINTS = 400
_WIDE = 6.0  # spreads of the estimates, and largest errors, at which the grid ends
_STEPS = 60


def pooled_means(estimates, errors, *, confidence: float = 0.95, power: float = 0.0) -> pd.DataFrame:
    """Posterior of each group's true value, given all groups.

    Parameters
    ----------
    estimates, errors
        Of each group, with its standard error; a group without an estimate gets what the others say of a new one.
    confidence
        Level of the equal-tailed interval.
    power
        The prior of the deviation between groups is in proportion to this power of it: 0 is flat; 1 draws less to the
        mean and covers more where groups differ little (Chung et al., 2013, Psychometrika 78:685-709).

    Returns
    -------
    DataFrame
        One row per group: ``mean``, ``mean_low``, ``mean_high``. All missing with fewer than three estimates, from
        which their spread cannot be told.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 5.4.

    Examples
    --------
    The eight schools of the reference, section 5.5:

    >>> effect, error = [28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18]
    >>> pooled_means(effect, error).round(1).head(2)
       mean  mean_low  mean_high
    0  11.4      -2.1       31.6
    1   7.9      -4.7       20.7
    """
    y, error = np.asarray(estimates, dtype=float), np.asarray(errors, dtype=float)
    known = np.isfinite(y) & np.isfinite(error) & (error > 0)
    if known.sum() < 3:
        return pd.DataFrame(np.nan, index=range(len(y)), columns=["mean", "mean_low", "mean_high"])
    weight, tau, centre, spread = _grid(y[known], error[known], power)
    precision = np.where(known, 1 / np.where(known, error, 1.0) ** 2, 0.0)
    between = 1 / tau[:, None] ** 2
    keep = between / (between + precision)  # how much of the common mean is in each group's
    mean = keep * centre[:, None] + (1 - keep) * np.where(known, y, 0.0)
    deviation = np.sqrt(1 / (between + precision) + (keep * spread[:, None]) ** 2)
    tail = (1 - confidence) / 2
    ends = [_quantile(weight, mean, deviation, each) for each in (tail, 1 - tail)]
    return pd.DataFrame({"mean": weight @ mean, "mean_low": ends[0], "mean_high": ends[1]})


def _grid(y: np.ndarray, error: np.ndarray, power: float) -> tuple[np.ndarray, ...]:
    """Deviations between groups with their posterior weights, and what each says of the common mean."""
    top = _WIDE * max(y.std(ddof=1), error.max())
    tau = (np.arange(_POINTS) + 0.5) / _POINTS * top
    inverse = 1 / (error**2 + tau[:, None] ** 2)
    spread = 1 / np.sqrt(inverse.sum(axis=1))
    centre = (inverse @ y) * spread**2
    log = (
        np.log(spread)
        + power * np.log(tau)
        + 0.5 * (np.log(inverse) - inverse * (y - centre[:, None]) ** 2).sum(axis=1)
    )
    weight = np.exp(log - log.max())
    return weight / weight.sum(), tau, centre, spread


def _quantile(weight: np.ndarray, mean: np.ndarray, deviation: np.ndarray, p: float) -> np.ndarray:
    """Quantile of each column's mixture of normal distributions, by halving."""
    low, high = (mean - 9 * deviation).min(axis=0), (mean + 9 * deviation).max(axis=0)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_below = weight @ norm.cdf((middle - mean) / deviation) < p
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    return (low + high) / 2
