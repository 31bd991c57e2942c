"""How much one column tells of another, and how two groups differ where they are alike."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from salesops.stats import ranks
from salesops.stats.ranks import Levels

NEAREST = 50  # how many of the other group one is compared with
_FEWEST = 20  # as few as may stand for what was to be expected


class Gap(NamedTuple):
    """A share among some, the share to be expected of them, and how likely chance alone sets them so far apart."""

    share: float
    expected: float
    p_value: float
    n: int


class Alike(NamedTuple):
    """Which controls each case is compared with: a stretch of them, the same for all cases of one number."""

    order: np.ndarray  # of the controls
    first: np.ndarray  # of each stretch: its first control in that order, the one behind its last, and how many cases
    last: np.ndarray
    count: np.ndarray
    is_used: np.ndarray  # of each case: whether it has enough controls
    spread: float  # sum of the squares of the controls' weights


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
    ranked = pd.DataFrame({name: ranks.ranks(ranks.levels(frame[name])) for name in frame.columns}, index=frame.index)
    alike = ranked.corr(min_periods=min_n).abs() >= least
    found: dict[str, str] = {}
    for place, each in enumerate(frame.columns):
        earlier = [name for name in frame.columns[:place] if alike.loc[each, name] and name not in found]
        if earlier:
            found[each] = earlier[0]
    return found


def explained(values: Levels, groups: Iterable[np.ndarray]) -> list[float]:
    """Share of the variation of a number's ranks that lies between the groups of each grouping, where both are known.

    The correlation ratio ``sum of n (mean of its group - mean)^2 / sum (r - mean)^2`` of the ranks ``r``, which is
    Kruskal and Wallis's statistic over ``n - 1``. Missing where the number or the groups do not vary.

    Parameters
    ----------
    values
        Of the number.
    groups
        Of each grouping the number of each row's group from 0, -1 where it is of none.

    References
    ----------
    Kruskal & Wallis (1952), J. Am. Stat. Assoc. 47:583-621.

    Examples
    --------
    >>> size = ranks.levels([3, 5, 90, 80])
    >>> explained(size, [np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), np.array([0, 0, 0, 0])])
    [0.8, 0.2, nan]
    """
    known = values.place >= 0
    place, found = (values.place if known.all() else values.place[known]), []
    whole = _from_mean(place, values.n)
    for each in groups:
        group = each if known.all() else each[known]
        is_in = group >= 0
        found.append(
            _between(group, *whole) if is_in.all() else _between(group[is_in], *_from_mean(place[is_in], values.n))
        )
    return found


def partial_order(one: np.ndarray, other: np.ndarray, given: np.ndarray) -> float:
    """Correlation of the ranks of two columns among rows alike in a third; missing where one of them is constant.

    ``(r12 - r13 r23) / sqrt((1 - r13^2) (1 - r23^2))`` of Spearman's correlations.

    Parameters
    ----------
    one, other, given
        Ranks, of `ranks.ranks`.

    References
    ----------
    Kendall (1942), Biometrika 32:277-283.

    Examples
    --------
    >>> one, other, given = (np.array(each) for each in ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], [5, 3, 1, 4, 2]))
    >>> round(partial_order(one, other, given), 4)
    0.7217
    """
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return np.nan
    if np.ptp(given) == 0:
        return float(np.corrcoef([one, other])[0, 1])
    (_, ab, ac), (_, _, bc), _ = np.corrcoef([one, other, given])
    left = (1 - ac**2) * (1 - bc**2)
    return float((ab - ac * bc) / np.sqrt(left)) if left > 1e-12 else np.nan


def held_out_rates(values: np.ndarray, outcome: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, ...]:
    """The outcome's share among the others with the same value, no one's own fold being used.

    Two rows at the overall share are added to each value, so a value not seen elsewhere has that.

    Parameters
    ----------
    values
        Number of each row's value, from 0.
    outcome
        Whether it came.
    fold
        Number of each row's fold, from 0.

    Returns
    -------
    tuple
        ``(rate, hits, misses)``, one entry for each value and fold: the share, and how many rows have it with the
        outcome and without.

    Examples
    --------
    >>> rate, hits, misses = held_out_rates(np.array([0, 0, 0, 1]), np.array([1, 1, 0, 0]), np.array([0, 1, 2, 0]))
    >>> rate.round(2).tolist(), hits.tolist(), misses.tolist()
    ([0.5, 0.5, 0.75, 0.5, 0.33, 0.33], [1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0])
    """
    is_hit = np.asarray(outcome, dtype=bool)
    shape = values.max(initial=-1) + 1, fold.max(initial=-1) + 1
    cell = values * shape[1] + fold
    hits, counts = (np.bincount(part, minlength=shape[0] * shape[1]).reshape(shape) for part in (cell[is_hit], cell))
    base = is_hit.mean() if len(is_hit) else np.nan
    others, other_hits = (part.sum(axis=1, keepdims=True) - part for part in (counts, hits))
    rate = (other_hits + 2 * base) / (others + 2)
    return rate.ravel(), hits.ravel(), (counts - hits).ravel()


def alike(case_key, control_key, *, from_there_on: bool = False) -> Alike:
    """With which controls each case is to be compared, given a number in which they are alike.

    With the `NEAREST` controls by the number (ties included), or with all controls whose number is at
    least its own; a case beyond all controls, or with fewer than 20 to compare with, is left out.

    Parameters
    ----------
    case_key, control_key
        The number in which they are to be alike, e.g. an age.
    from_there_on
        Compare with all controls that reach the number: with a number that is a life time, those
        that were still there at it.

    Examples
    --------
    >>> found = alike([5.0, 5.0, 900.0], range(40))
    >>> found.first.tolist(), found.last.tolist(), found.count.tolist(), found.is_used.tolist()
    ([0], [40], [2], [True, True, False])
    """
    case_key, control_key = np.asarray(case_key, dtype=float), np.asarray(control_key, dtype=float)
    order = np.argsort(control_key, kind="stable")
    keys, which, count = np.unique(case_key, return_inverse=True, return_counts=True)
    first, last = _windows(control_key[order], keys, from_there_on)
    used = last - first >= _FEWEST
    first, last, count, is_used = first[used], last[used], count[used], used[which]
    each = count / (last - first)
    edges = np.bincount(first, each, len(order) + 1) - np.bincount(last, each, len(order) + 1)
    weight = np.cumsum(edges)[:-1] / max(count.sum(), 1)
    return Alike(order, first, last, count, is_used, float((weight**2).sum()))


def gap_at_same(cases, controls, found: Alike) -> Gap:
    """How often something is so among some, and among others who are alike in a number.

    The p-value is one-sided, for fewer among the cases than expected, from the binomial variance
    of what was expected and that of the controls used.

    Parameters
    ----------
    cases, controls
        Whether it is so, of each.
    found
        Of `alike`: with which controls each case is compared.

    Examples
    --------
    >>> found = gap_at_same([False] * 30, [True, False] * 60, alike(range(30), range(120), from_there_on=True))
    >>> found.share, round(found.expected, 2), found.p_value < 1e-6, found.n
    (0.0, 0.5, True, 30)
    """
    n = int(found.count.sum())
    if not n:
        return Gap(np.nan, np.nan, np.nan, 0)
    sums = np.r_[0, np.cumsum(np.asarray(controls, dtype=bool)[found.order])]
    hits, size = sums[found.last] - sums[found.first], found.last - found.first
    # Half a hit and half a miss more, so that none or all among the controls leaves some variance.
    chance, expected = (hits + 0.5) / (size + 1), float(found.count @ (hits / size) / n)
    mean = found.count @ chance / n
    error = np.sqrt(found.count @ (chance * (1 - chance)) / n**2 + mean * (1 - mean) * found.spread)
    share = float(np.count_nonzero(np.asarray(cases, dtype=bool) & found.is_used) / n)
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


def _from_mean(place: np.ndarray, n: int) -> tuple[np.ndarray, float]:
    """Distance of each row's rank from the mean of all ranks, and the sum of the squares."""
    counts = np.bincount(place, minlength=n)
    off = ranks.of_levels(counts) - (len(place) + 1) / 2
    return off[place], float(counts @ off**2)


def _between(group: np.ndarray, off: np.ndarray, whole: float) -> float:
    """Share of the sum of squares that lies between the groups."""
    counts, sums = np.bincount(group), np.bincount(group, off)
    seen = counts > 0
    return float((sums[seen] ** 2 / counts[seen]).sum() / whole) if seen.sum() > 1 and whole else np.nan
