"""Rates of many groups judged together: each drawn to the mean as far as chance explains its distance.

Each group's rate is a draw from one beta distribution whose mean ``m`` and spread are unknown
too, with a flat prior for ``m`` and for ``s``, where the groups' standard deviation is
``s * sqrt(m (1 - m))``. Both are integrated over on a grid, so that the intervals hold the
uncertainty of the spread; putting in its best estimate instead covers too seldom.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import betainc, betaln, xlog1py, xlogy

_POINTS = 32  # a side of the grid
_FAR = 14.0  # log densities this far below the best hold nothing (e^-14)
_REFINEMENTS = 8
_LIGHT = 1e-5  # points this light beside the heaviest are left out
_STEPS = 60
_NEAR = 1e-9


def pooled_rates(successes, n, confidence: float = 0.95) -> pd.DataFrame:
    """Posterior of each group's rate, given all groups.

    Parameters
    ----------
    successes, n
        Counts of each group, arrays of one length; a group without a trial gets what the others say of a new one.
    confidence
        Level of the equal-tailed interval.

    Returns
    -------
    DataFrame
        One row per group: ``rate`` (posterior mean), ``rate_low``, ``rate_high`` and ``above_mean``, the
        probability that the group's rate exceeds the mean of all groups (0-1). All missing where no group has a trial.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., section 5.3 (the same prior).

    Examples
    --------
    >>> pooled_rates([0, 10, 40], [4, 50, 100]).round(2)
       rate  rate_low  rate_high  above_mean
    0  0.18      0.00       0.46        0.18
    1  0.22      0.12       0.34        0.22
    2  0.39      0.29       0.49        0.80
    """
    x, n = _counts(successes, n)
    if not n.sum():
        return pd.DataFrame(np.nan, index=range(len(n)), columns=["rate", "rate_low", "rate_high", "above_mean"])
    grid = _posterior(x, n)
    a, b = grid.a[:, None] + x, grid.b[:, None] + n - x
    tail = (1 - confidence) / 2
    return pd.DataFrame(
        {
            "rate": grid.weight @ (a / (a + b)),
            "rate_low": _quantile(grid.weight, a, b, tail),
            "rate_high": _quantile(grid.weight, a, b, 1 - tail),
            "above_mean": grid.weight @ (1 - betainc(a, b, grid.mean[:, None])),
        }
    )


def mean_rates(successes, n) -> pd.DataFrame:
    """Posterior mean of each group's rate as `pooled_rates` gives it, and how much of it is the group's own.

    Parameters
    ----------
    successes, n
        Counts of each group, arrays of one length, with at least one trial in all.

    Returns
    -------
    DataFrame
        One row per group: ``rate`` (0-1) and ``own_weight``, the weight of the group's own rate in it: the rest
        is the mean's (0-1).

    Examples
    --------
    >>> mean_rates([0, 10, 40], [4, 50, 100]).round(2)
       rate  own_weight
    0  0.18        0.40
    1  0.22        0.81
    2  0.39        0.87
    """
    x, n = _counts(successes, n)
    grid = _posterior(x, n)
    a, b = grid.a[:, None] + x, grid.b[:, None] + n - x
    return pd.DataFrame(
        {"rate": grid.weight @ (a / (a + b)), "own_weight": grid.weight @ (n / (grid.a[:, None] + grid.b[:, None] + n))}
    )


class _Grid(NamedTuple):
    """Points of the beta distribution's two parameters, with their posterior weight."""

    mean: np.ndarray
    a: np.ndarray
    b: np.ndarray
    weight: np.ndarray


def _counts(successes, n) -> tuple[np.ndarray, np.ndarray]:
    return np.atleast_1d(successes).astype(float), np.atleast_1d(n).astype(float)


def _posterior(x: np.ndarray, n: np.ndarray) -> _Grid:
    """Weights on a grid that has been drawn in, step by step, to where the posterior lies."""
    box = np.array([[0.0, 1.0], [0.0, 1.0]])
    for _ in range(_REFINEMENTS):
        sides = _midpoints(box)
        density = _log_density(x, n, *sides)
        held = density > density.max() - _FAR
        half = (box[:, 1] - box[:, 0]) / _POINTS
        tight = np.array(
            [[each[held].min() - step, each[held].max() + step] for each, step in zip(sides, half, strict=True)]
        )
        tight = tight.clip(0, 1)
        if np.allclose(tight, box, atol=1e-9, rtol=0):
            break
        box = tight
    mean, scale = _midpoints(box)
    density = _log_density(x, n, mean, scale)
    weight = np.exp(density - density.max())
    kept = weight > _LIGHT
    mean, scale, weight = mean[kept], scale[kept], weight[kept] / weight[kept].sum()
    total = 1 / scale**2 - 1
    return _Grid(mean, mean * total, (1 - mean) * total, weight)


def _midpoints(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    steps = (np.arange(_POINTS) + 0.5) / _POINTS
    mean, scale = np.meshgrid(*(low + (high - low) * steps for low, high in box), indexing="ij")
    return mean.ravel(), scale.ravel()


def _log_density(x: np.ndarray, n: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Log posterior up to a constant; the prior is flat in both."""
    total = 1 / scale**2 - 1
    a, b = (mean * total)[:, None], ((1 - mean) * total)[:, None]
    cells, count = np.unique(np.stack([x, n]), axis=1, return_counts=True)
    return (betaln(a + cells[0], b + cells[1] - cells[0]) - betaln(a, b)) @ count


def _quantile(weight: np.ndarray, a: np.ndarray, b: np.ndarray, p: float) -> np.ndarray:
    """Quantile of each column's mixture of beta distributions: Newton's steps, halving where one leaves the bracket."""
    low, high = np.zeros(a.shape[1]), np.ones(a.shape[1])
    at, constant = weight @ (a / (a + b)), betaln(a, b)
    for _ in range(_STEPS):
        over = weight @ betainc(a, b, at) - p
        low, high = np.where(over < 0, at, low), np.where(over < 0, high, at)
        slope = weight @ np.exp(xlogy(a - 1, at) + xlog1py(b - 1, -at) - constant)
        step = at - np.divide(over, slope, out=np.full_like(at, np.inf), where=slope > 0)
        moved = np.where((step > low) & (step < high), step, (low + high) / 2)
        if np.abs(moved - at).max(initial=0) < _NEAR:
            return moved
        at = moved
    return at
