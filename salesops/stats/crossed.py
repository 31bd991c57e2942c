"""Outcomes of groups that each deal with several kinds of cases: the group's part, the kind's, and theirs together.

The log odds of a case are its kind's level, plus an effect of its group, plus an effect of the two together. Effects
of groups are draws from one normal distribution, those of the two together from another; both standard deviations are
unknown too and are integrated over on a grid, so that where chance alone could have made all groups alike in their
kinds little is left of a difference, and the intervals hold what is not known. The prior of each deviation is in
proportion to it (a flat one covers less). Given the deviations, levels and effects are taken as normal around their
most likely values (the Laplace approximation): no sampler.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

DRAWS = 2_000
_SIDES = (10, 20)  # points of the grid: deviation of the groups, and of the two together
_WIDEST = 2.0  # largest standard deviation, in log odds: an odds ratio of 7
_PRIOR = 2.0  # standard deviation of a kind's level about that of all cases before anything is seen
_DEPTH = 12.0  # log densities this far below the best hold nothing
_STEPS, _SETTLED = 60, 1e-6
_MOST = 2_000_000  # numbers of one array: more points of the grid are taken in turn


class Posterior(NamedTuple):
    """What is known of K groups and S kinds: R joint draws."""

    n: np.ndarray  # K, S: cases
    successes: np.ndarray  # K, S
    drawn: np.ndarray  # R, K, S: rate of each group with each kind
    own_deviation: np.ndarray  # R: standard deviation of the groups' own effects, in log odds
    deviation: np.ndarray  # R: standard deviation of the effects of group and kind together
    design_effect: float  # how much more cases that belong together vary than as many alone


class _Modes(NamedTuple):
    """Of each point of the grid (G): what the normal distribution of levels and effects is made of."""

    log: np.ndarray  # G: density of the point
    pull: np.ndarray  # G, K, S: precision of a cell once its own effect is integrated over
    seen: np.ndarray  # G, K, S: the same times the value seen
    left: np.ndarray  # G, K, S: share of the own effect's variance that is left


def crossed_outcomes(group, kind, outcome, *, cluster=None, draws: int = DRAWS, seed: int = 0) -> Posterior:
    """Posterior of the rates of groups with kinds of cases.

    Parameters
    ----------
    group, kind
        Number of each case's group (0 … K - 1) and of its kind (0 … S - 1), each with at least one case.
    outcome
        0 or 1 for each case.
    cluster
        Number of what each case belongs to, where cases of one group and kind may succeed or fail together: all
        counts are then divided by how much more such cases vary than as many alone, never less than one.
    draws, seed
        How many times all rates are drawn together; seed.

    Returns
    -------
    Posterior
        See there; `interaction` makes of the draws what group and kind together add.

    References
    ----------
    Rue, Martino & Chopin (2009), J. R. Statist. Soc. B 71:319-392; Gelman et al. (2013), Bayesian Data Analysis,
    3rd ed., sections 13.3 and 15.6; Rao & Scott (1992), Biometrics 48:577-585 (counts over a design effect).

    Examples
    --------
    The first of three groups does well with the second kind only:

    >>> won = {(0, 0): 20, (0, 1): 60, (1, 0): 40, (1, 1): 30, (2, 0): 42, (2, 1): 29}
    >>> group, kind = (np.repeat(each, 100) for each in zip(*won, strict=True))
    >>> outcome = np.concatenate([np.arange(100) < each for each in won.values()])
    >>> crossed_outcomes(group, kind, outcome).drawn.mean(axis=0).round(2).tolist()
    [[0.21, 0.59], [0.4, 0.31], [0.42, 0.3]]
    """
    group, kind, outcome = (np.asarray(each, dtype=int) for each in (group, kind, outcome))
    shape = group.max(initial=-1) + 1, kind.max(initial=-1) + 1
    n, x = (np.zeros(shape) for _ in range(2))
    np.add.at(n, (group, kind), 1)
    np.add.at(x, (group, kind), outcome)
    effect = 1.0 if cluster is None else _design_effect(outcome, group * shape[1] + kind, cluster)
    found = _drawn(x / effect, n / effect, draws, seed)
    return Posterior(n.astype(int), x.astype(int), *found, effect)


def interaction(rates: np.ndarray, n: np.ndarray) -> np.ndarray:
    """What a group and a kind have together, over what each has alone: ``p - group's mean - kind's mean + mean``.

    Means are weighted as the cases of all are: a group's by those of the kinds, a kind's by those of the groups. It
    is taken on the rates themselves, as whoever hands out cases gains or loses rates: so taken, it adds up
    to the difference that another distribution of the same cases among groups of the same size makes.

    Parameters
    ----------
    rates
        The last two axes are groups and kinds.
    n
        Cases of each group (K) and kind (S).

    References
    ----------
    VanderWeele & Knol (2014), Epidemiol. Methods 3:33-72 (why on the scale of rates).

    Examples
    --------
    >>> interaction(np.array([[0.2, 0.6], [0.4, 0.4]]), np.full((2, 2), 50)).round(2).tolist()
    [[-0.1, 0.1], [0.1, -0.1]]
    """
    of_group, of_kind = n.sum(axis=1) / n.sum(), n.sum(axis=0) / n.sum()
    own = rates @ of_kind
    common = np.einsum("...ks,k->...s", rates, of_group)
    return rates - own[..., None] - common[..., None, :] + (own @ of_group)[..., None, None]


def _design_effect(outcome: np.ndarray, cell: np.ndarray, cluster) -> float:
    """How much the sums over clusters within cells vary over what they would if cases stood alone; at least one."""
    size = np.bincount(cell)
    own = np.bincount(cell, outcome) / np.maximum(size, 1)
    variance = own * (1 - own) * size / np.maximum(size - 1, 1)
    first, key = np.unique(np.column_stack([cell, cluster]), axis=0, return_inverse=True)
    of_cell, members = first[:, 0], np.bincount(key.ravel())
    alone = (members * (1 - members / size[of_cell]) * variance[of_cell]).sum()
    seen = (np.bincount(key.ravel(), outcome - own[cell]) ** 2).sum()
    return max(1.0, float(seen / alone)) if alone > 0 else 1.0


def _drawn(x: np.ndarray, n: np.ndarray, draws: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joint draws of rates and of the two deviations."""
    random = np.random.default_rng(seed)
    own, both = _where_it_lies(x, n)
    modes = _modes(x, n, own, both)
    weight = np.exp(modes.log - modes.log.max())
    often = random.multinomial(draws, weight / weight.sum())
    used = np.flatnonzero(often)
    rates = [_given(modes, at, x, n, own[at], both[at], often[at], random) for at in used]
    order = random.permutation(draws)
    return np.concatenate(rates)[order], np.repeat(own[used], often[used])[order], np.repeat(both, often)[order]


def _given(modes: _Modes, at: int, x, n, own: float, both: float, draws: int, random) -> np.ndarray:
    """Draws of the rates, given the deviations."""
    pull, seen, left = modes.pull[at], modes.seen[at], modes.left[at]
    precision, level = _levels(pull[None], seen[None], np.array([own]), _middle(x, n))
    spread = np.linalg.cholesky(np.linalg.inv(precision[0]))
    level = level[0] + random.standard_normal((draws, n.shape[1])) @ spread.T
    tight = pull.sum(axis=1) + own**-2
    mean = (seen.sum(axis=1) - level @ pull.T) / tight
    base = level[:, None] + (mean + random.standard_normal(mean.shape) / np.sqrt(tight))[:, :, None]
    together = both**2 * (seen - pull * base) + both * np.sqrt(left) * random.standard_normal(base.shape)
    return expit(base + together)


def _where_it_lies(x: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A grid of the two deviations, drawn in step by step to where their posterior lies."""
    box = np.array([[0.0, _WIDEST], [0.0, _WIDEST]])
    for _ in range(6):
        points = _midpoints(box)
        log = _modes(x, n, *points).log
        held = np.stack(points)[:, log > log.max() - _DEPTH]
        half = (box[:, 1] - box[:, 0]) / _SIDES
        tight = np.column_stack([held.min(axis=1) - half, held.max(axis=1) + half]).clip(0, _WIDEST)
        if np.allclose(tight, box, atol=1e-6):
            break
        box = tight
    return _midpoints(box)


def _midpoints(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    steps = [(np.arange(points) + 0.5) / points for points in _SIDES]
    sides = [low + (high - low) * each for (low, high), each in zip(box, steps, strict=True)]
    own, both = np.meshgrid(*sides, indexing="ij")
    return own.ravel(), both.ravel()


def _modes(x: np.ndarray, n: np.ndarray, own: np.ndarray, both: np.ndarray) -> _Modes:
    pieces = np.array_split(np.arange(len(own)), max(1, len(own) * n.size // _MOST))
    found = [_some_modes(x, n, own[piece], both[piece]) for piece in pieces]
    return _Modes(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _some_modes(x: np.ndarray, n: np.ndarray, own: np.ndarray, both: np.ndarray) -> _Modes:
    """Newton's steps to the most likely levels and effects, all points of the grid at once."""
    middle, variance = _middle(x, n), (both**2)[:, None, None]
    at = np.full((len(own), *n.shape), middle)
    for _ in range(_STEPS):
        p = expit(at)
        bend = n * p * (1 - p)
        left = 1 / (1 + bend * variance)
        pull, seen = bend * left, (bend * at + x - n * p) * left
        precision, level = _levels(pull, seen, own, middle)
        tight = pull.sum(axis=2) + own[:, None] ** -2
        effect = (seen.sum(axis=2) - np.einsum("gks,gs->gk", pull, level)) / tight
        base = level[:, None] + effect[:, :, None]
        gap = seen - pull * base
        step = np.clip(base + variance * gap - at, -2, 2)
        at = at + step
        if np.abs(step).max() < _SETTLED:
            break
    log = (x * at + n * log_expit(-at) + 0.5 * np.log(left) - 0.5 * variance * gap**2).sum(axis=(1, 2))
    log -= 0.5 * (np.log(tight * own[:, None] ** 2) + (effect / own[:, None]) ** 2).sum(axis=1)
    log -= 0.5 * (np.linalg.slogdet(precision)[1] + (((level - middle) / _PRIOR) ** 2).sum(axis=1))
    return _Modes(log + _prior(own, both), pull, seen, left)


def _prior(own: np.ndarray, both: np.ndarray) -> np.ndarray:
    """In proportion to both deviations, so that neither closes where chance could have made all alike."""
    return np.log(own * both)


def _levels(pull: np.ndarray, seen: np.ndarray, own: np.ndarray, middle: float) -> tuple[np.ndarray, np.ndarray]:
    """Precision and mean of the kinds' levels, the groups' effects integrated over."""
    tight = pull.sum(axis=2) + own[:, None] ** -2
    precision = -np.einsum("gks,gkt->gst", pull / tight[:, :, None], pull)
    every = np.arange(pull.shape[2])
    precision[:, every, every] += pull.sum(axis=1) + _PRIOR**-2
    wanted = (seen - pull * (seen.sum(axis=2) / tight)[:, :, None]).sum(axis=1) + middle * _PRIOR**-2
    return precision, np.linalg.solve(precision, wanted[:, :, None])[:, :, 0]


def _middle(x: np.ndarray, n: np.ndarray) -> float:
    return float(np.log((x.sum() + 0.5) / (n.sum() - x.sum() + 0.5)))
