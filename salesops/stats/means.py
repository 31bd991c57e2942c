"""Means and shares of rows that belong together in clusters, with intervals that allow for it."""

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student


def clustered_mean(
    frame: pd.DataFrame, *, by: list[str], value: str, cluster: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Mean of a value that is 0 or more, with a clustered interval.

    The variance is the linearised one of a ratio of sums over clusters, with the factor
    ``m / (m - 1)`` for ``m`` clusters; the interval is symmetric in the logarithm, with Student's t
    of ``m - 1`` degrees of freedom, so that it stays above 0. Where all values are 0 the lower
    limit is 0 and the upper unknown; of one cluster both are unknown.

    Parameters
    ----------
    frame
        One row per trial, with the columns named.
    by
        Columns to group on; an empty list gives one row.
    value
        Numeric column, 0 or more.
    cluster
        Column whose rows belong together; a row where it is missing stands alone.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per group, largest first: `by`, ``n``, ``total``, ``mean``, ``mean_low``, ``mean_high``.

    References
    ----------
    Kish (1965), Survey Sampling, ch. 6.

    Examples
    --------
    >>> deals = pd.DataFrame({"account": ["a", "a", "b", "c"], "pushes": [1, 2, 0, 3]})
    >>> clustered_mean(deals, by=[], value="pushes", cluster="account").round(2)
       n  total  mean  mean_low  mean_high
    0  4      6   1.5      0.23       9.67
    """
    table = _sums(frame, by, value, cluster)
    mean, low, high = _limits(table, confidence)
    table = table.rename(columns={"size": "n", "sum": "total"})[[*by, "n", "total"]]
    return table.assign(mean=mean, mean_low=low, mean_high=high)


def clustered_share(
    frame: pd.DataFrame, *, by: list[str], success: str, cluster: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Share of the rows that are successes, each row counting once, with a clustered interval.

    Wilson's interval with the rows that the variance over clusters is worth, ``share (1 - share) / variance``,
    never more than there are, scaled down for few clusters as Student's t is wider than the normal.
    Where all or none succeed there is no spread to measure: each cluster counts once.

    Parameters
    ----------
    frame
        One row per trial, with the columns named.
    by
        Columns to group on; an empty list gives one row.
    success
        Boolean column.
    cluster
        Column whose rows belong together; a row where it is missing stands alone.
    confidence
        Level of the interval.

    Returns
    -------
    DataFrame
        One row per group, largest first: `by`, ``n``, ``hit``, ``share``, ``share_low``, ``share_high`` (0-1).

    References
    ----------
    Korn & Graubard (1998), Survey Methodology 24:193-201.

    Examples
    --------
    >>> deals = pd.DataFrame({"account": list("aabbccdd"), "won": [True, True, False, True, False, False, True, False]})
    >>> clustered_share(deals, by=[], success="won", cluster="account").round(2)
       n  hit  share  share_low  share_high
    0  8    4    0.5        0.1         0.9
    """
    table = _sums(frame.assign(hit=frame[success].astype(int)), by, "hit", cluster)
    n, hit, m = (table[name].to_numpy(dtype=float) for name in ("size", "sum", "m"))
    share = np.divide(hit, n, out=np.full(len(n), np.nan), where=n > 0)
    variance = table["square"].to_numpy(dtype=float) * m / np.maximum(m - 1, 1)
    worth = np.divide(share * (1 - share), variance, out=m.copy(), where=variance > 0)
    few = (norm.ppf((1 + confidence) / 2) / student.ppf((1 + confidence) / 2, np.maximum(m - 1, 1))) ** 2
    low, high = _wilson(share, np.minimum(worth, n) * np.where(m > 1, few, 1.0), confidence)
    table = table.rename(columns={"size": "n", "sum": "hit"})[[*by, "n", "hit"]]
    return table.assign(share=share, share_low=low, share_high=high)


def _sums(frame: pd.DataFrame, by: list[str], value: str, cluster: str | None) -> pd.DataFrame:
    """Rows, sum, clusters and squared deviation of each group's mean from its clusters', largest group first."""
    keys, (code, _) = by or ["all"], pd.factorize(frame[cluster]) if cluster else (np.full(len(frame), -1), None)
    alone = np.where(code < 0, -1 - np.arange(len(frame)), code)
    rows = frame.assign(all=0, cluster=alone, total=frame[value])
    units = rows.groupby([*keys, "cluster"], dropna=False)["total"].agg(["size", "sum"]).reset_index()
    groups = units.groupby(keys, dropna=False)
    n, total = groups["size"].transform("sum"), groups["sum"].transform("sum")
    units = units.assign(square=((units["sum"] - total / n * units["size"]) / n) ** 2, m=1)
    table = units.groupby(keys, dropna=False)[["size", "sum", "square", "m"]].sum()
    table = table.sort_values("size", ascending=False, kind="stable").reset_index()
    if table.empty and not by:
        return pd.DataFrame({"size": [0], "sum": [0], "square": [np.nan], "m": [0]})
    return table


def _limits(table: pd.DataFrame, confidence: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, total, m = (table[name].to_numpy(dtype=float) for name in ("size", "sum", "m"))
    mean = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
    known = (m > 1) & (mean > 0)
    error = np.sqrt(table["square"].to_numpy(dtype=float) * m / np.maximum(m - 1, 1))
    relative = np.divide(error, mean, out=np.full(len(n), np.nan), where=known)
    factor = np.exp(student.ppf((1 + confidence) / 2, np.maximum(m - 1, 1)) * relative)
    return mean, np.where((m > 1) & (mean == 0), 0.0, mean / factor), mean * factor


def _wilson(share: np.ndarray, n: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    n = np.where(n > 0, n, np.nan)
    z2 = norm.ppf((1 + confidence) / 2) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.where(share == 0, 0.0, centre - half), np.where(share == 1, 1.0, centre + half)
