"""How amounts rise with age to a plateau, of subjects that differ in level and are watched for different times."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import expit, gammaln, xlogy
from scipy.stats import norm

_STEP = 1.04  # ratio of neighbouring times on the grid
_FIRST = 0.5  # shortest time on the grid, in ages
_WITHIN = np.array([0.125, 0.375, 0.625, 0.875])  # where in an age the share is looked at
_LEAST = 1e-4  # of the plateau: no age is wholly without
_SPREADS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 100.0)  # shape of the gamma distribution of levels that are tried
_WEIBULL, _STARTS = (0.8, 1.0, 1.4, 2.0, 3.0, 4.0), (0.0, 0.2)
_DELAYS, _MIDDLES = (0.0, 0.2, 0.4, 0.6), (0.3, 0.5, 0.7, 0.8)
_PRIOR = np.repeat([0.25 / 12, 0.25 / 4, 0.5 / 4], [12, 4, 4])  # of the shapes, in the order of `shapes`
_LATELY = 6  # ages before one that tell what a subject showed of late
_SLOPES = np.linspace(-8, 8, 65)  # of the log hazard of leaving on the log level
_HELD = 0.25  # penalty on their squares: a deviation of two


class Rise(NamedTuple):
    """Time to a share of the plateau, the share reached at each age, and the plateau; each with limits."""

    time: tuple[float, float, float]
    share: np.ndarray  # one row per age: median, low, high
    plateau: tuple[float, float, float]


def rise(amount, exposure, *, left=None, share: float = 0.8, confidence: float = 0.95) -> Rise:
    """Fit ``amount ~ level of the subject x share of the plateau at the age x exposure``.

    The share at an age is one of twenty shapes (Weibull, straight after a delay, logistic), all scaled by the time
    to `share` of the plateau, and averaged over as the data support them: a flat prior over the logarithm of the time,
    half of that over the shapes for the logistic ones, as what takes steps to come rises in an S, a quarter for either
    other kind, and a quasi-likelihood whose variance is the mean times a dispersion that is estimated.

    Subjects differ in level, and who is not watched for long may be so because of it. There are two accounts of it:
    each level is free (only what happens within a subject counts: right where the low ones leave, whatever they
    showed), and levels are draws from a gamma distribution (right where who leaves is told by what they showed so
    far). Their errors under the other's assumption have opposite signs (benchmarks/ramp.py). They are weighted by how
    well leaving is told by the level over the whole time, and by what was shown in the last six ages.

    Parameters
    ----------
    amount, exposure
        One row per subject, one column per age: what came, and which part of the age was watched (0-1).
    left
        Whether the subject left at its last age, rather than being watched no longer; not known of anyone if None,
        and the two accounts are then weighted alike.
    share
        Of the plateau; above one half.
    confidence
        Level of the intervals.

    Returns
    -------
    Rise
        ``time`` in ages; an end of it is missing where the data do not bound it, all is where nothing came.

    References
    ----------
    Wooldridge (1999), J. Econometrics 90:77-97 (free levels); Hausman, Hall & Griliches (1984), Econometrica
    52:909-938 (gamma levels); McCullagh & Nelder (1989), Generalized Linear Models, ch. 9 (dispersion); Cox (1975),
    Biometrika 62:269-276 (who leaves).

    Examples
    --------
    >>> level, reached = np.arange(1, 31)[:, None], np.minimum((np.arange(30) + 0.5) / 10, 1)
    >>> found = rise(level * reached, np.ones((30, 30)))  # without noise: four fifths after 8 of 10 ages
    >>> round(float(found.time[0])), round(float(found.plateau[0]), 1)
    (8, 15.5)
    """
    amount, exposure = np.maximum(np.asarray(amount, dtype=float), 0), np.asarray(exposure, dtype=float)
    sums = amount.sum(axis=1)
    if (sums > 0).sum() < 2:
        nothing = (np.nan,) * 3
        return Rise(nothing, np.full((amount.shape[1], 3), np.nan), nothing)
    times, shares, orders = _shares(amount.shape[1], share)
    reached = exposure @ shares
    has_left = np.zeros(len(amount), dtype=bool) if left is None else np.asarray(left, dtype=bool)
    weights = _weights(amount, exposure, shares, reached, has_left)
    by_time = weights.reshape(len(times), -1).sum(axis=1)
    tail = (1 - confidence) / 2
    return Rise(
        _time(times, by_time, tail),
        np.array([_quantiles(*age, weights, tail) for age in zip(shares, orders, strict=True)]),
        _plateau(sums, reached, weights, confidence),
    )


def shapes(at, share: float = 0.8) -> np.ndarray:
    """The shares of the plateau that each shape has reached at multiples of its time to `share`; last axis shapes.

    Examples
    --------
    >>> shapes(np.array([1.0])).round(6).min(), shapes(np.array([1.0])).round(6).max()
    (np.float64(0.8), np.float64(0.8))
    """
    at = np.asarray(at, dtype=float)[..., None]
    power, start = (grid.ravel() for grid in np.meshgrid(_WEIBULL, _STARTS))
    delay, middle = np.array(_DELAYS), np.array(_MIDDLES)
    weibull = start + (1 - start) * (1 - np.exp(-np.log((1 - start) / (1 - share)) * at**power))
    straight = np.clip(share * (at - delay) / (1 - delay), 0, 1)
    logistic = 1 / (1 + np.exp(-(at - middle) * np.log(share / (1 - share)) / (1 - middle)))
    return np.concatenate([weibull, straight, logistic], axis=-1)


@lru_cache(maxsize=4)
def _shares(ages: int, share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The times of the grid; mean share within each age, a row per age, a column per time and shape; its order."""
    times = _FIRST * _STEP ** np.arange(np.ceil(np.log(max(ages, 2) / _FIRST) / np.log(_STEP)) + 1)
    moments = (np.arange(ages)[:, None] + _WITHIN).ravel()
    found = shapes(moments[:, None] / times, share).reshape(ages, len(_WITHIN), -1).mean(axis=1)
    found = np.maximum(found, _LEAST)
    return times, found, found.argsort(axis=1)


def _weights(amount, exposure, shares: np.ndarray, reached: np.ndarray, has_left: np.ndarray) -> np.ndarray:
    """What the data make of each time and shape, over both accounts of the levels."""
    sums, known = amount.sum(axis=1), (amount @ np.log(shares)).sum(axis=0)
    with np.errstate(divide="ignore"):
        free = known - xlogy(sums[:, None], reached).sum(axis=0)
    best = int(free.argmax())
    dispersion = _dispersion(amount, exposure * shares[:, [best]].T, reached[:, best])
    free, known, worth = free / dispersion, known / dispersion, sums / dispersion
    at_best = [_drawn(worth, reached[:, [best]], spread)[0] for spread in _SPREADS]
    spread = _SPREADS[int(np.argmax(at_best))]
    drawn = known + _drawn(worth, reached, spread)
    usual = exposure * shares[:, best] * (worth.sum() / reached[:, best].sum())
    for_free = _by_level(amount / dispersion, usual, exposure > 0, has_left, spread)
    prior = np.tile(_PRIOR, len(free) // len(_PRIOR))
    each = [prior * np.exp(one - one.max()) for one in (free, drawn)]
    return sum(part * one / one.sum() for part, one in zip((for_free, 1 - for_free), each, strict=True))


def _by_level(worth, usual, watched: np.ndarray, has_left: np.ndarray, spread: float) -> float:
    """Chance that leaving goes with the level over the whole time rather than with what was shown of late."""
    if not has_left.any():
        return 0.5
    last = watched.shape[1] - 1 - watched[:, ::-1].argmax(axis=1)
    leaves = watched & has_left[:, None] & (last[:, None] == np.arange(watched.shape[1]))
    late, usually = _of_late(worth), _of_late(usual)
    of_late = (late + spread) / (usually + spread)
    else_ = (worth.sum(axis=1)[:, None] - late + spread) / (usual.sum(axis=1)[:, None] - usually + spread)
    by_level, by_late = (_told(np.log(each), watched, leaves) for each in (else_, of_late))
    return float(expit(by_level - by_late))


def _of_late(values: np.ndarray) -> np.ndarray:
    """Sums over the ages before each, as far back as counts."""
    upto = np.pad(values.cumsum(axis=1), ((0, 0), (1, 0)))
    age = np.arange(values.shape[1])
    return upto[:, age] - upto[:, np.maximum(age - _LATELY, 0)]


def _told(level: np.ndarray, watched: np.ndarray, leaves: np.ndarray) -> float:
    """Cox's partial likelihood of who leaves of those there at an age, at the slope that fits best; a logarithm."""
    with_any = leaves.any(axis=0)
    chance = np.exp(_SLOPES[:, None, None] * level[:, with_any]) * watched[:, with_any]
    log = _SLOPES * level[leaves].sum() - np.log(chance.sum(axis=1)) @ leaves[:, with_any].sum(axis=0)
    return float((log - _HELD / 2 * _SLOPES**2).max())


def _dispersion(amount: np.ndarray, expected: np.ndarray, reached: np.ndarray) -> float:
    """Pearson's, of the free levels."""
    mean = expected * np.divide(amount.sum(axis=1), reached, out=np.zeros(len(amount)), where=reached > 0)[:, None]
    used = mean > 0
    freedom = max(used.sum() - (amount.sum(axis=1) > 0).sum() - 3, 1)
    return max(((amount - mean)[used] ** 2 / mean[used]).sum() / freedom, 1e-9 * amount.max())


def _drawn(worth: np.ndarray, reached: np.ndarray, spread: float) -> np.ndarray:
    """Log likelihood of the subjects' totals where levels are gamma, at the mean level that fits best."""
    mean = worth.sum() / reached.sum(axis=0)
    for _ in range(6):
        mean = worth.sum() / ((worth[:, None] + spread) / (spread + mean * reached) * reached).sum(axis=0)
    total = xlogy(worth[:, None], mean) - (worth[:, None] + spread) * np.log(spread + mean * reached)
    return total.sum(axis=0) + (gammaln(worth + spread) - gammaln(spread) + spread * np.log(spread)).sum()


def _time(times: np.ndarray, weight: np.ndarray, tail: float) -> tuple[float, float, float]:
    """Median and limits; missing where they lie at the ends of the grid."""
    upto = weight.cumsum() - weight / 2
    found = np.exp(np.interp([0.5, tail, 1 - tail], upto, np.log(times)))
    beyond = found > times[-3]
    return (np.nan if beyond[0] else found[0], np.nan if beyond[1] else found[1], np.nan if beyond[2] else found[2])


def _quantiles(values: np.ndarray, order: np.ndarray, weight: np.ndarray, tail: float) -> tuple[float, ...]:
    upto = weight[order].cumsum() - weight[order] / 2
    return tuple(np.interp([0.5, tail, 1 - tail], upto, values[order]))


def _plateau(sums: np.ndarray, reached: np.ndarray, weights: np.ndarray, confidence: float) -> tuple[float, ...]:
    """Amount an age brings at the plateau: over the subjects' chance and over what is not known of the rise."""
    logs = np.log(sums.sum() / reached.sum(axis=0))
    value = logs @ weights
    mean = reached @ weights
    influence = sums / sums.sum() - mean / mean.sum()
    error = np.sqrt((influence**2).sum() + (logs - value) ** 2 @ weights)
    half = norm.ppf((1 + confidence) / 2) * error
    return tuple(np.exp([value, value - half, value + half]))
