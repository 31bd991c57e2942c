"""How much one column tells of another, and how two groups differ where they are alike."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

NEAREST = 50  # how many of the other group one is compared with
_FEWEST = 20  # as few as may stand for what was to be expected


class Gap(NamedTuple):
    """A share among some, the share to be expected of them, and how likely chance alone sets them so far apart."""

    share: float
    expected: float
    p_value: float
    n: int


def names(values, other) -> float:
    """How far a category names another: the share of wrong guesses that knowing it saves.

    Goodman and Kruskal's lambda: ``1 - (n - sum of each row's largest count) / (n - largest column
    total)``. 1 where each value goes with one value of the other; missing where the other has one
    value only, or nothing is given. A missing value is a value.

    References
    ----------
    Goodman & Kruskal (1954), J. Am. Stat. Assoc. 49:732-764.

    Examples
    --------
    >>> names(["Bern", "Basel", "Lyon"], ["CH", "CH", "FR"]), names(["CH", "CH", "FR"], ["Bern", "Basel", "Lyon"])
    (1.0, 0.5)
    """
    rows, columns = (pd.factorize(pd.Series(each), use_na_sentinel=False)[0] for each in (values, other))
    if not len(rows):
        return np.nan
    n_columns = int(columns.max()) + 1
    counts = np.bincount(rows * n_columns + columns, minlength=(rows.max() + 1) * n_columns).reshape(-1, n_columns)
    blind = len(rows) - counts.sum(axis=0).max()
    return float(1 - (len(rows) - counts.max(axis=1).sum()) / blind) if blind else np.nan


def same_order(frame: pd.DataFrame, *, least: float, min_n: int) -> dict[str, str]:
    """Columns of numbers in the same, or the opposite, order as an earlier one, and which.

    Spearman's rank correlation of at least `least` over the rows where both are filled, `min_n`
    of them or more. A column that is named is not compared with those after it.

    Examples
    --------
    >>> same_order(pd.DataFrame({"net": [1, 5, 9], "gross": [1.2, 6, 10], "age": [3, 1, 2]}), least=0.98, min_n=3)
    {'gross': 'net'}
    """
    alike = frame.rank().corr(min_periods=min_n).abs() >= least
    found: dict[str, str] = {}
    for place, each in enumerate(frame.columns):
        earlier = [name for name in frame.columns[:place] if alike.loc[each, name] and name not in found]
        if earlier:
            found[each] = earlier[0]
    return found


def explained(values, groups) -> float:
    """Share of the variation of a number's ranks that lies between groups, where both are known.

    The correlation ratio ``1 - sum (r - mean of its group)^2 / sum (r - mean)^2`` of the ranks, which is
    Kruskal and Wallis's statistic over ``n - 1``. Missing where the number or the groups do not vary.

    References
    ----------
    Kruskal & Wallis (1952), J. Am. Stat. Assoc. 47:583-621.

    Examples
    --------
    >>> explained([3, 5, 90, 80], ["small", "small", "large", "large"]), explained([1, 2, 1, 2], ["a", "a", "b", "b"])
    (0.8, 0.0)
    """
    values, group = np.asarray(values, dtype=float), pd.factorize(pd.Series(groups))[0]
    known = (group >= 0) & ~np.isnan(values)
    rank, group = pd.Series(values[known]).rank().to_numpy(), group[known]
    counts = np.bincount(group)
    whole = ((rank - rank.mean()) ** 2).sum() if len(rank) else 0.0
    if (counts > 0).sum() < 2 or whole == 0:
        return np.nan
    mean = np.bincount(group, rank) / np.maximum(counts, 1)
    return float(1 - ((rank - mean[group]) ** 2).sum() / whole)


def partial_order(values, other, given) -> float:
    """Rank correlation of two columns among rows alike in a third; missing where one of them is constant.

    ``(r12 - r13 r23) / sqrt((1 - r13^2) (1 - r23^2))`` of Spearman's correlations.

    References
    ----------
    Kendall (1942), Biometrika 32:277-283.

    Examples
    --------
    >>> round(partial_order([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], [5, 3, 1, 4, 2]), 4)
    0.7217
    """
    ranks = [pd.Series(np.asarray(each)).rank().to_numpy() for each in (values, other, given)]
    if len(ranks[0]) < 3 or np.ptp(ranks[0]) == 0 or np.ptp(ranks[1]) == 0:
        return np.nan
    if np.ptp(ranks[2]) == 0:
        return float(np.corrcoef(ranks[:2])[0, 1])
    (_, ab, ac), (_, _, bc), _ = np.corrcoef(ranks)
    left = (1 - ac**2) * (1 - bc**2)
    return float((ab - ac * bc) / np.sqrt(left)) if left > 1e-12 else np.nan


def held_out_rates(values, outcome, fold) -> np.ndarray:
    """The outcome's share among the others with the same value, no one's own fold being used.

    Two rows at the overall share are added to each value, so a value not seen elsewhere has that.

    Parameters
    ----------
    values
        Any column; a missing value is one.
    outcome
        0 or 1.
    fold
        Number of each row's fold, from 0.

    Examples
    --------
    >>> held_out_rates(["a", "a", "a", "b"], [1, 1, 0, 0], [0, 1, 2, 0]).tolist()
    [0.5, 0.5, 0.75, 0.5]
    """
    codes = pd.factorize(pd.Series(values), use_na_sentinel=False)[0]
    outcome, fold = np.asarray(outcome, dtype=float), np.asarray(fold, dtype=int)
    shape = codes.max(initial=-1) + 1, fold.max(initial=-1) + 1
    cell, n_cells = codes * shape[1] + fold, shape[0] * shape[1]
    hits, counts = (np.bincount(cell, each, n_cells).reshape(shape) for each in (outcome, None))
    base = outcome.mean() if len(outcome) else np.nan
    others = (part.sum(axis=1)[codes] - part[codes, fold] for part in (hits, counts))
    return (next(others) + 2 * base) / (next(others) + 2)


def gap_at_same(cases, case_key, controls, control_key, *, from_there_on: bool = False) -> Gap:
    """How often something is so among some, and among others who are alike in a number.

    Each case is compared with the `NEAREST` controls by the number (ties included), or with all
    controls whose number is at least its own; a case beyond all controls, or with fewer than 20
    to compare with, is left out. The p-value is one-sided, for fewer among the cases than
    expected, from the binomial variance of what was expected and that of the controls used.

    Parameters
    ----------
    cases, controls
        Whether it is so, of each.
    case_key, control_key
        The number in which they are to be alike, e.g. an age.
    from_there_on
        Compare with all controls that reach the number: with a number that is a life time, those
        that were still there at it.

    Examples
    --------
    >>> found = gap_at_same([False] * 30, range(30), [True, False] * 60, range(120), from_there_on=True)
    >>> found.share, round(found.expected, 2), found.p_value < 1e-6, found.n
    (0.0, 0.5, True, 30)
    """
    cases, case_key, controls, control_key = (
        np.asarray(each, dtype=float) for each in (cases, case_key, controls, control_key)
    )
    order = np.argsort(control_key, kind="stable")
    first, last = _windows(control_key[order], case_key, from_there_on)
    used = last - first >= _FEWEST
    if not used.any():
        return Gap(np.nan, np.nan, np.nan, 0)
    first, last, size = first[used], last[used], (last - first)[used]
    sums = np.r_[0.0, np.cumsum(controls[order])]
    hits = sums[last] - sums[first]
    # Half a hit and half a miss more, so that none or all among the controls leaves some variance.
    chance, expected = (hits + 0.5) / (size + 1), float((hits / size).mean())
    edges = np.bincount(first, 1 / size, len(order) + 1) - np.bincount(last, 1 / size, len(order) + 1)
    weight, n = np.cumsum(edges)[:-1] / len(size), len(size)
    pooled = chance.mean() * (1 - chance.mean())
    error = np.sqrt((chance * (1 - chance)).sum() / n**2 + pooled * (weight**2).sum())
    share = float(cases[used].mean())
    return Gap(share, expected, float(norm.sf((expected - share) / error)), n)


def _windows(keys: np.ndarray, at: np.ndarray, from_there_on: bool) -> tuple[np.ndarray, np.ndarray]:
    """First and last place of the controls each case is compared with; an empty stretch where there are none."""
    place = np.searchsorted(keys, at, side="left")
    if from_there_on or not len(keys):
        return place, np.full(len(at), len(keys))
    width = min(NEAREST, len(keys))
    first = np.clip(place - width // 2, 0, len(keys) - width)
    last = np.searchsorted(keys, keys[first + width - 1], side="right")
    first = np.searchsorted(keys, keys[first], side="left")
    return first, np.where(at > keys[-1], first, last)
