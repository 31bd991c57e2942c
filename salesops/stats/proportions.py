"""Shares of a whole, with intervals that cover."""

import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    multinomial_proportions_confint,
    proportion_confint,
)


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
    return np.where(known & (successes == 0), 0.0, low), high


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
    keys = by or ["all"]
    rows = frame.assign(
        all=0, total=frame[weight], hit=frame[weight].where(frame[success], 0.0), cluster=_clusters(frame, cluster)
    )
    units = (
        rows.groupby([*keys, "cluster"], dropna=False, observed=True)
        .agg(n=("hit", "size"), hit=("hit", "sum"), total=("total", "sum"))
        .reset_index()
    )
    groups = units.groupby(keys, dropna=False, observed=True)
    hit, total = groups["hit"].transform("sum"), groups["total"].transform("sum")
    units["variance"] = ((units["hit"] - hit / total * units["total"]) / total) ** 2
    units["kish"] = (units["total"] / total) ** 2
    table = (
        units.assign(m=1)
        .groupby(keys, dropna=False, observed=True)[["n", "hit", "total", "variance", "kish", "m"]]
        .sum()
    )
    table = table.sort_values("total", ascending=False, kind="stable").reset_index()
    if table.empty and not by:
        table = pd.DataFrame([{"n": 0, "hit": 0.0, "total": 0.0, "variance": np.nan, "kish": np.nan, "m": 0}])
    share = table["hit"] / table["total"].where(table["total"] > 0)
    low, high = _wilson(share, _trials(table, share), confidence)
    return table[[*by, "n", "hit", "total"]].assign(share=share, share_low=low, share_high=high)


def _clusters(frame: pd.DataFrame, cluster: str | None) -> pd.Series:
    alone = pd.Series(np.arange(len(frame)), index=frame.index).astype(str)
    return alone if cluster is None else ("c" + frame[cluster].astype("str")).where(frame[cluster].notna(), alone)


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
