"""Shares of a whole, with intervals that cover."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    multinomial_proportions_confint,
    proportion_confint,
)

from salesops.stats import groups

_COMPARISON = ["odds_ratio", "odds_ratio_low", "odds_ratio_high", "difference", "difference_low", "difference_high",
               "crude_odds_ratio", "statistic", "p_value"]  # fmt: skip


def wilson_interval(successes, n, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval of a proportion; missing where there was no trial.

    Parameters
    ----------
    successes, n
        Counts, scalars or arrays of one length.
    confidence
        Level of the interval.

    Returns
    -------
    tuple of arrays
        Lower and upper limits, 0-1.

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22:209-212.

    Examples
    --------
    >>> low, high = wilson_interval([4, 0], [10, 0])
    >>> low.round(5).tolist(), high.round(6).tolist()
    ([0.16818, nan], [0.687326, nan])
    """
    successes, n = np.atleast_1d(successes).astype(float), np.atleast_1d(n).astype(float)
    low, high = np.full(n.shape, np.nan), np.full(n.shape, np.nan)
    known = n > 0
    low[known], high[known] = proportion_confint(successes[known], n[known], alpha=1 - confidence, method="wilson")
    # Where none or all did it, rounding must not part the limit from the share.
    return np.where(known & (successes == 0), 0.0, low), np.where(known & (successes == n), 1.0, high)


def difference_interval(successes, n, other_successes, other_n, confidence: float = 0.95) -> tuple[float, float, float]:
    """Difference of two independent proportions, with Newcombe's interval.

    Returns
    -------
    tuple
        ``(difference, low, high)``, first minus other, in -1 to 1; all missing where either
        has no trial.

    References
    ----------
    Newcombe (1998), Statist. Med. 17:873-890, method 10.

    Examples
    --------
    >>> [round(float(value), 4) for value in difference_interval(56, 70, 48, 80)]
    [0.2, 0.0524, 0.3339]
    """
    if not (n > 0 and other_n > 0):
        return np.nan, np.nan, np.nan
    low, high = confint_proportions_2indep(
        successes, n, other_successes, other_n, method="newcomb", compare="diff", alpha=1 - confidence
    )
    return successes / n - other_successes / other_n, low, high


def score_test(successes, n, other_successes, other_n) -> np.ndarray:
    """Two-sided p-value that two proportions are equal (pooled score test).

    One where both are all successes or all failures: nothing to tell them apart by.

    References
    ----------
    Pearson's chi-squared of a 2 x 2 table without continuity correction.

    Examples
    --------
    >>> score_test([30], [200], [45], [100]).round(9).tolist()
    [1.5e-08]
    """
    x, n, y, m = (np.atleast_1d(value).astype(float) for value in (successes, n, other_successes, other_n))
    pooled = (x + y) / (n + m)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    z = np.divide(x / n - y / m, error, out=np.zeros_like(error), where=error > 0)
    return 2 * norm.sf(np.abs(z))


def stratified_comparison(successes, n, other_successes, other_n, confidence: float = 0.95) -> pd.DataFrame:
    """Two groups compared within strata, then over all of them (Mantel-Haenszel).

    Each pair of entries is one stratum. A group that is found mostly where everybody succeeds
    looks better than it is; within strata like is compared with like.

    Parameters
    ----------
    successes, n, other_successes, other_n
        Counts of the first and the other group in each stratum, arrays of one length.
    confidence
        Level of the intervals.

    Returns
    -------
    DataFrame
        One row: ``n`` (trials in strata that have both groups), ``odds_ratio`` (first over other) and ``difference``
        of the proportions, each with ``_low`` and ``_high``, ``crude_odds_ratio`` (strata ignored),
        ``statistic`` and ``p_value`` of the test that nothing differs (chi-squared, no continuity correction).
        Missing where no stratum has both groups, or there is nothing to tell them apart by.

    References
    ----------
    Mantel & Haenszel (1959), J. Natl Cancer Inst. 22:719-748; Robins, Breslow & Greenland (1986),
    Biometrics 42:311-323; Sato (1989), Biometrics 45:1323-1324, for the difference.

    Examples
    --------
    >>> found = stratified_comparison([90, 10], [100, 100], [45, 110], [50, 1000])
    >>> found[["n", "odds_ratio", "crude_odds_ratio", "difference", "p_value"]].round(3)
          n  odds_ratio  crude_odds_ratio  difference  p_value
    0  1250       0.924             5.774      -0.007    0.792
    """
    x, n, y, m = (np.atleast_1d(value).astype(float) for value in (successes, n, other_successes, other_n))
    both = (n > 0) & (m > 0)
    x, n, y, m = x[both], n[both], y[both], m[both]
    found = {"n": int((n + m).sum())} | dict.fromkeys(_COMPARISON, np.nan)
    if both.any():
        table = StratifiedTable(np.array([[x, n - x], [y, m - y]]))
        found |= _differences(x, n, y, m, confidence)
        hits = min(x.sum(), y.sum(), (n - x).sum(), (m - y).sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            found["crude_odds_ratio"] = x.sum() * (m - y).sum() / (y.sum() * (n - x).sum())
            if hits > 0:
                low, high = table.oddsratio_pooled_confint(alpha=1 - confidence)
                found |= {"odds_ratio": table.oddsratio_pooled, "odds_ratio_low": low, "odds_ratio_high": high}
                test = table.test_null_odds(correction=False)
                found |= {"statistic": test.statistic, "p_value": test.pvalue}
    return pd.DataFrame([found])


def power(rate, other_rate, n, other_n, *, alpha: float = 0.05) -> np.ndarray:
    """How often two groups of these sizes would be told apart, were these their true proportions.

    The usual normal approximation of the score test, one tail: R's ``power.prop.test``.

    Parameters
    ----------
    rate, other_rate
        True proportions, 0-1.
    n, other_n
        Sizes of the groups.
    alpha
        Level of the two-sided test.

    References
    ----------
    Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, 3rd ed., ch. 4.

    Examples
    --------
    >>> float(power(0.5, 0.75, 50, 50).round(6))
    0.740166
    """
    rate, other_rate, n, other_n = (np.asarray(value, dtype=float) for value in (rate, other_rate, n, other_n))
    pooled = (n * rate + other_n * other_rate) / (n + other_n)
    under_none = np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / other_n))
    spread = np.sqrt(rate * (1 - rate) / n + other_rate * (1 - other_rate) / other_n)
    return norm.cdf((np.abs(rate - other_rate) - norm.ppf(1 - alpha / 2) * under_none) / spread)


def smallest_difference(rate: float, n: float, other_n: float, *, power_wanted: float = 0.8) -> float:
    """The smallest difference from a proportion that groups of these sizes would most likely have shown.

    Up or down, whichever needs the larger one; a side on which 0 or 1 comes first is left out.

    Parameters
    ----------
    rate
        Proportion of the group compared with.
    n, other_n
        Sizes of the two groups; `other_n` is the size of the group with the `rate`.
    power_wanted
        How often it would be told apart, at a level of 5 %.

    Returns
    -------
    float
        0-1; missing where a group is empty, or no difference at all would show.

    Examples
    --------
    >>> round(smallest_difference(0.25, 200, 800), 3), smallest_difference(0.5, 3, 3)
    (0.1, nan)
    """
    if not (n > 0 and other_n > 0 and 0 <= rate <= 1):
        return np.nan
    steps = np.linspace(0, 1, 2001)[1:]
    found = []
    for others in (rate + steps[steps < 1 - rate], rate - steps[steps < rate]):
        shown = np.abs(others[power(others, rate, n, other_n) >= power_wanted] - rate)
        found += [shown.min()] if len(shown) else []
    return float(max(found)) if found else np.nan


def simultaneous_intervals(counts, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of all shares of a whole that hold together (Sison-Glaz).

    References
    ----------
    Sison & Glaz (1995), J. Am. Stat. Assoc. 90:366-369.

    Examples
    --------
    >>> low, high = simultaneous_intervals([56, 72, 73, 59, 62, 87, 58])
    >>> low.round(3).tolist()
    [0.079, 0.113, 0.116, 0.086, 0.092, 0.146, 0.084]
    """
    counts = np.asarray(counts, dtype=float)
    if counts.sum() == 0:
        return np.full(counts.shape, np.nan), np.full(counts.shape, np.nan)
    limits = multinomial_proportions_confint(counts, alpha=1 - confidence, method="sison-glaz")
    return limits[:, 0], limits[:, 1]


def weighted_share(
    frame: pd.DataFrame,
    *,
    by: list[str],
    weight: str,
    success: str,
    cluster: str | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Share of a weight that falls on the successes, with a clustered interval.

    ``share = sum(weight of successes) / sum(weight)``, a ratio of sums. Its variance is the
    linearised one over clusters, with the factor ``m / (m - 1)`` for ``m`` clusters; the
    interval is Wilson's with the trials that variance is worth, ``share (1 - share) / variance``
    but no more than Kish's effective number, so it stays inside 0-1 and does not collapse where
    all or none succeed.

    Parameters
    ----------
    frame
        One row per trial, with the columns named.
    by
        Columns to group on; an empty list gives one row.
    weight, success
        Numeric and boolean columns.
    cluster
        Column whose rows belong together; a row where it is missing stands alone.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per group, heaviest first: `by`, ``n``, ``hit`` and ``total`` (sums of the
        weight), ``share``, ``share_low``, ``share_high`` (0-1). No weight, no share.

    References
    ----------
    Kish (1965), Survey Sampling, ch. 6; Korn & Graubard (1998), Survey Methodology 24:193-201.

    Examples
    --------
    >>> deals = pd.DataFrame({"amount": [100.0, 50, 50, 100], "won": [True, False, True, False]})
    >>> weighted_share(deals, by=[], weight="amount", success="won").round(2)
       n    hit  total  share  share_low  share_high
    0  4  150.0  300.0    0.5       0.12        0.88
    """
    number = frame.groupby(by, dropna=False, observed=True).ngroup().to_numpy() if by else np.zeros(len(frame), int)
    weights = frame[weight].to_numpy(dtype=float, na_value=np.nan)
    counted = np.nan_to_num(weights, nan=0.0), np.where(frame[success].to_numpy(dtype=bool), weights, 0.0)
    total, hit = (np.nan_to_num(each, nan=0.0) for each in counted)
    # One unit a group and cluster.
    unit, where = _units(number, groups.clusters(frame[cluster]) if cluster else np.arange(len(frame)))
    n_groups = int(number.max(initial=-1 if by else 0)) + 1
    table = _summed(number, {"n": np.ones(len(frame), dtype=int), "hit": hit, "total": total}, n_groups)
    units = _summed(unit, {"hit": hit, "total": total}, len(where))
    whole = table.iloc[where].reset_index(drop=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        off = ((units["hit"] - whole["hit"] / whole["total"] * units["total"]) / whole["total"]) ** 2
        kish = (units["total"] / whole["total"]) ** 2
    table = table.join(_summed(where, {"variance": off, "kish": kish, "m": np.ones(len(where), dtype=int)}, n_groups))
    if by:
        first = np.unique(number, return_index=True)[1]
        table = pd.concat([frame[by].iloc[first].reset_index(drop=True), table], axis=1)
    table = table.sort_values("total", ascending=False, kind="stable", ignore_index=True)
    share = table["hit"] / table["total"].where(table["total"] > 0)
    low, high = _wilson(share, _trials(table, share), confidence)
    return table[[*by, "n", "hit", "total"]].assign(share=share, share_low=low, share_high=high)


def _differences(x, n, y, m, confidence: float) -> dict[str, float]:
    """Mantel-Haenszel's difference of proportions with Sato's variance."""
    total, weight = n + m, n * m / (n + m)
    difference = ((x * m - y * n) / total).sum() / weight.sum()
    skew = (n**2 * y - m**2 * x + n * m * (m - n) / 2) / total**2
    mixed = (x * (m - y) + y * (n - x)) / (2 * total)
    variance = (difference * skew.sum() + mixed.sum()) / weight.sum() ** 2
    half = norm.ppf((1 + confidence) / 2) * np.sqrt(max(variance, 0))
    limits = {"difference_low": max(difference - half, -1), "difference_high": min(difference + half, 1)}
    return {"difference": difference} | limits


def _units(group: np.ndarray, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's group and cluster, and the group of each such unit."""
    unit, cells = pd.factorize(group * (int(cluster.max(initial=0)) + 1) + cluster)
    return unit, cells // (int(cluster.max(initial=0)) + 1)


def _summed(group: np.ndarray, columns: Mapping[str, np.ndarray], n: int) -> pd.DataFrame:
    return pd.DataFrame({
        name: np.bincount(group, values, n).astype(np.asarray(values).dtype) for name, values in columns.items()
    })  # fmt: skip


def _trials(table: pd.DataFrame, share: pd.Series) -> pd.Series:
    variance = table["variance"] * table["m"] / (table["m"] - 1).clip(lower=1)
    kish = 1 / table["kish"].where(table["kish"] > 0)
    # All or none succeeded, or one cluster: no spread to measure, so Kish's number stands in.
    worth = (share * (1 - share) / variance.where(variance > 0)).fillna(np.inf)
    return np.minimum(worth, kish)


def _wilson(share: pd.Series, n: pd.Series, confidence: float) -> tuple[pd.Series, pd.Series]:
    z2 = norm.ppf((1 + confidence) / 2) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return centre - half, centre + half
