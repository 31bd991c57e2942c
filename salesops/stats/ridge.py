"""Ridge logistic regression: chances from many columns, none of them allowed to say too much.

Newton's method on the penalised likelihood. The numbers are those of scikit-learn's
``LogisticRegression`` with ``C = 1 / penalty``; a path of penalties that starts each fit from the last, and
folds that keep clusters whole, make it fast enough for a report.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from salesops.stats.gram import logistic

PENALTIES = tuple(float(size) for size in np.geomspace(300.0, 3.0, 9))
_STEPS, _CLOSE = 50, 1e-6  # the last step is squared in what is left
_NEARBY, _NEAR = 6, 1e-5  # steps with the curvature of a neighbour: each leaves some hundredths of the last


class Design(NamedTuple):
    """Columns behind a constant, which every function here takes as they are and copies no more."""

    values: np.ndarray


class Fit(NamedTuple):
    """Intercept first, then one coefficient a column; the covariance is that of the penalised likelihood."""

    coefficients: np.ndarray
    covariance: np.ndarray
    penalty: float


def fit(columns, outcome, *, penalty: float, weight=None, start=None) -> Fit:
    """The coefficients that minimise ``sum(weight * log loss) + penalty / 2 * sum(coefficient ** 2)``.

    The intercept is not penalised. Columns should be of one scale.

    Parameters
    ----------
    columns
        Numbers, one row per case, or a `Design`.
    outcome
        True or false.
    penalty
        Above nothing: how far coefficients are drawn to nothing.
    weight
        How many cases each row stands for.
    start
        Coefficients to start from.

    References
    ----------
    le Cessie & van Houwelingen (1992), Appl. Statist. 41:191-201.

    Examples
    --------
    >>> found = fit([[0.0], [0.0], [1.0], [1.0]], [0, 1, 1, 1], penalty=1.0)
    >>> found.coefficients.round(3).tolist()
    [0.899, 0.421]
    """
    design, outcome, weight = _design(columns, outcome, weight)
    ridge = np.full(design.shape[1], float(penalty))
    ridge[0] = 0.0
    beta = np.zeros(design.shape[1]) if start is None else np.asarray(start, dtype=float)
    best = _loss(design, outcome, weight, ridge, beta)
    for _ in range(_STEPS):
        slope, curve = _derivatives(design, outcome, weight, ridge, beta)
        step, size = np.linalg.solve(curve, -slope), 1.0
        while (now := _loss(design, outcome, weight, ridge, beta + size * step)) > best + 1e-10 and size > 1e-6:
            size /= 2
        beta, best = beta + size * step, now
        if np.abs(size * step).max() < _CLOSE:
            break
    return Fit(beta, np.linalg.inv(_derivatives(design, outcome, weight, ridge, beta)[1]), float(penalty))


def log_odds(found: Fit, columns) -> np.ndarray:
    """Log odds of each row.

    Examples
    --------
    >>> log_odds(Fit(np.array([0.0, 1.0]), np.eye(2), 1.0), np.array([[0.0], [1.0]])).tolist()
    [0.0, 1.0]
    """
    if isinstance(columns, Design):
        return columns.values @ found.coefficients
    return np.asarray(columns, dtype=float) @ found.coefficients[1:] + found.coefficients[0]


def deviations(found: Fit, columns) -> np.ndarray:
    """Standard deviation of the log odds of each row, from the penalised likelihood.

    Examples
    --------
    >>> deviations(Fit(np.array([0.0, 1.0]), np.eye(2), 1.0), [[0.0], [1.0]]).round(3).tolist()
    [1.0, 1.414]
    """
    design = np.column_stack([np.ones(len(columns)), np.asarray(columns, dtype=float)])
    return np.sqrt(np.sum(design @ found.covariance * design, axis=1))


def without(found: Fit, dropped: np.ndarray, columns, outcome, weight=None) -> Fit:
    """The fit with some coefficients held at nothing, of the same penalty.

    One Newton step from the minimum of the quadratic that the fit's covariance describes.

    Parameters
    ----------
    found
        The fit with all columns.
    dropped
        Which columns to leave out.

    Examples
    --------
    >>> columns = np.array([[0.0, 1], [0, 0], [1, 1], [1, 0], [1, 1]])
    >>> full = fit(columns, [0, 1, 1, 1, 0], penalty=1.0)
    >>> without(full, np.array([True, False]), columns, [0, 1, 1, 1, 0]).coefficients.round(3).tolist()
    [0.79, 0.0, -0.624]
    >>> fit(columns[:, 1:], [0, 1, 1, 1, 0], penalty=1.0).coefficients.round(3).tolist()
    [0.79, -0.624]
    """
    held = np.r_[False, np.asarray(dropped, dtype=bool)]
    across = found.covariance[:, held]
    beta = found.coefficients - across @ np.linalg.solve(across[held], found.coefficients[held])
    beta[held] = 0.0
    design, outcome, weight = _design(columns, outcome, weight)
    ridge = np.full(len(beta), found.penalty)
    ridge[0] = 0.0
    slope, curve = _derivatives(design, outcome, weight, ridge, beta)
    beta[~held] -= np.linalg.solve(curve[np.ix_(~held, ~held)], slope[~held])
    return found._replace(coefficients=beta)


def best_penalty(
    columns,
    outcome,
    *,
    weight=None,
    cluster=None,
    penalties: Sequence[float] = PENALTIES,
    folds: int = 5,
    seed: int = 0,
) -> float:
    """The penalty with the smallest log-loss on rows left out of the fit; whole clusters are left out.

    The largest, the most cautious, where some fold has one outcome only.

    References
    ----------
    Stone (1974), J. R. Statist. Soc. B 36:111-147.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> best_penalty(random.normal(size=(60, 3)), random.random(60) < 0.5)
    300.0
    """
    design, outcome, weight = _design(columns, outcome, weight)
    fold = _folds(len(outcome), cluster, folds, seed)
    order = sorted(penalties, reverse=True)
    losses = np.zeros(len(order))
    for number in range(folds):
        kept = fold != number
        if len(np.unique(outcome[kept])) < 2:
            return order[0]
        path = _path(Design(design[kept]), outcome[kept], weight[kept], order)
        left, left_outcome, left_weight = design[~kept], outcome[~kept], weight[~kept]
        for place, coefficients in enumerate(path):
            x = left @ coefficients
            losses[place] += left_weight @ (np.logaddexp(0, x) - left_outcome * x)
    return order[int(np.argmin(losses))]


def _path(columns: Design, outcome, weight, penalties: Sequence[float]) -> Iterator[np.ndarray]:
    """The coefficients of each penalty in turn, to what a comparison of losses needs.

    The curvature hardly differs between neighbours: most steps take the last one known, at a fraction of its cost.
    """
    found = fit(columns, outcome, penalty=penalties[0], weight=weight)
    beta, curve = found.coefficients, _curve(found)
    yield beta
    for penalty in penalties[1:]:
        near = _nearby(columns, outcome, weight, penalty, beta, curve)
        if near is None:
            found = fit(columns, outcome, penalty=penalty, weight=weight, start=beta)
            near, curve = found.coefficients, _curve(found)
        beta = near
        yield beta


def _curve(found: Fit) -> np.ndarray:
    """The curvature of the loss alone where a fit ended."""
    return np.linalg.inv(found.covariance) - np.diag(_ridge(found.penalty, len(found.coefficients)))


def _ridge(penalty: float, n: int) -> np.ndarray:
    return np.r_[0.0, np.full(n - 1, float(penalty))]


def _nearby(columns: Design, outcome, weight, penalty: float, beta: np.ndarray, curve: np.ndarray) -> np.ndarray | None:
    """The coefficients, by steps with a curvature from near there; None where they do not settle soon."""
    ridge = _ridge(penalty, len(beta))
    inverse = np.linalg.inv(curve + np.diag(ridge))
    for _ in range(_NEARBY):
        off = weight * (expit(columns.values @ beta) - outcome)
        step = -inverse @ (columns.values.T @ off + ridge * beta)
        beta = beta + step
        if np.abs(step).max() < _NEAR:
            return beta
    return None


def _design(columns, outcome, weight) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    outcome = np.asarray(outcome, dtype=float)
    if isinstance(columns, Design):
        design = columns.values
    else:
        design = np.column_stack([np.ones(len(outcome)), np.asarray(columns, dtype=float).reshape(len(outcome), -1)])
    return design, outcome, np.ones(len(outcome)) if weight is None else np.asarray(weight, dtype=float)


def _loss(design, outcome, weight, ridge, beta) -> float:
    x = design @ beta
    return float(weight @ (np.logaddexp(0, x) - outcome * x) + ridge @ beta**2 / 2)


def _derivatives(design, outcome, weight, ridge, beta) -> tuple[np.ndarray, np.ndarray]:
    score, curve = logistic(design, outcome, weight, beta)
    curve[np.diag_indices_from(curve)] += ridge + 1e-9
    return ridge * beta - score, curve


def _folds(n: int, cluster, folds: int, seed: int) -> np.ndarray:
    codes = np.arange(n) if cluster is None else pd.factorize(pd.Series(cluster).reset_index(drop=True))[0]
    alone = codes < 0
    codes = np.where(alone, codes.max(initial=-1) + 1 + np.arange(n), codes)
    return np.random.default_rng(seed).permutation(np.arange(codes.max(initial=-1) + 1) % folds)[codes]
