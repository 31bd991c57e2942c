"""Limits of a funnel plot: how far from its target a group lies by chance alone, the wider the fewer its cases."""

from typing import NamedTuple

import numpy as np
from scipy.stats import binom, chi2, norm

TRIM = 0.1  # share of the scores left out at each end before their spread is measured


class Overdispersion(NamedTuple):
    """How much more groups differ than chance makes them."""

    n: int  # groups left after trimming
    ratio: float  # mean square of their scores; 1 where chance is all
    variance: float  # added to the square of every group's error


def poisson_limits(expected, level: float = 0.998) -> tuple[np.ndarray, np.ndarray]:
    """Counts within which a group of so many expected lies by chance (Poisson, chi-squared form).

    Parameters
    ----------
    expected
        Expected counts.
    level
        Share of groups inside.

    References
    ----------
    Spiegelhalter (2005), Statist. Med. 24:1185-1202; Mainey, FunnelPlotR, R package (the same formula).

    Examples
    --------
    >>> low, high = poisson_limits([10.0, 100.0], 0.95)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([4.8, 81.36], [18.39, 121.63])
    """
    expected, tail = np.asarray(expected, dtype=float), (1 - level) / 2
    low = np.where(expected > 0, chi2.ppf(tail, np.where(expected > 0, 2 * expected, 1.0)) / 2, 0.0)
    return low, chi2.ppf(1 - tail, 2 * (expected + 1)) / 2


def binomial_limits(n, rate, level: float = 0.998) -> tuple[np.ndarray, np.ndarray]:
    """Shares within which a group of so many cases lies by chance around a rate (exact binomial).

    Between whole counts they are interpolated by probability, so that the lines of a chart are smooth; a share is
    beyond a limit just where its exact tail is less than half of what `level` leaves.

    Parameters
    ----------
    n, rate
        Cases of each group, and the rate it is compared with (0-1).
    level
        Share of groups inside.

    References
    ----------
    Spiegelhalter (2005), Statist. Med. 24:1185-1202, appendix A.1.1.

    Examples
    --------
    >>> low, high = binomial_limits([20, 100], 0.3, 0.95)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.081, 0.207], [0.537, 0.397])
    """
    n, rate = np.broadcast_arrays(np.asarray(n, dtype=float), np.asarray(rate, dtype=float))
    return _lower(n, rate, (1 - level) / 2), 1 - _lower(n, 1 - rate, (1 - level) / 2)


def overdispersion(estimates, errors, *, trim: float = TRIM) -> Overdispersion:
    """Variance between groups beyond chance, from their scores without the outermost on either side.

    ``ratio = mean(score ** 2)`` and, by moments, ``variance = (n ratio - (n - 1)) / (sum(w) - sum(w ** 2) / sum(w))``
    with ``score = estimate / error`` and ``w = 1 / error ** 2``, never below 0. Trimming keeps the groups looked for
    from widening their own limits; it also makes the variance too small where there are none.

    Parameters
    ----------
    estimates, errors
        Of each group: distance from its target on a scale where chance is normal, and the error of that.
    trim
        Share of the groups left out at each end.

    References
    ----------
    NHS Digital, Summary Hospital-level Mortality Indicator, specification (trimmed scores, additive variance);
    DerSimonian & Laird (1986), Control. Clin. Trials 7:177-188 (the variance by moments).

    Examples
    --------
    >>> found = overdispersion([-4.0, -2, -1, 0, 1, 2, 4, 30], [1.0] * 8, trim=0.125)
    >>> found.n, round(found.ratio, 2), round(found.variance, 2)
    (6, 4.33, 4.2)
    """
    estimates, errors = np.asarray(estimates, dtype=float), np.asarray(errors, dtype=float)
    score = estimates / errors
    if len(score) < 3:
        return Overdispersion(len(score), np.nan, 0.0)
    low, high = np.quantile(score, [trim, 1 - trim])
    kept = (score >= low) & (score <= high)
    n, ratio, weight = int(kept.sum()), float(np.mean(score[kept] ** 2)), errors[kept] ** -2.0
    freed = weight.sum() - (weight**2).sum() / weight.sum()
    variance = (n * ratio - (n - 1)) / freed if freed > 0 else 0.0
    return Overdispersion(n, ratio, float(max(variance, 0.0)))


def angle(n, rate) -> tuple[np.ndarray, np.ndarray]:
    """Shares on the scale where the error depends on the number of cases only, and that error.

    References
    ----------
    Freeman & Tukey (1950), Ann. Math. Statist. 21:607-611 (the plain arcsine of the root is used here).

    Examples
    --------
    >>> [value.round(3).tolist() for value in angle([25, 100], [0.0, 0.5])]
    [[0.0, 0.785], [0.1, 0.05]]
    """
    return np.arcsin(np.sqrt(np.asarray(rate, dtype=float))), 0.5 / np.sqrt(np.asarray(n, dtype=float))


def widened_limits(n, rate, variance: float, level: float = 0.998) -> tuple[np.ndarray, np.ndarray]:
    """`binomial_limits`, or those with the over-dispersion's variance where they are wider.

    Parameters
    ----------
    n, rate, level
        As for `binomial_limits`.
    variance
        Of `overdispersion`, on the scale of `angle`.

    Examples
    --------
    >>> low, high = widened_limits([100], 0.3, 0.01, 0.95)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.124], [0.513])
    """
    low, high = binomial_limits(n, rate, level)
    if not variance > 0:
        return low, high
    middle, error = angle(n, rate)
    step = norm.ppf((1 + level) / 2) * np.sqrt(error**2 + variance)
    below, above = (np.sin(np.clip(end, 0, np.pi / 2)) ** 2 for end in (middle - step, middle + step))
    return np.minimum(low, below), np.maximum(high, above)


def _lower(n: np.ndarray, rate: np.ndarray, tail: float) -> np.ndarray:
    """The first count whose tail is no less than wanted, less the share of its probability that is beyond."""
    count = binom.ppf(tail, n, rate)
    upto, before = binom.cdf(count, n, rate), binom.cdf(count - 1, n, rate)
    part = np.divide(upto - tail, upto - before, out=np.zeros_like(upto), where=upto > before)
    return np.clip((count - part) / n, 0, 1)
