"""Logistic regression on repeated looks at the same cases, in groups that share an unknown level of their own.

The looks of one case tell little more than one of them, so errors are taken over cases; all cases of
a group (a season, a site) may do better or worse together, so a group not seen yet is less sure
than its cases alone would make it.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from salesops.stats import ridge

# Standard deviations, in log odds: of a group's own shock, of the change of level from group to group, with
# the scales of their half-normal priors, and of the first level about that of all groups.
_SHOCKS, _USUAL_SHOCK = np.linspace(0, 0.8, 25), 0.2
_DRIFTS, _USUAL_DRIFT = np.linspace(0, 0.3, 7), 0.05
_FIRST = 0.5
_STEPS = 60
_JUMP, _JUMP_CHANCE = 0.5, 0.15  # deviation of a jump of the level, and the chance that there was one


class Fit(NamedTuple):
    """Coefficients, intercept first; their covariance over cases; the inverse of the penalised curvature."""

    coefficients: np.ndarray
    covariance: np.ndarray
    bread: np.ndarray


class Levels(NamedTuple):
    """How far each group lies from what its rows say, in log odds, and the error of that."""

    level: np.ndarray
    error: np.ndarray


def fit(columns, outcome, *, case, weight=None, penalty: float = 3.0) -> Fit:
    """Ridge logistic regression whose errors allow for several looks at one case.

    Parameters
    ----------
    columns
        Numbers of one scale, one row per look.
    outcome
        True or false.
    case
        Which looks are of one case.
    weight
        Of each look.
    penalty
        As of `ridge.fit`.

    References
    ----------
    van Houwelingen (2007), Scand. J. Statist. 34:70-85 (stacked landmarks); Liang & Zeger (1986), Biometrika
    73:13-22 (errors over cases).

    Examples
    --------
    >>> x, y = np.array([[0.0], [0], [1], [1]] * 20), np.array([0, 1, 1, 1] * 20)
    >>> once = fit(x, y, case=np.arange(80))
    >>> once.coefficients.round(2).tolist()
    [0.47, 1.55]
    >>> twice = fit(np.repeat(x, 2, axis=0), np.repeat(y, 2), case=np.arange(160) // 2, weight=np.full(160, 0.5))
    >>> bool(np.allclose(once.covariance, twice.covariance))  # a second look that shows the same adds nothing
    True
    """
    outcome = np.asarray(outcome, dtype=float)
    weight = np.ones(len(outcome)) if weight is None else np.asarray(weight, dtype=float)
    found = ridge.fit(columns, outcome, penalty=penalty, weight=weight)
    left = weight * (outcome - expit(ridge.log_odds(found, columns)))
    scores = np.column_stack([left, np.asarray(columns) * left[:, None]])
    sums = _sums(scores, pd.factorize(np.asarray(case))[0])
    return Fit(found.coefficients, found.covariance @ (sums.T @ sums) @ found.covariance, found.covariance)


def log_odds(found: Fit, columns) -> np.ndarray:
    """Log odds of each row.

    Examples
    --------
    >>> log_odds(Fit(np.array([0.0, 1.0]), np.eye(2), np.eye(2)), np.array([[0.0], [1.0]])).tolist()
    [0.0, 1.0]
    """
    return np.asarray(columns, dtype=float) @ found.coefficients[1:] + found.coefficients[0]


def levels(expected, outcome, group, *, n_groups: int) -> Levels:
    """How much better or worse each group did than its rows' log odds said, all its rows together.

    Half a success and half a failure more keep a group finite that has only one of the two.

    Parameters
    ----------
    expected
        Log odds of each row.
    outcome, group, n_groups
        True or false; number of the row's group, from 0; how many there are.

    References
    ----------
    Haldane (1956), Ann. Hum. Genet. 20:309-311 (the half).

    Examples
    --------
    >>> found = levels(np.zeros(8), [1, 1, 1, 0, 1, 1, 0, 0], [0] * 4 + [1] * 4, n_groups=2)
    >>> found.level.round(2).tolist(), found.error.round(2).tolist()
    ([0.85, 0.0], [0.98, 0.89])
    """
    expected, outcome = np.asarray(expected, dtype=float), np.asarray(outcome, dtype=float)
    level, group = np.zeros(n_groups), np.asarray(group)
    for _ in range(_STEPS):
        p = expit(expected + level[group])
        share = expit(level)
        slope = np.bincount(group, outcome - p, n_groups) + 0.5 - share
        curve = np.bincount(group, p * (1 - p), n_groups) + share * (1 - share)
        step = np.clip(slope / curve, -1, 1)
        level = level + step
        if np.abs(step).max(initial=0) < 1e-9:
            break
    return Levels(level, np.sqrt(1 / curve))


def next_level(found: Levels, draws: int, *, seed: int = 0) -> np.ndarray:
    """Draws of the level of the group that comes after those seen, which are in order of time.

    A group's level is where the last one's lay, moved a little, and a shock of its own, both normal; once the
    level may have jumped. Their deviations and the place of the jump are averaged over a grid by how
    likely they make what was seen, with half-normal priors; given them the level is normal (the
    Kalman filter). No group seen gives the prior. The draws lie at equal steps of the distribution, shuffled.

    References
    ----------
    Durbin & Koopman (2012), Time Series Analysis by State Space Methods, 2nd ed., ch. 2 (the local level model).

    Examples
    --------
    >>> calm, wild, risen = (Levels(np.array(level), np.full(12, 0.15)) for level in (
    ...     [-0.1, 0.1] * 6, [-0.5, 0.5] * 6, [-0.4] * 6 + [0.4] * 6))
    >>> [(round(float(one.mean()), 2), round(float(one.std()), 2))
    ...     for one in (next_level(each, 2000) for each in (calm, wild, risen))]
    [(0.0, 0.09), (0.01, 0.47), (0.39, 0.09)]
    """
    steps = np.arange(max(len(found.level), 1))  # before which group the jump lay; the first: nowhere
    drift, shock, jump = (each.ravel() for each in np.meshgrid(_DRIFTS, _SHOCKS, steps))
    mean, variance = np.zeros(len(drift)), np.full(len(drift), _FIRST**2)
    density = -0.5 * ((drift / _USUAL_DRIFT) ** 2 + (shock / _USUAL_SHOCK) ** 2)
    density += np.log(np.where(jump > 0, _JUMP_CHANCE / max(len(steps) - 1, 1), 1 - _JUMP_CHANCE))
    for number, (level, error) in enumerate(zip(found.level, found.error, strict=True)):
        variance = variance + _JUMP**2 * ((jump == number) & (number > 0))
        total = variance + shock**2 + error**2
        density -= 0.5 * (np.log(total) + (level - mean) ** 2 / total)
        gain = variance / total
        mean, variance = mean + gain * (level - mean), variance * (1 - gain) + drift**2
    weight = np.exp(density - density.max())
    return _mixture(weight / weight.sum(), mean, np.sqrt(variance + shock**2), draws, seed)


def _mixture(weight: np.ndarray, mean: np.ndarray, deviation: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Draws of a mixture of normals, at equal steps of its distribution."""
    kept = weight > 1e-4
    weight, mean, deviation = weight[kept] / weight[kept].sum(), mean[kept], deviation[kept]
    grid = np.linspace((mean - 5 * deviation).min(), (mean + 5 * deviation).max(), 801)
    share = weight @ ndtr((grid - mean[:, None]) / np.maximum(deviation, 1e-9)[:, None])
    return np.random.default_rng(seed).permutation(np.interp((np.arange(draws) + 0.5) / draws, share, grid))


def _sums(scores: np.ndarray, code: np.ndarray) -> np.ndarray:
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(code[order]) > 0])
    return np.add.reduceat(scores[order], starts, axis=0) if len(code) else scores
