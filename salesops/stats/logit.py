"""Logistic regression for inference: clustered errors, tests of groups of columns, average effects.

What statsmodels does not give together, or not quickly: rows that belong together, a penalty where
the data alone have no finite estimate, likelihood ratios corrected for clusters, and effects as
differences of mean probabilities with intervals that stay possible. The numbers are its own
where it has them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from scipy.special import expit, log_expit, logit
from scipy.stats import f as fisher
from scipy.stats import t as student

from salesops import checks
from salesops.stats.gram import gram, logistic

_MOST_PULL = 0.99  # a cluster that alone decides a coefficient leaves nothing to learn its error from
_MOST_STEPS, _SETTLED = 60, 1e-12
_AT_ONCE = 1 << 20  # numbers of the clusters that the jackknife leaves out together
_NO_PART = 1e-7  # of a coefficient at most one: the linear programme calls less than ten times as much nothing
_SURE = 1e-4  # where a column's square, known to 1e-14, leaves no doubt of that
_TIE = 1e-8  # a column nearer than this, in its own length, to the span of the others is told by them


class Fit(NamedTuple):
    """A fitted logistic regression."""

    design: np.ndarray
    outcome: np.ndarray
    coefficients: np.ndarray
    covariance: np.ndarray  # over clusters, where there are any
    model_covariance: np.ndarray  # as if every row stood alone
    log_likelihood: float  # with the penalty, which is 0 where the coefficients are 0
    strength: np.ndarray  # of the log-F penalty, column by column
    freedom: float  # clusters less one, or infinite


class Clusters(NamedTuple):
    """Rows that belong together, numbered."""

    number: np.ndarray


class GroupTest(NamedTuple):
    """A likelihood-ratio test of some columns together."""

    statistic: float
    df: int
    p_value: float
    design_effect: float


class Difference(NamedTuple):
    """Two mean probabilities and how far apart they are."""

    first: float
    second: float
    estimate: float
    low: float
    high: float
    p_value: float


class Mean(NamedTuple):
    """A mean probability or slope."""

    estimate: float
    low: float
    high: float


def fit(design, outcome, *, cluster=None, strength=0.0, start=None, is_independent: bool = False) -> Fit:
    """Maximum likelihood, or penalised by a log-F(m, m) prior on chosen coefficients.

    The prior of strength ``m`` on a coefficient is ``m`` further trials, half of them successes,
    in which that column is one and all others are zero. It keeps the estimate finite where the
    outcomes are separated; for a column of zeros and ones, ``m = 1`` says that the odds ratio
    lies between 1/648 and 648 with 95 %.

    The covariance over clusters is the jackknife's, each cluster left out in one Newton step
    (Mancl and DeRouen): the plain sandwich is too small where a few clusters are large.

    Parameters
    ----------
    design
        Rows by columns of full rank, the constant among them.
    outcome
        0 or 1 for each row.
    cluster
        Which rows belong together; a missing one stands alone. None: every row alone.
    strength
        Of the penalty, one number or one a column; 0 is none.
    start
        Coefficients to start from.
    is_independent
        Whether `independent_columns` has been asked, and every column is.

    Raises
    ------
    DataError
        Columns depend on one another, or there is no finite estimate; see `independent_columns`
        and `separated_columns`.

    References
    ----------
    Mancl & DeRouen (2001), Biometrics 57:126-134; Greenland & Mansournia (2015), Statist. Med. 34:3133-3143.

    Examples
    --------
    >>> one = fit([[1, 0]] * 4 + [[1, 1]] * 4, [1, 0, 0, 0, 1, 1, 1, 0])
    >>> one.coefficients.round(3).tolist()
    [-1.099, 2.197]
    """
    design, outcome = np.asarray(design, dtype=float), np.asarray(outcome, dtype=float)
    strength = np.broadcast_to(np.asarray(strength, dtype=float), design.shape[1:]).copy()
    kept = np.ones(design.shape[1], dtype=bool) if is_independent else independent_columns(design)
    if not kept.all():
        raise checks.DataError(
            f"logistic regression: {(~kept).sum()} of {len(kept)} columns depend on the others "
            f"(number {checks.examples(np.flatnonzero(~kept))}). Leave them out."
        )
    beta = _coefficients(design, outcome, strength, start)
    p, q = expit(design @ beta), expit(beta)
    model = np.linalg.inv(gram(design, p * (1 - p)) + np.diag(strength * q * (1 - q)))
    covariance, freedom = _jackknife(design, outcome - p, p * (1 - p), model, cluster)
    likelihood = _log_likelihood(design, outcome, strength, beta)
    return Fit(design, outcome, beta, covariance, model, likelihood, strength, freedom)


def clusters(cluster) -> Clusters:
    """The rows' clusters by number, to be given to several fits; a missing one stands alone.

    Examples
    --------
    >>> clusters(["a", None, "a", None]).number.tolist()
    [0, 1, 0, 2]
    """
    number = pd.factorize(np.asarray(cluster, dtype=object))[0]
    alone = number < 0
    return Clusters(np.where(alone, number.max(initial=-1) + np.cumsum(alone), number))


def group_test(fitted: Fit, columns: Sequence[int]) -> GroupTest:
    """Whether some columns tell anything together: likelihood ratio, corrected for clusters.

    The ratio is divided by the mean of the design effects, the eigenvalues of
    ``inverse(V_model) V_cluster`` for those coefficients, never below one, and compared with an
    F distribution of as many degrees as columns and clusters less one.

    References
    ----------
    Rao & Scott (1984), Ann. Statist. 12:46-60; Thomas & Rao (1987), J. Am. Stat. Assoc. 82:630-636.

    Examples
    --------
    >>> one = fit([[1, 0]] * 40 + [[1, 1]] * 40, [1] * 10 + [0] * 30 + [1] * 30 + [0] * 10)
    >>> test = group_test(one, [1])
    >>> round(test.statistic, 2), test.df, round(test.p_value, 7)
    (20.93, 1, 4.8e-06)
    """
    columns = np.asarray(columns)
    others = np.setdiff1d(np.arange(fitted.design.shape[1]), columns)
    smaller = _likelihood_without(fitted, columns, others)
    block = np.ix_(columns, columns)
    effect = np.trace(np.linalg.solve(fitted.model_covariance[block], fitted.covariance[block])) / len(columns)
    ratio = max(2 * (fitted.log_likelihood - smaller), 0.0) / max(effect, 1.0)
    freedom = min(fitted.freedom, 1e9)
    return GroupTest(
        float(ratio), len(columns), float(fisher.sf(ratio / len(columns), len(columns), freedom)), float(effect)
    )


def average_difference(
    fitted: Fit, columns: Sequence[int], first, second, *, rows=None, weight=None, confidence: float = 0.95
) -> Difference:
    """Mean probability with some columns set to one value for every row, or one a row, less that with another.

    Everything else about a row stays as it is (g-computation). The error is the delta method's. Each
    half of the interval is stretched or shortened as the intervals of the two means are, made on the
    scale of log odds: it holds where a level has few successes, and is the plain one in large groups.
    Where columns are penalised the larger of the two variances is used: the residuals of rows
    that all failed are too small to say how uncertain their rate is.

    Parameters
    ----------
    fitted
        Of `fit`.
    columns
        The columns set.
    first, second
        Their values, one a column, or a row of them for every row.
    rows
        Rows of the design to take the means over; those fitted by default.
    weight
        Of each of them in the means; equal by default.
    confidence
        Level of the interval.

    References
    ----------
    Zou & Donner (2008), Statist. Med. 27:1693-1702.

    Examples
    --------
    >>> one = fit([[1, 0]] * 40 + [[1, 1]] * 40, [1] * 10 + [0] * 30 + [1] * 30 + [0] * 10)
    >>> gap = average_difference(one, [1], [1], [0])
    >>> [round(float(value), 3) for value in gap[:5]]
    [0.75, 0.25, 0.5, 0.28, 0.655]
    """
    (p, to_p), (q, to_q) = (_mean(fitted, columns, values, rows, weight) for values in (first, second))
    variance = _variance(fitted, columns, np.column_stack([to_p, to_q]))
    step = student.ppf((1 + confidence) / 2, fitted.freedom)
    (p_low, p_high), (q_low, q_high) = (
        _limits(mean, np.sqrt(variance[at, at]), step) for at, mean in enumerate((p, q))
    )
    error = np.sqrt(max(variance[0, 0] + variance[1, 1] - 2 * variance[0, 1], 0.0))
    plain = step * np.sqrt(np.trace(variance))
    below, above = (
        step * error * np.hypot(*ends) / plain for ends in ((p - p_low, q_high - q), (p_high - p, q - q_low))
    )
    p_value = float(2 * student.sf(abs(p - q) / error, fitted.freedom)) if error > 0 else 1.0
    return Difference(p, q, p - q, p - q - below, p - q + above, p_value)


def average_probability(fitted: Fit, columns: Sequence[int], values, *, confidence: float = 0.95) -> Mean:
    """Mean probability with some columns set to the same values for every row.

    Examples
    --------
    >>> one = fit([[1, 0]] * 40 + [[1, 1]] * 40, [1] * 10 + [0] * 30 + [1] * 30 + [0] * 10)
    >>> [round(float(value), 3) for value in average_probability(one, [1], [1])]
    [0.75, 0.595, 0.86]
    """
    mean, gradient = _mean(fitted, columns, values, None, None)
    error = np.sqrt(_variance(fitted, columns, gradient[:, None])[0, 0])
    return Mean(mean, *_limits(mean, error, student.ppf((1 + confidence) / 2, fitted.freedom)))


def average_derivative(fitted: Fit, column: int, *, confidence: float = 0.95) -> Mean:
    """Mean over rows of the slope of the probability in one column (delta method).

    Examples
    --------
    >>> one = fit([[1, 0]] * 40 + [[1, 1]] * 40, [1] * 10 + [0] * 30 + [1] * 30 + [0] * 10)
    >>> round(float(average_derivative(one, 1).estimate), 3)
    0.412
    """
    p = expit(fitted.design @ fitted.coefficients)
    slope = p * (1 - p)
    gradient = fitted.coefficients[column] * ((slope * (1 - 2 * p)) @ fitted.design) / len(p)
    gradient[column] += slope.mean()
    mean = fitted.coefficients[column] * slope.mean()
    half = student.ppf((1 + confidence) / 2, fitted.freedom) * np.sqrt(gradient @ fitted.covariance @ gradient)
    return Mean(mean, mean - half, mean + half)


def separated_columns(design, outcome) -> np.ndarray:
    """Columns whose maximum-likelihood estimate is infinite, because they part the outcomes.

    A linear programme looks for coefficients, none beyond one, that put no row on the wrong side
    and as many as possible on the right one; those that are not zero have no finite estimate.

    References
    ----------
    Konis (2007), Linear programming algorithms for detecting separated data in binary logistic
    regression models, University of Oxford, ch. 4.

    Examples
    --------
    >>> separated_columns([[1, 0]] * 3 + [[1, 1]] * 3, [1, 0, 0, 1, 1, 1]).tolist()
    [False, True]
    """
    side = np.asarray(design, dtype=float) * (2 * np.asarray(outcome, dtype=float) - 1)[:, None]
    found = linprog(-side.sum(axis=0), A_ub=-side, b_ub=np.zeros(len(side)), bounds=(-1, 1), method="highs")
    return np.abs(found.x) > 1e-6


def finite_coefficients(design: np.ndarray, outcome: np.ndarray) -> np.ndarray | None:
    """The estimates where they prove that nothing parts the outcomes, which is quicker than `separated_columns`.

    Coefficients ``b`` that part them have a sum over the rows of ``|residual| * |x @ b|`` that is ``score @ b``; none
    is beyond one, so the length of ``x @ b`` is at most the scores' sum over the smallest residual. Where the columns
    have no direction that short, nothing parts them.

    Examples
    --------
    >>> bool(finite_coefficients(np.ones((4, 1)), np.array([1.0, 0, 1, 0])) is None)
    False
    >>> finite_coefficients(np.ones((4, 1)), np.ones(4)) is None
    True
    """
    try:
        beta = _coefficients(design, outcome, np.zeros(design.shape[1]), None)
    except (checks.DataError, np.linalg.LinAlgError):
        return None
    residual = outcome - expit(design @ beta)
    shortest = np.sqrt(max(np.linalg.eigvalsh(gram(design, np.ones(len(design))))[0], 0.0))
    most = _NO_PART * np.abs(residual).min(initial=1.0) * shortest
    return beta if np.abs(design.T @ residual).sum() <= most else None


def independent_columns(design) -> np.ndarray:
    """Which columns add a direction to those before them.

    Examples
    --------
    >>> independent_columns([[1, 1, 0, 2], [1, 0, 1, 5], [1, 0, 1, 7]]).tolist()
    [True, True, False, True]
    """
    design = np.asarray(design, dtype=float)
    kept = np.zeros(design.shape[1], dtype=bool)
    if _is_surely_independent(design):
        return ~kept
    basis = np.zeros(design.shape, order="F")  # its first columns are filled
    for number, column in enumerate(design.T):
        known = basis[:, : kept.sum()]
        rest = column - known @ (known.T @ column)
        size = np.linalg.norm(rest)
        kept[number] = size > _TIE * max(np.linalg.norm(column), _TIE)
        if kept[number]:
            basis[:, known.shape[1]] = rest / size
    return kept


def _is_surely_independent(design: np.ndarray) -> bool:
    """Whether the products of the columns alone show it: they know the square of what a column adds."""
    products = gram(design, np.ones(len(design)))
    size = np.sqrt(np.diag(products))
    if not np.all(size > _TIE):
        return False
    try:
        added = np.diag(np.linalg.cholesky(products / np.outer(size, size)))
    except np.linalg.LinAlgError:
        return False
    return bool(added.min(initial=1.0) > _SURE)


def _coefficients(design: np.ndarray, outcome: np.ndarray, strength: np.ndarray, start, among=...) -> np.ndarray:
    """Newton's method on a concave likelihood, no step beyond four: ten times as quick as a general linear model.

    Among chosen columns only, the others' coefficients stay nothing.
    """
    beta = np.zeros(design.shape[1]) if start is None else np.asarray(start, dtype=float).copy()
    ones = np.ones(len(design))
    for _ in range(_MOST_STEPS):
        (score, information), q = logistic(design, outcome, ones, beta), expit(beta)
        score = (score + strength * (0.5 - q))[among]
        information = information + np.diag(strength * q * (1 - q))
        step = np.linalg.solve(information[among][:, among], score)
        beta[among] += step * min(1.0, 4.0 / np.abs(step).max(initial=4.0))
        if score @ step < _SETTLED:
            return beta
    raise checks.DataError(
        f"logistic regression: no finite estimate after {_MOST_STEPS} steps. "
        "The outcomes may be separated: ask separated_columns, and penalise those."
    )


def _log_likelihood(design: np.ndarray, outcome: np.ndarray, strength: np.ndarray, beta: np.ndarray) -> float:
    q = expit(beta)
    penalty = (strength / 2 * np.log(4 * q * (1 - q))).sum()
    return float(log_expit(design @ beta * (2 * outcome - 1)).sum() + penalty)


def _likelihood_without(fitted: Fit, columns: np.ndarray, others: np.ndarray) -> float:
    """The likelihood of the fit on the other columns alone, without a copy of them.

    Begun at the lowest point of the quadratic that the larger fit describes; from nothing where Newton's steps
    overshoot from there, as they can where outcomes are nearly separated.
    """
    across, inner = (fitted.model_covariance[np.ix_(rows, columns)] for rows in (others, columns))
    near = np.zeros(len(fitted.coefficients))
    near[others] = fitted.coefficients[others] - across @ np.linalg.solve(inner, fitted.coefficients[columns])
    given = fitted.design, fitted.outcome, fitted.strength
    try:
        beta = _coefficients(*given, near, others)
    except (checks.DataError, np.linalg.LinAlgError):
        beta = _coefficients(*given, None, others)
    return _log_likelihood(*given, beta)


def _jackknife(
    design: np.ndarray, residual: np.ndarray, weight: np.ndarray, model: np.ndarray, cluster
) -> tuple[np.ndarray, float]:
    if cluster is None:
        return model, np.inf
    number = (cluster if isinstance(cluster, Clusters) else clusters(cluster)).number
    sizes = np.bincount(number)
    if len(sizes) < 2:
        return model, np.inf
    order, size = np.argsort(number, kind="stable"), np.sort(sizes[number])
    order = order[np.argsort(sizes[number][order], kind="stable")]
    found = np.zeros_like(model)
    for rows_each in np.unique(sizes):
        alike = order[size == rows_each].reshape(-1, rows_each)
        n_at_once = max(_AT_ONCE // (rows_each * design.shape[1]), 1)
        for first in range(0, len(alike), n_at_once):
            rows = alike[first : first + n_at_once]
            moved = _left_out(design[rows], residual[rows], weight[rows], model) @ model
            found += moved.T @ moved
    return (len(sizes) - 1) / len(sizes) * found, len(sizes) - 1.0


def _left_out(design: np.ndarray, residual: np.ndarray, weight: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Scores of clusters of one size, enlarged by how much each pulls its own fit: ``X' (I - W X V X')^-1 r``."""
    root = np.sqrt(weight)[:, :, None] * design
    spread = (root.reshape(-1, root.shape[2]) @ model).reshape(root.shape)  # one product, not one a cluster
    pull, axes = np.linalg.eigh(spread @ root.transpose(0, 2, 1))
    scale = np.sqrt(weight)
    turned = (axes.transpose(0, 2, 1) @ (residual / scale)[:, :, None])[:, :, 0] / (1 - np.minimum(pull, _MOST_PULL))
    return (root.transpose(0, 2, 1) @ (axes @ turned[:, :, None]))[:, :, 0]


def _mean(fitted: Fit, columns: Sequence[int], values, rows, weight) -> tuple[float, np.ndarray]:
    """The mean probability with columns set, and its gradient in the coefficients."""
    design, set_to = fitted.design if rows is None else rows, np.asarray(values, dtype=float)
    weight = np.ones(len(design)) if weight is None else np.asarray(weight, dtype=float)
    weight = weight / weight.sum()
    beta = fitted.coefficients.copy()
    beta[columns] = 0.0
    # Columns of one value add the same to every row: the table need not be copied to set them.
    p = expit(design @ beta + set_to @ fitted.coefficients[columns])
    slope = weight * p * (1 - p)
    gradient = slope @ design
    gradient[columns] = slope @ set_to if set_to.ndim > 1 else slope.sum() * set_to
    return float(weight @ p), gradient


def _variance(fitted: Fit, columns: Sequence[int], gradients: np.ndarray) -> np.ndarray:
    variance = gradients.T @ fitted.covariance @ gradients
    if not fitted.strength[columns].any():
        return variance
    alone = gradients.T @ fitted.model_covariance @ gradients
    return alone * max((np.diag(variance) / np.diag(alone)).max(), 1.0)


def _limits(mean: float, error: float, step: float) -> tuple[float, float]:
    half = step * error / (mean * (1 - mean))
    return expit(logit(mean) - half), expit(logit(mean) + half)
