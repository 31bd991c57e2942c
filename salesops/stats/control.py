"""Control charts: which points of a series lie beyond what chance gives.

The centre is that of the earlier points, so that a change shows against what was there before it.
"""

from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student

from salesops import checks

LEVEL = 0.998  # of the limits: one point in 500 lies outside by chance
RUN = 8  # points in a row on one side of the centre
MIN_POINTS = 8  # earlier points a centre needs
_D2 = 2 / np.sqrt(np.pi)  # mean range of two normal draws, in standard deviations


def p_chart(successes, n, *, n_before: int | None = None, level: float = LEVEL) -> pd.DataFrame:
    """Shares with limits that allow for more spread than counting alone gives (Laney's p').

    The spread of the earlier points about their common share, ``sigma``, is the mean moving range
    of their z scores over 1.128, never below 1. A point is outside where it lies further from
    the centre than ``q sigma sqrt(p (1 - p) (1 / n + 1 / N))``, with ``N`` the trials behind the
    centre, and ``q`` the normal quantile of `level`, or Student's where ``sigma`` is above 1 and
    so was learned. A run is eight points or more on one side of the centre whose common share
    lies as far from that of all points before it; it is marked from the point that parts it best from them.

    Parameters
    ----------
    successes, n
        Counts of each point, oldest first.
    n_before
        How many points the centre and the spread are of; the first half by default, at least
        eight.
    level
        Of the limits.

    Returns
    -------
    DataFrame
        One row per point: ``n``, ``share``, ``centre``, ``limit_low``, ``limit_high`` (0-1),
        ``dispersion`` (``sigma``), ``is_before`` (the centre is of it), ``rule`` ("run",
        else "outside", else missing) and ``is_signal``. Points of fewer than 20 trials have no limits and are
        not judged; nor is any where fewer than eight such points, or only successes or failures,
        make the centre.

    References
    ----------
    Laney (2002), Quality Engineering 14:531-537; Spiegelhalter (2005), Qual. Saf. Health Care
    14:347-351; Montgomery (2013), Introduction to Statistical Quality Control, ch. 7.

    Examples
    --------
    >>> chart = p_chart([25, 22, 27, 24, 26, 23, 25, 24, 60], [100] * 9, n_before=8)
    >>> chart.loc[8, ["centre", "limit_low", "limit_high"]].astype(float).round(3).tolist(), chart.loc[8, "rule"]
    ([0.245, 0.104, 0.386], 'outside')
    """
    successes, n = np.asarray(successes, dtype=float), np.asarray(n, dtype=float)
    share = np.divide(successes, n, out=np.full(len(n), np.nan), where=n > 0)
    judged = n >= checks.MIN_N
    before = _before(judged, n_before)
    centre, sigma, q = _centre(successes, n, before, level)
    of_centre = n[before].sum() or np.nan
    width = q * sigma * np.sqrt(centre * (1 - centre) * (1 / np.where(judged, n, np.nan) + 1 / of_centre))
    outside = np.abs(share - centre) > width
    run = np.zeros(len(n), dtype=bool)
    for first, last in _runs(np.where(judged, np.sign(share - centre), 0)):
        apart = _apart(successes, n, judged, range(first, last), last)
        if apart[0] > q * sigma:
            run[first + apart.argmax() : last] = True
    table = pd.DataFrame({"n": n.astype(int), "share": share, "centre": centre})
    table["limit_low"], table["limit_high"] = np.clip(centre - width, 0, 1), np.clip(centre + width, 0, 1)
    return table.assign(dispersion=sigma, is_before=before, **_signals(outside, run))


def xmr_chart(values, *, n_before: int | None = None) -> pd.DataFrame:
    """Single values with limits from the range between neighbours (individuals chart).

    ``centre ± 3 mR / 1.128``, where ``centre`` is the mean, and ``mR`` the mean absolute difference
    of neighbours, of the earlier points. Eight points in a row on one side are a run.

    Parameters
    ----------
    values
        Oldest first; a missing one breaks a run.
    n_before
        How many points the centre and the range are of; all by default.

    Returns
    -------
    DataFrame
        One row per value: ``value``, ``centre``, ``limit_low``, ``limit_high``, ``rule``
        ("outside", "run" or missing), ``is_signal``. No limits from fewer than two values.

    References
    ----------
    NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2; Wheeler (2000), Understanding Variation.

    Examples
    --------
    >>> flow = [49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1]
    >>> xmr_chart(flow).loc[0, ["centre", "limit_low", "limit_high"]].astype(float).round(2).tolist()
    [50.81, 45.82, 55.8]
    """
    values = np.asarray(values, dtype=float)
    known = values[:n_before][~np.isnan(values[:n_before])]
    moving = np.abs(np.diff(known)).mean() if len(known) > 1 else np.nan
    centre = known.mean() if len(known) > 1 else np.nan
    width = 3 * moving / _D2
    outside = np.abs(values - centre) > width
    run = np.zeros(len(values), dtype=bool)
    for first, last in _runs(np.nan_to_num(np.sign(values - centre))):
        run[first:last] = True
    table = pd.DataFrame({"value": values, "centre": centre, "limit_low": centre - width, "limit_high": centre + width})
    return table.assign(**_signals(outside, run))


def _before(judged: np.ndarray, n_before: int | None) -> np.ndarray:
    """The points that make the centre: judged ones among the first so many."""
    until = max(len(judged) // 2, MIN_POINTS) if n_before is None else n_before
    before = judged & (np.arange(len(judged)) < until)
    return before if before.sum() >= MIN_POINTS else np.zeros(len(judged), dtype=bool)


def _centre(successes, n, before, level: float) -> tuple[float, float, float]:
    """Common share of the earlier points, their spread in standard deviations of counting, and the quantile."""
    hits, trials = successes[before].sum(), n[before].sum()
    if not 0 < hits < trials:
        return np.nan, np.nan, np.nan
    centre = hits / trials
    z = (successes[before] / n[before] - centre) / np.sqrt(centre * (1 - centre) / n[before])
    sigma = np.abs(np.diff(z)).mean() / _D2
    tail = (1 + level) / 2
    return (centre, sigma, student.ppf(tail, before.sum() - 1)) if sigma > 1 else (centre, 1.0, norm.ppf(tail))


def _runs(side: np.ndarray) -> list[tuple[int, int]]:
    """First and one past the last point of each run of points on one side."""
    edges = np.flatnonzero(np.diff(side, prepend=np.nan, append=np.nan) != 0)
    return [(int(first), int(last)) for first, last in pairwise(edges) if last - first >= RUN and side[first] != 0]


def _apart(successes, n, judged, starts: range, last: int) -> np.ndarray:
    """How many standard errors the points from each start to the last are from all judged ones before the start."""
    hits, trials = (np.cumsum(np.r_[0, np.where(judged, counts, 0)]) for counts in (successes, n))
    x, m = hits[last] - hits[starts], trials[last] - trials[starts]
    y, k = hits[starts], trials[starts]
    pooled = hits[last] / trials[last]
    some = (k > 0) & (0 < pooled < 1)  # nothing before, or all alike: nothing to be apart from
    error = np.sqrt(pooled * (1 - pooled) * (1 / m + np.divide(1, k, out=np.zeros(len(k)), where=some)))
    gap = x / m - np.divide(y, k, out=np.zeros(len(k)), where=some)
    return np.divide(np.abs(gap), error, out=np.zeros(len(k)), where=some)


def _signals(outside: np.ndarray, run: np.ndarray) -> dict[str, pd.Series]:
    rule = pd.Series(np.where(run, "run", "outside"), dtype="str").where(outside | run)
    return {"rule": rule, "is_signal": rule.notna()}
