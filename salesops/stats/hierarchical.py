"""Outcomes of many groups that had unlike cases: each group's own part, judged together with all others.

The log odds of a case are what its columns say, plus an effect of its group. The effects are draws from one normal
distribution whose mean and standard deviation are unknown too. The prior of the deviation is in proportion to it,
which keeps intervals from closing where chance alone could have made the groups alike; a flat one covers less.
Coefficients are estimated together with the effects, so that what a group does well is not laid to the cases it
happens to have; their uncertainty is carried along by draws of them. Given those, effects, mean and deviation are
integrated over on grids: no sampler.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtr
from scipy.stats import binom, chi2

from salesops.stats.covariance import square_root

DRAWS = 2_000  # of the ranks
DOUBT = 0.02
_COEFFICIENTS = 16  # draws of the coefficients
_PRIOR = 2.0  # standard deviation of a coefficient before anything is seen, in log odds
_STEPS, _SETTLED = 40, 1e-9
_SEVERAL = 4  # columns from which those of one factor are drawn in: so many James and Stein need, their mean unknown
_TIGHT = 0.03  # least deviation of a factor's coefficients, in log odds
_ROUNDS, _STILL = 12, 2e-3  # of deviation and coefficients in turn
_LATTICE, _FINEST = 161, 481  # effects looked at; as many more as a large group's error is small
_FAR, _NEAR = 4.0, 0.5  # the lattice reaches as far from the level as the groups, but within these, in log odds
_WIDEST = 2.0  # largest standard deviation of the effects, in log odds: an odds ratio of 7
_SIDES = (24, 40)  # points of the grid of mean and deviation
_DEPTH = 12.0  # log densities this far below the best hold nothing
_BIN = 0.02  # cases of a group this near in log odds are counted together
_SMALLEST = 1e-300
_BATCH = 50  # points of the grid drawn from at once


class Posterior(NamedTuple):
    """What is known of the groups: B draws of the coefficients, K groups, T effects of the lattice, R draws."""

    n: np.ndarray  # K: cases
    successes: np.ndarray  # K
    expected: np.ndarray  # K: successes, had the company of all groups dealt with the group's cases
    weight: np.ndarray  # B, K, T: of each effect, sums to 1 over B and T
    rate: np.ndarray  # B, T: share of successes among all cases, had a group of that effect dealt with them
    ratio: np.ndarray  # B, K, T: successes over `expected` in the group's own cases, were that its effect
    drawn: np.ndarray  # R, K: rates of all groups drawn together
    spread: np.ndarray  # points of the grid, B by its size: standard deviation of the groups' rates
    spread_weight: np.ndarray
    p_value: float  # that all groups are alike
    is_apart: np.ndarray  # K: without these the others are alike


class _Cells(NamedTuple):
    """Cases counted by group and log odds."""

    group: np.ndarray
    offset: np.ndarray
    n: np.ndarray
    successes: np.ndarray


def grouped_outcomes(
    group, outcome, columns, *, factor=None, draws: int = DRAWS, doubt: float = DOUBT, seed: int = 0
) -> Posterior:
    """Posterior of the groups' effects, given unlike cases.

    Parameters
    ----------
    group
        Number of each case's group: 0 … K - 1, each with at least one case.
    outcome
        0 or 1 for each case.
    columns
        What else is known of a case, one row each, of one scale; may have no columns.
    factor
        Number of the factor each column is a level of. Coefficients of a factor with at least four columns are
        draws from one normal distribution, whose deviation is estimated; others, and all where it is None, have a
        wide prior.
    draws, seed
        How many times all groups are drawn together, for ranks; seed.
    doubt
        P-value from which groups are held to be alike.

    Returns
    -------
    Posterior
        See there; `rate_summary` and `ratio_summary` make figures of it. Cases of one group are taken to be
        independent given its effect.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 5.3 and 16.4; Rue, Martino & Chopin (2009),
    J. R. Statist. Soc. B 71:319-392 (integrating a few parameters on a grid); Chung et al. (2013), Psychometrika
    78:685-709 (the prior of the deviation).

    Examples
    --------
    Two groups who do equally well with like cases; the first has more of the easy ones:

    >>> easy = np.repeat([1.0, 0.0, 1.0, 0.0], [80, 20, 20, 80])
    >>> group, outcome = np.repeat([0, 1], 100), np.concatenate([np.arange(n) < k for n, k in
    ...     [(80, 40), (20, 2), (20, 10), (80, 8)]]).astype(float)
    >>> found = grouped_outcomes(group, outcome, easy[:, None] - easy.mean())
    >>> found.expected.round(0).tolist(), rate_summary(found)[0].round(2).tolist()
    ([42.0, 18.0], [0.3, 0.29])
    """
    group, outcome = np.asarray(group, dtype=int), np.asarray(outcome, dtype=float)
    columns = np.asarray(columns, dtype=float).reshape(len(outcome), -1)
    random, n_groups = np.random.default_rng(seed), int(group.max(initial=-1)) + 1
    lattice = _lattice(group, outcome, n_groups)
    factor = np.arange(columns.shape[1]) if factor is None else np.asarray(factor, dtype=int)
    beta, covariance, grid = _settled(group, outcome, columns, factor, n_groups, lattice)
    cells = _counted(group, outcome, columns @ beta)
    p_value, is_apart = apart(*cells, doubt=doubt)
    several = _several(beta, covariance, random)
    prior, each_draws = _prior(lattice, *grid), draws // len(several)
    parts = [
        _given(_counted(group, outcome, columns @ each), n_groups, lattice, (prior, grid[1]), each_draws, random)
        for each in several
    ]
    weight, rate, ratio, drawn, spread, spread_weight = (np.array(each) for each in zip(*parts, strict=True))
    return Posterior(
        np.bincount(group, minlength=n_groups), np.bincount(group, outcome, n_groups), _expected(cells, n_groups),
        weight / len(parts), rate, ratio, drawn.reshape(-1, n_groups), spread.ravel(),
        spread_weight.ravel() / len(parts), p_value, is_apart,
    )  # fmt: skip


def rate_summary(found: Posterior, confidence: float = 0.95) -> np.ndarray:
    """Each group's share of successes, had it dealt with all cases: mean, lower and upper limit (3 by K).

    Examples
    --------
    >>> found = grouped_outcomes([0] * 50 + [1] * 50, [1] * 10 + [0] * 40 + [1] * 30 + [0] * 20, np.empty((100, 0)))
    >>> rate_summary(found).round(2).tolist()
    [[0.21, 0.59], [0.11, 0.45], [0.33, 0.72]]
    """
    return _summary(np.broadcast_to(found.rate[:, None], found.weight.shape), found.weight, confidence)


def ratio_summary(found: Posterior, confidence: float = 0.95) -> np.ndarray:
    """Each group's successes over those expected in its own cases: mean, lower and upper limit (3 by K).

    Examples
    --------
    >>> found = grouped_outcomes([0] * 50 + [1] * 50, [1] * 10 + [0] * 40 + [1] * 30 + [0] * 20, np.empty((100, 0)))
    >>> ratio_summary(found).round(1).tolist()
    [[0.5, 1.5], [0.3, 1.1], [0.8, 1.8]]
    """
    return _summary(found.ratio, found.weight, confidence)


def ranks(found: Posterior) -> np.ndarray:
    """Rank of each group in each joint draw, 1 the highest (R by K).

    Examples
    --------
    >>> found = grouped_outcomes([0] * 50 + [1] * 50, [1] * 10 + [0] * 40 + [1] * 30 + [0] * 20, np.empty((100, 0)))
    >>> ranks(found).mean(axis=0).round(1).tolist()
    [2.0, 1.0]
    """
    order = np.argsort(-found.drawn, axis=1)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(1, order.shape[1] + 1)[None], axis=1)
    return place


def apart(group, offset, n, successes, *, doubt: float = DOUBT) -> tuple[float, np.ndarray]:
    """P-value that all groups are alike, and which ones must be set apart for the others to be alike.

    Twice the smaller of two p-values. The sum of ``(observed - expected) ** 2`` over groups, which is the score of
    their variance at none, is compared with a scaled chi-squared of the same mean and variance: it sees many groups
    that differ a little. The group with the smallest tail is compared with the smallest of as many groups (Sidak):
    it sees the one that differs much. While the p-value is below `doubt` that group is set apart and the level
    fitted anew: one group that is unlike all others then says nothing about those.

    Parameters
    ----------
    group, offset, n, successes
        Of cells of like cases: group number (0 … K - 1), log odds but for the level, cases and successes.
    doubt
        P-value from which groups are held to be alike.

    References
    ----------
    Dean (1992), J. Am. Stat. Assoc. 87:451-457; Satterthwaite (1946), Biometrics Bulletin 2:110-114; Sidak (1967),
    J. Am. Stat. Assoc. 62:626-633.

    Examples
    --------
    >>> p_value, is_apart = apart([0, 1, 2, 3], [0.0] * 4, [100] * 4, [30, 60, 33, 28])
    >>> round(p_value, 6), is_apart.tolist()
    (5e-06, [False, True, False, False])
    """
    cells = _Cells(*(np.asarray(each) for each in (group, offset, n, successes)))
    is_apart = np.zeros(int(cells.group.max(initial=-1)) + 1, dtype=bool)
    first = None
    while True:
        rest = _Cells(*(each[~is_apart[cells.group]] for each in cells))
        p_value, far = _alike(rest, len(is_apart))
        first = p_value if first is None else first
        if p_value >= doubt:
            return first, is_apart
        is_apart[far] = True


def _alike(cells: _Cells, n_groups: int) -> tuple[float, int]:
    """P-value that the groups of the cells are alike, and the one furthest from expectation."""
    chance = _chances(cells)
    each = chance * (1 - chance)
    seen, expected = (np.bincount(cells.group, of, n_groups) for of in (cells.successes, cells.n * chance))
    variance = np.bincount(cells.group, cells.n * each, n_groups)
    fourth = np.bincount(cells.group, cells.n * each * (1 - 6 * each), n_groups)
    n_known = (variance > 0).sum()
    if n_known < 2:
        return 1.0, 0
    scattered = _scattered(seen - expected, variance, fourth)
    tail = _tails(seen, np.bincount(cells.group, cells.n, n_groups), expected)
    tail[variance <= 0] = 1.0
    furthest = -np.expm1(n_known * np.log1p(-min(tail.min(), 1 - 1e-12)))
    p_value = scattered if n_known == 2 else min(2 * min(furthest, scattered), 1.0)  # of two, both are one test
    return float(p_value), int(tail.argmin())


def _tails(seen: np.ndarray, n: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Twice the smaller tail of each group's successes, as if its cases all had their mean chance."""
    rate = np.clip(expected / np.maximum(n, 1), 0, 1)
    return np.minimum(2 * np.minimum(binom.cdf(seen, n, rate), binom.sf(seen - 1, n, rate)), 1.0)


def _scattered(gap: np.ndarray, variance: np.ndarray, fourth: np.ndarray) -> float:
    """P-value of the sum of squared gaps, whose groups have these variances and fourth cumulants."""
    share = variance / variance.sum()
    mean = variance @ (1 - share)
    # Group sums have covariance diag(v) - v v' / sum(v) once the level is fitted: its squared entries add up to this.
    squares = ((variance * (1 - share)) ** 2).sum() + ((variance @ share) ** 2 - (variance**2 * share**2).sum())
    scale = (2 * squares + fourth @ (1 - share) ** 4) / (2 * mean)
    return float(chi2.sf((gap**2).sum() / scale, mean / scale))


def _lattice(group: np.ndarray, outcome: np.ndarray, n_groups: int) -> np.ndarray:
    """Levels plus effects to look at, in log odds: as wide as the groups and their errors, within bounds."""
    n, x = np.bincount(group, minlength=n_groups), np.bincount(group, outcome, n_groups)
    own = np.log((x + 0.5) / (n - x + 0.5))
    middle = np.log((x.sum() + 0.5) / ((n - x).sum() + 0.5))
    error = np.sqrt(1 / (x + 0.5) + 1 / (n - x + 0.5))
    reach = np.clip((np.abs(own - middle) + 4 * error).max(), _NEAR, _FAR)
    points = np.clip(6 * reach / error.min(), _LATTICE, _FINEST)
    return middle + np.linspace(-reach, reach, int(points))


def _settled(group, outcome, columns, factor, n_groups: int, lattice: np.ndarray):
    """Coefficients with their covariance, and the grid of mean and deviation, each found with the other."""
    n_columns = columns.shape[1]
    beta, covariance, prior, before = np.zeros(n_columns), np.zeros((n_columns,) * 2), np.full(n_columns, _PRIOR), 0.3
    for _ in range(_ROUNDS if n_columns else 1):
        if n_columns:
            beta, covariance = _coefficients(group, outcome, columns, n_groups, before, prior)
            prior = _own_priors(factor, beta, covariance, prior)
        grid, deviation = _drawn_in(_likelihood(_counted(group, outcome, columns @ beta), n_groups, lattice), lattice)
        if abs(deviation - before) < _STILL:
            break
        before = deviation
    return beta, covariance, grid


def _several(beta: np.ndarray, covariance: np.ndarray, random: np.random.Generator) -> Sequence[np.ndarray]:
    """Draws of the coefficients in pairs that lie opposite each other: their mean is beta's own."""
    if not len(beta):
        return [beta]
    half = random.standard_normal((_COEFFICIENTS // 2, len(beta))) @ square_root(covariance)
    return np.concatenate([beta + half, beta - half])


def _own_priors(factor: np.ndarray, beta: np.ndarray, covariance: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Deviation of the coefficients of each factor of several levels: their squares over what is known of them.

    MacKay (1992), Neural Computation 4:415-447, equation 4.9.
    """
    several = np.bincount(factor)[factor] >= _SEVERAL
    known = np.bincount(factor, 1 - np.diag(covariance) / prior**2)[factor]
    square = np.bincount(factor, beta**2)[factor] / np.maximum(known, 1e-3)
    return np.where(several, np.clip(np.sqrt(square), _TIGHT, _PRIOR), _PRIOR)


def _coefficients(
    group, outcome, columns, n_groups: int, deviation: float, prior: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Penalised likelihood with an effect for each group, whose block of the curvature is diagonal."""
    design = np.column_stack([np.ones(len(outcome)), columns])
    ridge = np.r_[1e-6, prior**-2.0]
    beta, effect, tight = np.zeros(design.shape[1]), np.zeros(n_groups), max(deviation, 0.02) ** -2
    for _ in range(_STEPS):
        p = expit(design @ beta + effect[group])
        w = p * (1 - p)
        slope = design.T @ (outcome - p) - ridge * beta
        own = np.bincount(group, outcome - p, n_groups) - tight * effect
        block = np.bincount(group, w, n_groups) + tight
        across = np.stack([np.bincount(group, w * column, n_groups) for column in design.T])
        curve = (design * w[:, None]).T @ design + np.diag(ridge) - across / block @ across.T
        step = np.linalg.solve(curve, slope - across @ (own / block))
        own_step = (own - across.T @ step) / block
        size = min(1.0, 3.0 / max(np.abs(step).max(), np.abs(own_step).max(), 3.0))
        beta, effect = beta + size * step, effect + size * own_step
        if np.abs(step).max() < _SETTLED:
            break
    return beta[1:], np.linalg.inv(curve)[1:, 1:]


def _counted(group: np.ndarray, outcome: np.ndarray, offset: np.ndarray) -> _Cells:
    near = np.round(offset / _BIN).astype(int)
    key = group * (np.ptp(near) + 1) + near - near.min()
    found, cell = np.unique(key, return_inverse=True)
    n = np.bincount(cell)
    first = np.zeros(len(found), dtype=int)
    first[cell] = group
    return _Cells(first, np.bincount(cell, offset) / n, n, np.bincount(cell, outcome))


def _likelihood(cells: _Cells, n_groups: int, lattice: np.ndarray) -> np.ndarray:
    """Likelihood of each group at each level, the best being 1 (T by K)."""
    x = cells.offset[:, None] + lattice
    log = cells.successes[:, None] * x - cells.n[:, None] * np.logaddexp(0, x)
    total = _by_group(cells, log, n_groups).T
    return np.exp(total - total.max(axis=0))


def _by_group(cells: _Cells, values: np.ndarray, n_groups: int) -> np.ndarray:
    """Sums over the cells of each group, which stand together and in order."""
    return np.add.reduceat(values, np.searchsorted(cells.group, np.arange(n_groups)), axis=0)


def _drawn_in(likelihood: np.ndarray, lattice: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], float]:
    """Means and deviations of the effects where their posterior lies, and the mean deviation."""
    box = np.array([[lattice[0], lattice[-1]], [0.0, _WIDEST]])
    for _ in range(6):
        mean, deviation = _midpoints(box)
        log = np.log(np.maximum(_prior(lattice, mean, deviation) @ likelihood, _SMALLEST)).sum(axis=1)
        log += np.log(deviation)
        held = log > log.max() - _DEPTH
        half = (box[:, 1] - box[:, 0]) / _SIDES
        seen = np.stack([mean[held], deviation[held]])
        tight = np.column_stack([seen.min(axis=1) - half, seen.max(axis=1) + half])
        tight = np.clip(tight, box[:, :1], box[:, 1:])
        if np.allclose(tight, box):
            break
        box = tight
    weight = np.exp(log - log.max())
    return (mean, deviation), float(weight @ deviation / weight.sum())


def _midpoints(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    steps = [(np.arange(points) + 0.5) / points for points in _SIDES]
    sides = [low + (high - low) * each for (low, high), each in zip(box, steps, strict=True)]
    mean, deviation = np.meshgrid(*sides, indexing="ij")
    return mean.ravel(), deviation.ravel()


def _prior(lattice: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Share of a normal distribution in each cell of the lattice; the outer cells hold what lies beyond."""
    edges = (lattice[1:] + lattice[:-1]) / 2
    below = ndtr((edges - mean[:, None]) / deviation[:, None])
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


def _given(cells: _Cells, n_groups: int, lattice: np.ndarray, grid: tuple, draws: int, random) -> tuple:
    """Everything, given one draw of the coefficients; of the grid, the effects' prior and the deviations."""
    prior, deviation = grid
    likelihood = _likelihood(cells, n_groups, lattice)
    held = np.maximum(prior @ likelihood, _SMALLEST)
    log = np.log(held).sum(axis=1) + np.log(deviation)
    of_grid = np.exp(log - log.max())
    of_grid /= of_grid.sum()
    weight = (likelihood * (prior.T @ (of_grid[:, None] / held))).T
    successes = cells.n[:, None] * expit(cells.offset[:, None] + lattice)
    rate = successes.sum(axis=0) / cells.n.sum()
    expected = _expected(cells, n_groups)[:, None]
    ratio = _by_group(cells, successes, n_groups) / np.where(expected > 0, expected, np.nan)
    spread = np.sqrt(np.maximum(prior @ rate**2 - (prior @ rate) ** 2, 0.0))
    drawn = _drawn(likelihood, prior, of_grid, draws, random)
    rates = np.interp(drawn, np.arange(len(lattice)), rate)
    return weight / weight.sum(axis=1, keepdims=True), rate, ratio, rates, spread, of_grid


def _drawn(likelihood: np.ndarray, prior: np.ndarray, of_grid: np.ndarray, draws: int, random) -> np.ndarray:
    """Places on the lattice of all groups, drawn together; between points, so that none are equal."""
    n_groups = likelihood.shape[1]
    points, of_draw = np.unique(random.choice(len(of_grid), draws, p=of_grid), return_inverse=True)
    wanted, between = random.random((2, draws, n_groups))
    places = np.empty((draws, n_groups))
    for first in range(0, len(points), _BATCH):
        upto = np.cumsum(prior[points[first : first + _BATCH], None] * likelihood.T, axis=2)
        upto /= upto[:, :, -1:]
        mine = np.flatnonzero((of_draw >= first) & (of_draw < first + _BATCH))
        # Each point and group has a whole number of its own, so that one sorted search serves all.
        row = (of_draw[mine] - first)[:, None] * n_groups + np.arange(n_groups)
        steps = upto.reshape(-1, upto.shape[2]) + np.arange(upto.shape[0] * n_groups)[:, None]
        places[mine] = np.searchsorted(steps.ravel(), wanted[mine] + row) - row * upto.shape[2]
    return np.minimum(places, likelihood.shape[0] - 1) + between - 0.5


def _chances(cells: _Cells) -> np.ndarray:
    """Of each cell, at the common level that gives the successes seen in all."""
    total = cells.successes.sum()
    if not 0 < total < cells.n.sum():
        return np.full(len(cells.n), total / cells.n.sum())
    level = brentq(lambda at: cells.n @ expit(cells.offset + at) - total, -40.0, 40.0)
    return expit(cells.offset + level)


def _expected(cells: _Cells, n_groups: int) -> np.ndarray:
    return np.bincount(cells.group, cells.n * _chances(cells), n_groups)


def _summary(values: np.ndarray, weight: np.ndarray, confidence: float) -> np.ndarray:
    """Mean and limits of each group over draws and lattice."""
    n_groups, tail = weight.shape[1], (1 - confidence) / 2
    value, weight = (each.transpose(1, 0, 2).reshape(n_groups, -1) for each in (values, weight))
    order = np.argsort(value, axis=1, kind="stable")
    value, weight = (np.take_along_axis(each, order, axis=1) for each in (value, weight))
    middle = np.cumsum(weight, axis=1) - weight / 2
    limits = [np.interp([tail, 1 - tail], *each) for each in zip(middle, value, strict=True)]
    return np.column_stack([(value * weight).sum(axis=1), np.reshape(limits, (-1, 2))]).T
